"""`stayd backup` against a real PostgreSQL: the schema, what is in it, and what may go."""

import json
import os
import secrets
import subprocess
import time

import pytest

from lib.postgres import PASSWORD, PostgresServer
from lib.servers import stayd_binary


@pytest.fixture
def postgres(folder, started):
    server = PostgresServer(folder / "postgres")
    started.append(server)
    server.start()
    server.make_database()
    return server


@pytest.fixture
def backup(postgres, folder):
    """Runs `stayd backup WORDS`; returns exit code, standard output and standard error."""
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")

    def run(*words, url=None, options=("--password-file", password_file)):
        argv = [stayd_binary(), "backup", *words, "--url", url or postgres.url(), *options]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


LAST_ORIGIN = 2**63 - 1  # 2^64 - 1, less 2^63


def insert(postgres, key, state=1, expires_at_ms=0, tomb_until_ms=0, through_redis=True):
    value = r"'\x0101'::bytea || 'text'" if state == 1 else "NULL"
    postgres.sql(
        "INSERT INTO stayd.rows VALUES (" + rf"'\x00'::bytea || '{key}', 0, {state}, {through_redis}, "
        f"7, 0, {expires_at_ms}, 0, {tomb_until_ms}, (1::bigint << 48) + 5, {LAST_ORIGIN}, {value})",
        "sessions",
    )


def test_init_can_be_said_again(backup, postgres):
    code, out, err = backup("stats")
    assert code == 1 and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    id_before = postgres.sql("SELECT id FROM stayd.meta", "sessions")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    assert postgres.sql("SELECT id FROM stayd.meta", "sessions") == id_before
    assert len(id_before) == 32


def test_init_at_the_same_time(backup, postgres, folder):
    options = ["--url", postgres.url(), "--password-file", folder / "password"]
    argv = [str(a) for a in [stayd_binary(), "backup", "init", *options]]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    texts = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0] * 4
    assert sum("has been made" in text for text in texts) == 1, texts


def test_a_later_schema_is_left_alone(backup, postgres):
    backup("init")
    postgres.sql("UPDATE stayd.meta SET version = 9", "sessions")
    for words in (["init"], ["stats"], ["get", "k"], ["purge"]):
        code, out, err = backup(*words)
        assert code == 1 and "version 9" in err and "upgrade stayd" in err, err


# As version 1 of the schema was.
FIRST_SCHEMA = r"""
SET ROLE stayd;
CREATE SCHEMA stayd;
CREATE TABLE stayd.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,
  id text NOT NULL, era integer NOT NULL CHECK (era BETWEEN 1 AND 32767), home text NOT NULL);
CREATE TABLE stayd.rows (key bytea PRIMARY KEY, incarnation bigint NOT NULL, state smallint NOT NULL,
  confirmed boolean NOT NULL, hlc bigint NOT NULL, touched_hlc bigint NOT NULL,
  expires_at_ms bigint NOT NULL, created_at_ms bigint NOT NULL, tomb_until_ms bigint NOT NULL,
  change bigint NOT NULL, origin bytea NOT NULL, value bytea);
CREATE INDEX rows_change ON stayd.rows (change, key);
INSERT INTO stayd.meta (version, id, era, home) VALUES (1, 'first', 1, 'elsewhere');
INSERT INTO stayd.rows SELECT '\x00'::bytea || key::bytea, 0, 1, confirmed, 7, 0, 0, 0, 0, 5, origin,
  '\x010174657874' FROM (VALUES ('a', true, '18446744073709551615'::bytea), ('b', false, '0'),
  ('c', true, '99999999999999999999'), ('d', true, 'host-1'), ('e', true, '\xff')) AS r(key, confirmed, origin);
"""


def test_an_older_schema_is_upgraded(backup, postgres):
    postgres.sql(FIRST_SCHEMA, "sessions")
    code, out, err = backup("stats")
    assert code == 1 and "version 1" in err and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been upgraded\n", "")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    rows = {key: json.loads(backup("get", key, "--json")[1]) for key in "abcde"}
    assert {row["value"] for row in rows.values()} == {"text"}
    assert [rows[key]["origin"] for key in "abcde"] == [2**64 - 1, 0, 2**64 - 1, 0, 0]
    assert (rows["a"]["through_redis"], rows["b"]["through_redis"]) == (True, False)
    assert postgres.sql("SELECT id FROM stayd.meta", "sessions") == "first"
    columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
    columns += "WHERE table_schema = 'stayd' ORDER BY 1, 2"
    upgraded = postgres.sql(columns, "sessions")
    postgres.sql("DROP SCHEMA stayd CASCADE", "sessions")
    backup("init")
    assert postgres.sql(columns, "sessions") == upgraded


def test_stats_and_get(backup, postgres):
    backup("init")
    insert(postgres, "sess:1")
    insert(postgres, "sess:2", expires_at_ms=1000, through_redis=False)
    insert(postgres, "sess:3", state=2)
    code, out, err = backup("stats", "--json")
    assert code == 0, err
    stats = json.loads(out)
    assert stats.pop("epoch") and stats.pop("disk_bytes") > 0
    assert stats == {
        "live": 2, "expired": 1, "tombstones": 1, "without_redis": 1, "value_bytes": 12,
        "writable": True,
    }
    code, out, err = backup("get", "sess:1")
    line, row = out.splitlines()
    assert line.split() == ["0", "live", "string", "-", "sess:1"]
    row = json.loads(row)
    assert (row["value"], row["version"], row["origin"]) == ("text", 7, 2**64 - 1)
    assert row["through_redis"] is True
    assert json.loads(backup("get", "sess:2", "--json")[1])["through_redis"] is False
    code, out, err = backup("stats")
    assert "\nwithout redis  1\n" in out, out
    assert json.loads(backup("get", "sess:3", "--json")[1])["state"] == "tomb"
    code, out, err = backup("get", "sess:9")
    assert code == 1 and 'knows no key "sess:9"' in err, err


def test_a_damaged_value_is_named(backup, postgres):
    backup("init")
    insert(postgres, "sess:1")
    postgres.sql(r"UPDATE stayd.rows SET value = '\x01ff'", "sessions")
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "byte 1: type 255" in err, err


def test_an_encrypted_one_wants_its_key(backup, postgres, folder):
    options = {}
    for name in ("right", "wrong"):
        keys = folder / name
        keys.write_text(secrets.token_hex(32) + "\n")
        options[name] = ("--password-file", folder / "password", "--encryption-key-file", keys)
    assert backup("init", options=options["right"])[0] == 0
    insert(postgres, "sess:1")
    code, out, err = backup("get", "sess:1", options=options["right"])
    assert code == 0 and '"value":"text"' in out, err
    code, out, err = backup("get", "sess:1", options=options["wrong"])
    assert code == 1 and "its key ring does not open" in err, err
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "no encryption key is given" in err, err
    ring = postgres.sql("SELECT ring FROM stayd.keys", "sessions")
    assert backup("init", options=options["wrong"])[0] == 1
    assert postgres.sql("SELECT ring FROM stayd.keys", "sessions") == ring
    assert backup("stats")[0] == 0


def test_purge_takes_what_nobody_needs(backup, postgres):
    backup("init")
    now_ms = int(time.time() * 1000)
    insert(postgres, "tomb-past", state=2, tomb_until_ms=now_ms - 1000)
    insert(postgres, "tomb-future", state=2, tomb_until_ms=now_ms + 3_600_000)
    insert(postgres, "tomb-never", state=2)
    insert(postgres, "expired-lately", expires_at_ms=now_ms - 1000)
    insert(postgres, "live")
    postgres.sql(
        r"INSERT INTO stayd.rows SELECT '\x00'::bytea || i::text::bytea, 0, 1, true, 7, 0, 1000, 0, 0,"
        r" 1, 1, '\x010161' FROM generate_series(1, 2500) i",
        "sessions",
    )
    postgres.sql(
        "INSERT INTO stayd.hosts SELECT i, '', 1, true, 1, "
        f"{now_ms} - i * 3600000::bigint FROM generate_series(0, 200, 40) i",
        "sessions",
    )
    assert backup("purge") == (0, "2501 rows removed\n", "")
    left = postgres.sql("SELECT convert_from(substr(key, 2), 'UTF8') FROM stayd.rows", "sessions")
    assert set(left.split()) == {"tomb-future", "tomb-never", "expired-lately", "live"}
    hosts = postgres.sql("SELECT instance FROM stayd.hosts", "sessions")
    assert set(hosts.split()) == {"0", "40", "80", "120", "160"}
    assert backup("purge") == (0, "0 rows removed\n", "")


def test_mistakes_are_named(backup, postgres, folder):
    wrong = folder / "wrong"
    wrong.write_text("wrong")
    code, out, err = backup("init", options=("--password-file", wrong))
    assert code == 1 and "password authentication failed" in err, err
    code, out, err = backup("init", options=("--password-file", folder / "nowhere"))
    assert code == 1 and "No such file" in err, err
    code, out, err = backup("init", url=postgres.url("nowhere"))
    assert code == 1 and 'database "nowhere" does not exist' in err, err
    code, out, err = backup("init", url="oracle://nowhere/x")
    assert code == 1 and "must begin with" in err, err
    code, out, err = backup("init", url="postgresql:/")
    assert code == 1 and "must begin with" in err, err
    postgres.kill()
    code, out, err = backup("init")
    assert code == 1 and "refused" in err, err


def test_a_role_without_rights_is_told_so(backup, postgres):
    backup("init")
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    os.environ["PGPASSWORD"] = "guest"
    try:
        code, out, err = backup("stats", url=postgres.url(user="guest"), options=())
    finally:
        del os.environ["PGPASSWORD"]
    assert code == 1 and "permission denied" in err and "docs/operating.md" in err, err
