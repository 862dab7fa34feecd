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


def insert(postgres, key, state=1, expires_at_ms=0, tomb_until_ms=0, confirmed=True):
    value = r"'\x0101'::bytea || 'text'" if state == 1 else "NULL"
    postgres.sql(
        "INSERT INTO stayd.rows VALUES (" + rf"'\x00'::bytea || '{key}', 0, {state}, {confirmed}, "
        f"7, 0, {expires_at_ms}, 0, {tomb_until_ms}, (1::bigint << 48) + 5, 'host-1', {value})",
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


def test_stats_and_get(backup, postgres):
    backup("init")
    insert(postgres, "sess:1")
    insert(postgres, "sess:2", expires_at_ms=1000, confirmed=False)
    insert(postgres, "sess:3", state=2)
    code, out, err = backup("stats", "--json")
    assert code == 0, err
    stats = json.loads(out)
    assert stats.pop("epoch") and stats.pop("disk_bytes") > 0
    assert stats == {
        "live": 2, "expired": 1, "tombstones": 1, "unconfirmed": 1, "value_bytes": 12,
        "writable": True,
    }
    code, out, err = backup("get", "sess:1")
    line, row = out.splitlines()
    assert line.split() == ["0", "live", "string", "-", "sess:1"]
    row = json.loads(row)
    assert (row["value"], row["version"], row["origin"]) == ("text", 7, "host-1")
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
        r" 1, 'host-1', '\x010161' FROM generate_series(1, 2500) i",
        "sessions",
    )
    assert backup("purge") == (0, "2501 rows removed\n", "")
    left = postgres.sql("SELECT convert_from(substr(key, 2), 'UTF8') FROM stayd.rows", "sessions")
    assert set(left.split()) == {"tomb-future", "tomb-never", "expired-lately", "live"}
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
    code, out, err = backup("init", url="mysql://nowhere/x")
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
