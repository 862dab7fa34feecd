"""What stayd says of its shared backup, and what it refuses beside it."""

import secrets
import signal

import pytest

from lib.backups import Shop, wait_shipped
from lib.databases import PASSWORD
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=["postgres", "mariadb"])
def database(request, start_database):
    return start_database(request.param, **request.param.keeps_commits)


def options_of(database, folder):
    """Without `stayd backup init`."""
    password = folder / "password"
    password.write_text(PASSWORD + "\n")
    return {"backup.url": database.url(), "backup.password_file": password}


def note_of(stayd):
    status, body = stayd.http("/readyz")
    assert status == 200, body
    return body


def test_started_while_the_database_is_down(redis, make_stayd, database, backup_options):
    database.kill()
    stayd = make_stayd(redis.url, options=backup_options)
    stayd.wait_trusted()
    with Shop(stayd) as shop:
        for _ in range(20):
            shop.visit()
        wait_until(lambda: "is out" in note_of(stayd), 5, "/readyz tells of it")
        assert stayd.metric("stayd_backup_up") == 0 and stayd.metric("stayd_backup_oldest_unshipped_seconds") > 0
        database.start()
        wait_shipped(stayd)
        assert "backup" not in note_of(stayd)
        shop.check(stayd)
    assert stayd.metric("stayd_backup_up") == 1 and stayd.metric("stayd_backup_unshipped_rows") == 0


def test_no_tables_yet(redis, make_stayd, database, backup, folder):
    stayd = make_stayd(redis.url, options=options_of(database, folder))
    stayd.wait_trusted()
    assert stayd.call("SET", "k", "v") == "OK"
    wait_until(lambda: 'run "stayd backup init"' in note_of(stayd), 10, "it says what is missing")
    wait_until(lambda: stayd.log_lines("backup_out"), 5, "the log says so")
    code, out = stayd.check()
    assert code == 1 and 'run "stayd backup init"' in out, out
    assert backup("init")[0] == 0
    wait_shipped(stayd)
    code, out = stayd.check()
    assert code == 0 and "takes writes" in out, out


def test_tables_of_a_later_stayd(redis, make_stayd, database, backup_options):
    database.sql(f"UPDATE {database.tables}meta SET version = 99", "sessions")
    stayd = make_stayd(redis.url, options=backup_options)
    stayd.wait_trusted()
    with Shop(stayd) as shop:
        shop.visit()
        wait_until(lambda: "upgrade stayd" in note_of(stayd), 10, "it says that it is too old")
        shop.check(stayd)


def test_a_wrong_password(redis, make_stayd, database, backup_options, folder):
    (folder / "password").write_text("wrong\n")
    stayd = make_stayd(redis.url, options=backup_options)
    stayd.wait_trusted()
    wait_until(lambda: "is out" in note_of(stayd), 10, "it is refused")
    assert "wrong" not in note_of(stayd)
    (folder / "password").write_text(PASSWORD + "\n")  # is read for each new connection
    wait_shipped(stayd)


def test_another_stayd_is_told_of(redis, make_stayd, backup_options):
    stayds = [make_stayd(redis.url, options=backup_options) for _ in range(2)]
    for stayd in stayds:
        wait_until(lambda s=stayd: s.log_lines("backup_has_others"), 10, "it sees the other")
        assert "experimental" in note_of(stayd)
        assert stayd.metric("stayd_backup_other_hosts") == 1


def test_flushes_are_refused(redis, make_stayd, backup_options):
    stayd = make_stayd(redis.url, options=backup_options)
    stayd.wait_trusted()
    assert stayd.call("SET", "k", "v") == "OK"
    for command in (["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", 0, 1]):
        assert "shared backup" in stayd.call(*command), command
    assert stayd.call("GET", "k") == b"v"


def test_encryption_keys_change(redis, make_stayd, database, run_backup, folder):
    key = folder / "key"
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    key.write_text(old + "\n")
    words = ("--password-file", folder / "password", "--encryption-key-file", key)
    options = options_of(database, folder)
    assert run_backup("init", url=database.url(), options=words)[0] == 0
    stayd = make_stayd(redis.url, options={**options, "at_rest.encryption_key_file": key})
    stayd.wait_trusted()
    with Shop(stayd) as shop:
        shop.visit()
        wait_shipped(stayd)
        assert "value" not in database.sql(f"SELECT value FROM {database.tables}rows", "sessions")
        key.write_text(f"{new}\n{old}\n")
        assert run_backup("init", url=database.url(), options=words)[0] == 0
        stayd.process.signal(signal.SIGHUP)
        wait_until(lambda: stayd.log_lines('"reloaded"'), 5, "the keys are read again")
        key.write_text(new + "\n")
        stayd.process.signal(signal.SIGHUP)
        wait_until(lambda: len(stayd.log_lines('"reloaded"')) == 2, 5, "and again")
        database.kill()  # connections are made anew
        database.start()
        for _ in range(5):
            shop.visit()
        wait_shipped(stayd)
    code, out, err = run_backup("get", "sess:1", url=database.url(), options=words)
    assert code == 0 and "value 1 changed" in out, err
