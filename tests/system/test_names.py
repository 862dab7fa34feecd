"""Redis is given by a name: the name is unknown, its server fails or is silent, or it moves."""

import time

import pytest

from lib.names import NameServer
from lib.processes import wait_until
from lib.users import SILENT_LIMIT_S, Users

CACHE_S = 5  # how long stayd does not ask again


@pytest.fixture
def names():
    names = NameServer()
    yield names
    names.close()


@pytest.fixture
def start(redis, make_stayd, folder, names):
    """A stayd that knows Redis as redis.test."""

    def start(wait="ready"):
        url = f"redis://redis.test:{redis.port}/0"
        return make_stayd(url, wait=wait, prefix=names.prefix(folder))

    return start


def test_name_is_unknown(start, names, row):
    stayd = start(wait="live")
    with row.shows(stayd):
        wait_until(lambda: "does not resolve" in stayd.status()["shard"]["reason"], 5, "it is said")
        assert stayd.metric("stayd_connect_failures_total") > 0
        names.addresses["redis.test"] = "127.0.0.1"
        stayd.wait_trusted(timeout=15)


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_name_server_fails(start, redis, names, row, fault):
    """Redis is back while names do not resolve: its last good address serves on."""
    names.addresses["redis.test"] = "127.0.0.1"
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    names.fault = fault
    with row.shows(stayd):
        redis.kill()
        users.go_on()
        asked = names.asked
        time.sleep(CACHE_S + 0.2)  # until what was resolved is not taken for fresh any more
        users.go_on(limit_s=SILENT_LIMIT_S)
        wait_until(lambda: names.asked > asked, 10, "the name is asked for again")
        redis.start()
        stayd.wait_trusted(timeout=10)
    users.wait_in_redis(redis)


def test_name_moves(start, redis, make_redis, names, row):
    names.addresses["redis.test"] = "127.0.0.1"
    other = make_redis(host="127.0.0.2", port=redis.port)
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    with row.shows(stayd):
        names.addresses["redis.test"] = "127.0.0.2"
        redis.kill()
        users.go_on()
        stayd.wait_trusted(timeout=15)
    users.wait_in_redis(other)
