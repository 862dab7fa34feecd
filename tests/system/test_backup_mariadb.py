"""`stayd backup` against a real MariaDB: the tables, what is in them, what may go, and TLS."""

import json
import secrets
import shutil
import subprocess
import time

import pytest

from lib.certificates import Authority
from lib.mariadb import PASSWORD, MariadbServer
from lib.servers import stayd_binary


@pytest.fixture
def mariadb(folder, started):
    server = MariadbServer(folder / "mariadb")
    started.append(server)
    server.start()
    server.make_database()
    return server


@pytest.fixture
def run_backup(folder):
    """Runs `stayd backup WORDS --url URL`; returns exit code, standard output and standard error."""
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")

    def run(*words, url, options=("--password-file", password_file)):
        argv = [stayd_binary(), "backup", *words, "--url", url, *options]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def backup(mariadb, run_backup):
    def run(*words, url=None, **more):
        return run_backup(*words, url=url or mariadb.url(), **more)

    return run


LAST_ORIGIN = 2**64 - 1


def insert(mariadb, key, state=1, expires_at_ms=0, tomb_until_ms=0, through_redis=1):
    value = "CONCAT(X'0101', 'text')" if state == 1 else "NULL"
    mariadb.sql(
        f"INSERT INTO stayd_rows VALUES (CONCAT(X'00', '{key}'), 0, {state}, {through_redis}, 7, 0, "
        f"{expires_at_ms}, 0, {tomb_until_ms}, 5, {LAST_ORIGIN}, {6 if state == 1 else 0}, {value})",
        "sessions",
    )


def test_init_can_be_said_again(backup, mariadb):
    code, out, err = backup("stats")
    assert code == 1 and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    before = mariadb.sql("SELECT * FROM stayd_meta", "sessions")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    assert mariadb.sql("SELECT * FROM stayd_meta", "sessions") == before
    mariadb_scheme = mariadb.url().replace("mysql://", "mariadb://")
    assert backup("stats", url=mariadb_scheme)[0] == 0


def test_one_that_was_killed_halfway_is_gone_on_with(backup, mariadb):
    backup("init")
    mariadb.sql("DELETE FROM stayd_meta; DROP TABLE stayd_rows", "sessions")
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    assert backup("stats")[0] == 0


def test_init_at_the_same_time(backup, mariadb, folder):
    options = ["--url", mariadb.url(), "--password-file", folder / "password"]
    argv = [str(a) for a in [stayd_binary(), "backup", "init", *options]]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    texts = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0] * 4
    assert sum("has been made" in text for text in texts) == 1, texts


def test_a_later_schema_is_left_alone(backup, mariadb):
    backup("init")
    mariadb.sql("UPDATE stayd_meta SET version = 9", "sessions")
    for words in (["init"], ["stats"], ["get", "k"], ["purge"]):
        code, out, err = backup(*words)
        assert code == 1 and "version 9" in err and "upgrade stayd" in err, err


def test_stats_and_get(backup, mariadb):
    backup("init")
    insert(mariadb, "sess:1")
    insert(mariadb, "sess:2", expires_at_ms=1000, through_redis=0)
    insert(mariadb, "sess:3", state=2)
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
    assert (row["value"], row["version"], row["origin"]) == ("text", 7, LAST_ORIGIN)
    assert json.loads(backup("get", "sess:3", "--json")[1])["state"] == "tomb"
    code, out, err = backup("get", "it's \\")
    assert code == 1 and "knows no key" in err, err
    mariadb.sql("UPDATE stayd_rows SET value = X'01ff'", "sessions")
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "byte 1: type 255" in err, err


def test_an_encrypted_one_wants_its_key(backup, mariadb, folder):
    options = {}
    for name in ("right", "wrong"):
        keys = folder / name
        keys.write_text(secrets.token_hex(32) + "\n")
        options[name] = ("--password-file", folder / "password", "--encryption-key-file", keys)
    assert backup("init", options=options["right"])[0] == 0
    insert(mariadb, "sess:1")
    code, out, err = backup("get", "sess:1", options=options["right"])
    assert code == 0 and '"value":"text"' in out, err
    code, out, err = backup("get", "sess:1", options=options["wrong"])
    assert code == 1 and "its key ring does not open" in err, err
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "no encryption key is given" in err, err
    ring = mariadb.sql("SELECT HEX(ring) FROM stayd_keys", "sessions")
    assert backup("init", options=options["wrong"])[0] == 1
    assert mariadb.sql("SELECT HEX(ring) FROM stayd_keys", "sessions") == ring
    assert backup("stats")[0] == 0


def test_purge_takes_what_nobody_needs(backup, mariadb):
    backup("init")
    now_ms = int(time.time() * 1000)
    insert(mariadb, "tomb-past", state=2, tomb_until_ms=now_ms - 1000)
    insert(mariadb, "tomb-future", state=2, tomb_until_ms=now_ms + 3_600_000)
    insert(mariadb, "tomb-never", state=2)
    insert(mariadb, "expired-lately", expires_at_ms=now_ms - 1000)
    insert(mariadb, "live")
    mariadb.sql(
        "INSERT INTO stayd_rows SELECT CONCAT(X'00', seq), 0, 1, 1, 7, 0, 1000, 0, 0, 1, 1, 3, "
        "X'010161' FROM seq_1_to_2500; INSERT INTO stayd_hosts SELECT seq, '', 1, 1, 1, "
        f"{now_ms} - seq * 3600000 FROM seq_0_to_200_step_40",
        "sessions",
    )
    assert backup("purge") == (0, "2501 rows removed\n", "")
    left = mariadb.sql("SELECT SUBSTR(row_key, 2) FROM stayd_rows", "sessions")
    assert set(left.split()) == {"tomb-future", "tomb-never", "expired-lately", "live"}
    hosts = mariadb.sql("SELECT instance FROM stayd_hosts", "sessions")
    assert set(hosts.split()) == {"0", "40", "80", "120", "160"}
    assert backup("purge") == (0, "0 rows removed\n", "")


def test_a_read_only_server_is_left_alone(backup, mariadb):
    backup("init")
    insert(mariadb, "old", state=2, tomb_until_ms=1)
    mariadb.sql("GRANT READ_ONLY ADMIN ON *.* TO stayd@127.0.0.1; SET GLOBAL read_only = 1")
    assert json.loads(backup("stats", "--json")[1])["writable"] is False
    code, out, err = backup("purge")
    assert code == 1 and "read-only" in err, err
    assert mariadb.sql("SELECT COUNT(*) FROM stayd_rows", "sessions") == "1"


def test_mistakes_are_named(backup, mariadb, folder):
    wrong = folder / "wrong"
    wrong.write_text("wrong")
    code, out, err = backup("init", options=("--password-file", wrong))
    assert code == 1 and "Access denied" in err, err
    code, out, err = backup("init", url=mariadb.url("nowhere"))
    assert code == 1 and "Access denied" in err and "docs/operating.md" in err, err
    code, out, err = backup("init", url="mysql://127.0.0.1")
    assert code == 1 and "names no database" in err, err
    mariadb.sql("CREATE USER guest@127.0.0.1 IDENTIFIED BY 'guest'; GRANT SELECT ON sessions.* TO guest@127.0.0.1")
    (folder / "guest").write_text("guest")
    code, out, err = backup("init", url=mariadb.url(user="guest"), options=("--password-file", folder / "guest"))
    assert code == 1 and "denied" in err and "docs/operating.md" in err, err
    mariadb.kill()
    code, out, err = backup("init")
    assert code == 1 and "Can't connect" in err, err


def test_tls_by_default_and_verified_where_told(run_backup, folder, started):
    """Without TLS on the server nothing is sent to it; with `verify_identity` only to the one that is named."""
    authority = Authority(folder / "right")
    stranger = Authority(folder / "wrong")
    certificate, key = authority.issue("server", "IP:127.0.0.1")
    other_certificate, other_key = authority.issue("other", "DNS:elsewhere.example")
    tls_folder = folder / "tls"
    tls_folder.mkdir(mode=0o755)
    for name, file in {"c": certificate, "k": key, "oc": other_certificate, "ok": other_key}.items():
        shutil.copy(file, tls_folder / name)
        (tls_folder / name).chmod(0o644)
    settings = {"ssl_cert": tls_folder / "c", "ssl_key": tls_folder / "k", "innodb_flush_log_at_trx_commit": 1}
    server = MariadbServer(folder / "mariadb", **settings)
    started.append(server)
    server.start()
    server.make_database()
    server.sql("ALTER USER stayd@127.0.0.1 REQUIRE SSL")
    assert run_backup("init", url=server.url(options="ssl-mode=disabled"))[0] == 1
    assert run_backup("init", url=server.url(options="ssl-mode=required"))[0] == 0
    plain = server.url().split("?")[0]
    assert run_backup("stats", url=plain)[0] == 0
    verified = f"ssl-mode=verify_identity&ssl-ca={authority.ca_file}"
    code, out, err = run_backup("stats", url=server.url(options=verified))
    assert code == 0, err
    code, out, err = run_backup("stats", url=server.url(options=verified.replace("right", "wrong")))
    assert code == 1 and "certificate" in err and stranger.ca_file.exists(), err
    server.kill()
    server.settings |= {"ssl_cert": tls_folder / "oc", "ssl_key": tls_folder / "ok"}
    server.start()
    code, out, err = run_backup("stats", url=server.url(options=verified))
    assert code == 1 and "certificate" in err, "the certificate names another host: " + err
    assert run_backup("stats", url=server.url(options="ssl-mode=required"))[0] == 0
    server.kill()
    server.settings = {k: v for k, v in server.settings.items() if not k.startswith("ssl")}
    server.start()
    server.sql("ALTER USER stayd@127.0.0.1 REQUIRE NONE")
    code, out, err = run_backup("stats", url=plain)
    assert code == 1 and "offers no TLS" in err, err
