"""`stayd backup` against a real MariaDB: what is MariaDB's alone, and TLS."""

import json
import shutil

import pytest

from lib.certificates import Authority
from lib.mariadb import MariadbServer


@pytest.fixture
def database(start_database):
    return start_database(MariadbServer)


def test_one_that_was_killed_halfway_is_gone_on_with(backup, database):
    backup("init")
    database.sql("DELETE FROM stayd_meta; DROP TABLE stayd_rows", "sessions")
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    assert backup("stats")[0] == 0


def test_a_read_only_server_is_left_alone(backup, database):
    backup("init")
    database.sql("INSERT INTO stayd_rows VALUES (X'00', 0, 2, 1, 7, 0, 0, 0, 1, 5, 0, 0, NULL)", "sessions")
    database.sql("GRANT READ_ONLY ADMIN ON *.* TO stayd@127.0.0.1; SET GLOBAL read_only = 1")
    assert json.loads(backup("stats", "--json")[1])["writable"] is False
    code, out, err = backup("purge")
    assert code == 1 and "read-only" in err, err
    assert database.sql("SELECT COUNT(*) FROM stayd_rows", "sessions") == "1"


def test_a_user_without_rights_is_told_so(backup, database, folder):
    database.sql(
        "CREATE USER guest@127.0.0.1 IDENTIFIED BY 'guest'; GRANT SELECT ON sessions.* TO guest@127.0.0.1"
    )
    (folder / "guest").write_text("guest")
    code, out, err = backup("init", url=database.url(user="guest"), options=("--password-file", folder / "guest"))
    assert code == 1 and "denied" in err and "docs/operating.md" in err, err


def test_tls_by_default_and_verified_where_told(run_backup, folder, start_database):
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
    server = start_database(MariadbServer, **settings)
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
