"""`stayd backup` against a real PostgreSQL from which something has gone that should be there."""

import secrets
import subprocess

from lib.postgres import PASSWORD, PostgresServer
from lib.servers import stayd_binary


def test_a_lost_key_ring_is_named(folder, started):
    server = PostgresServer(folder / "postgres")
    started.append(server)
    server.start()
    server.make_database()
    password, key = folder / "password", folder / "key"
    password.write_text(PASSWORD + "\n")
    key.write_text(secrets.token_hex(32) + "\n")

    def backup(*words):
        argv = [stayd_binary(), "backup", *words, "--url", server.url(), "--password-file", password]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    with_key = ("--encryption-key-file", key)
    assert backup("init", *with_key) == (0, "")
    server.sql("DELETE FROM stayd.keys", "sessions")
    for options in ((), with_key):
        code, err = backup("get", "sess:1", *options)
        assert code == 1 and "stayd.keys is empty" in err, err
