"""stayd with a shared backup in front of a real Redis: `[backup]` of the configuration."""

import time

import pytest

from lib.databases import PASSWORD
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=["postgres", "mariadb"])
def database(request, start_database):
    return start_database(request.param)


@pytest.fixture
def backup_options(database, backup, folder):
    """Flags of a stayd that uses the fixture `database`, which has been prepared."""
    code, _, err = backup("init")
    assert code == 0, err
    return {"backup.url": database.url(), "backup.password_file": folder / "password"}


def wait_shipped(stayd, timeout=10):
    def shipped():
        state = stayd.status()["backup"]
        return state["writable"] and state["unshipped"] == state["put_off"]

    wait_until(shipped, timeout, "the backup has every row")


def test_sessions_survive_the_loss_of_host_and_redis(make_redis, make_stayd, backup_options):
    redis = make_redis()
    first = make_stayd(redis.url, options=backup_options)
    first.wait_trusted()
    with first.client() as client:
        for i in range(300):
            assert client.call("SET", f"sess:{i}", f"value {i}", "EX", 3600) == "OK"
        assert client.call("HSET", "cart", "a", "1", "b", "2") == 2
        for i in range(0, 300, 3):
            assert client.call("DEL", f"sess:{i}") == 1
    wait_shipped(first)
    first.kill()
    redis.restart_empty()
    second = make_stayd(redis.url, options=backup_options)  # with a ledger of its own
    second.wait_trusted()
    with second.client() as client:
        for i in range(300):
            want = None if i % 3 == 0 else f"value {i}".encode()
            assert client.call("GET", f"sess:{i}") == want, i
        assert client.call("HGETALL", "cart") == [b"a", b"1", b"b", b"2"]
        assert 3500 < client.call("TTL", "sess:1") <= 3600
    wait_until(lambda: len(redis.keys()) == 201, 10, "Redis has them too")
