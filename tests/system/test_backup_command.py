"""`stayd backup` against each real database: the schema, what is in it, and what may go."""

import json
import secrets
import subprocess
import time

import pytest

from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.servers import stayd_binary


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=lambda kind: kind.kind)
def database(request, start_database):
    return start_database(request.param)


@pytest.fixture
def sql(database):
    """In the database, with TABLE: and KEY for the names that stayd's tables and their keys have there."""

    def run(text):
        return database.sql(text.replace("TABLE:", database.tables).replace("KEY", database.key), "sessions")

    return run


def insert(database, *keys, state=1, expires_at_ms=0, tomb_until_ms=0, through_redis=True, text="text"):
    """Rows as a stayd writes them."""
    value = b"\1\1" + text.encode() if state == 1 else b""
    fields = [0, state, through_redis, 7, 0, expires_at_ms, 0, tomb_until_ms, (1 << 48) + 5]
    fields += [database.last_origin, *([len(value)] if database.kind == "mariadb" else [])]
    fields += [database.bytes(value) if value else "NULL"]
    rest = ", ".join(map(str, fields))
    rows = [f"({key_of(database, key)}, {rest})" for key in keys]
    database.sql(f"INSERT INTO {database.tables}rows VALUES {', '.join(rows)}", "sessions")


def key_of(database, name):
    return database.bytes(b"\0" + name.encode())


def test_init_can_be_said_again(backup, database, sql):
    code, out, err = backup("stats")
    assert code == 1 and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    before = sql("SELECT * FROM TABLE:meta")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    assert sql("SELECT * FROM TABLE:meta") == before
    assert len(sql("SELECT id FROM TABLE:meta")) == 32
    other_name = database.url().replace("mysql://", "mariadb://").replace("postgresql://", "postgres://")
    assert other_name != database.url()
    assert backup("stats", url=other_name)[0] == 0


def test_init_at_the_same_time(backup, database, folder):
    options = ["--url", database.url(), "--password-file", folder / "password"]
    argv = [str(a) for a in [stayd_binary(), "backup", "init", *options]]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    texts = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0] * 4
    assert sum("has been made" in text for text in texts) == 1, texts


def test_a_later_schema_is_left_alone(backup, sql):
    backup("init")
    sql("UPDATE TABLE:meta SET version = 9")
    for words in (["init"], ["stats"], ["get", "k"], ["purge"]):
        code, out, err = backup(*words)
        assert code == 1 and "version 9" in err and "upgrade stayd" in err, err


def test_stats_and_get(backup, database):
    backup("init")
    insert(database, "sess:1")
    insert(database, "sess:2", expires_at_ms=1000, through_redis=False)
    insert(database, "sess:3", state=2)
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
    code, out, err = backup("get", "it's \\")
    assert code == 1 and "knows no key" in err, err


def test_a_damaged_value_is_named(backup, database, sql):
    backup("init")
    insert(database, "sess:1")
    sql(f"UPDATE TABLE:rows SET value = {database.bytes(bytes([1, 255]))}")
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "byte 1: type 255" in err, err


def test_an_encrypted_one_wants_its_key(backup, database, sql, folder):
    options = {}
    for name in ("right", "wrong"):
        keys = folder / name
        keys.write_text(secrets.token_hex(32) + "\n")
        options[name] = ("--password-file", folder / "password", "--encryption-key-file", keys)
    assert backup("init", options=options["right"])[0] == 0
    insert(database, "sess:1")
    code, out, err = backup("get", "sess:1", options=options["right"])
    assert code == 0 and '"value":"text"' in out, err
    code, out, err = backup("get", "sess:1", options=options["wrong"])
    assert code == 1 and "its key ring does not open" in err, err
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "no encryption key is given" in err, err
    ring = sql("SELECT MD5(ring) FROM TABLE:keys")
    assert backup("init", options=options["wrong"])[0] == 1
    assert sql("SELECT MD5(ring) FROM TABLE:keys") == ring
    assert backup("stats")[0] == 0


def test_purge_takes_what_nobody_needs(backup, database, sql):
    backup("init")
    now_ms = int(time.time() * 1000)
    insert(database, "tomb-past", state=2, tomb_until_ms=now_ms - 1000)
    insert(database, "tomb-future", state=2, tomb_until_ms=now_ms + 3_600_000)
    insert(database, "tomb-never", state=2)
    insert(database, "expired-lately", expires_at_ms=now_ms - 1000)
    insert(database, "live")
    for first in range(0, 2500, 500):
        insert(database, *map(str, range(first, first + 500)), expires_at_ms=1000, text="a")
    hosts = [f"({i}, '', 1, true, 1, {now_ms - i * 3_600_000})" for i in range(0, 201, 40)]
    sql(f"INSERT INTO TABLE:hosts VALUES {', '.join(hosts)}")
    assert backup("purge") == (0, "2501 rows removed\n", "")
    left = ", ".join(key_of(database, key) for key in ("tomb-future", "tomb-never", "expired-lately", "live"))
    assert sql("SELECT COUNT(*) FROM TABLE:rows") == "4"
    assert sql(f"SELECT COUNT(*) FROM TABLE:rows WHERE KEY IN ({left})") == "4"
    assert set(sql("SELECT instance FROM TABLE:hosts").split()) == {"0", "40", "80", "120", "160"}
    assert backup("purge") == (0, "0 rows removed\n", "")


# What it says of a wrong password, of a database that is not there (MariaDB tells nobody who has no
# rights on it), of a URL that is none, and of a server that is not there.
MISTAKES = {
    "postgres": ("password authentication failed", 'database "nowhere" does not exist',
                 "postgresql:/", "must begin with", "refused"),
    "mariadb": ("Access denied", "see docs/operating.md for the rights it needs",
                "mysql://127.0.0.1", "names no database", "Can't connect"),
}


def test_mistakes_are_named(backup, database, folder):
    password, nowhere, bad_url, of_the_url, no_server = MISTAKES[database.kind]
    wrong = folder / "wrong"
    wrong.write_text("wrong")
    code, out, err = backup("init", options=("--password-file", wrong))
    assert code == 1 and password in err, err
    code, out, err = backup("init", options=("--password-file", folder / "nowhere"))
    assert code == 1 and "No such file" in err, err
    code, out, err = backup("init", url=database.url("nowhere"))
    assert code == 1 and nowhere in err, err
    code, out, err = backup("init", url="oracle://nowhere/x")
    assert code == 1 and "must begin with" in err, err
    code, out, err = backup("init", url=bad_url)
    assert code == 1 and of_the_url in err, err
    database.kill()
    code, out, err = backup("init")
    assert code == 1 and no_server in err, err
