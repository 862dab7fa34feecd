"""Every way in which Redis stops working: users go on as before, and afterwards Redis is right.

One table, one test: FAULTS of tests/lib/faults.py names what is broken and how it is mended. stayd reaches Redis through the
fault proxy. A failure reads "test_users_notice_nothing[loading] ... an error: GET sess:3 -> ...".
"""

import time

import pytest

from lib.faults import FAULTS, World, fill
from lib.processes import wait_until
from lib.users import Users


@pytest.fixture
def world(redis, proxied, folder):
    _, proxy = proxied
    return World(redis, proxy, folder)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_users_notice_nothing(fault, proxied, world, redis):
    stayd, _ = proxied
    users = Users(stayd)
    users.login(12)
    users.logout("sess:12")
    fault.put_in(world)
    for _ in range(3):
        users.go_on(fault.limit_s)
    fault.take_out(world)
    users.go_on()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)
    users.go_on()


def test_new_connections_during_an_outage(stayd, redis):
    """Applications reconnect, and PHP does for each request: the handshake needs no Redis."""
    users = Users(stayd)
    users.login(5)
    redis.kill()
    for proto in (2, 3):
        with stayd.client(proto=proto) as client:
            assert client.call("PING") == "PONG"
            assert client.call("SELECT", 0) == "OK"
            assert client.call("CLIENT", "SETINFO", "LIB-NAME", "test") == "OK"
            assert b"loading:0" in client.call("INFO")
            assert client.call("GET", "sess:1") == b"user-1"


@pytest.mark.timeout(90)
def test_flapping(stayd, redis):
    """Redis dies and returns empty again and again; between and during it, all is as it should be."""
    users = Users(stayd)
    users.login(10)
    for _ in range(8):
        redis.kill()
        users.go_on()
        redis.wipe()
        redis.start()
        users.go_on()
    stayd.wait_trusted(timeout=40)
    users.wait_in_redis(redis)
    users.go_on()


@pytest.mark.timeout(90)
def test_outage_longer_than_the_deadline_of_a_heartbeat(stayd, redis):
    """The probe that finds Redis again works however long Redis was away."""
    users = Users(stayd)
    users.login(5)
    redis.freeze()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        users.go_on()
    redis.thaw()
    stayd.wait_trusted(timeout=10)
    users.wait_in_redis(redis)


def test_password_rotation(make_redis, make_stayd, folder):
    """Rotated: the old password is refused; the new one is read from its file, without a signal."""
    redis = make_redis(password="old")
    secret = folder / "password"
    secret.write_text("old\n")
    stayd = make_stayd(redis.url, options={"redis.password_file": secret})
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    with redis.client() as admin:
        assert admin.call("CONFIG", "SET", "requirepass", "new") == "OK"
        redis.password = "new"
        assert admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") >= 1
    users.go_on()
    secret.write_text("new\n")
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


def test_redis_cannot_write_its_aof(small_disk, make_redis, make_stayd, folder):
    """MISCONF by a full disk: Redis reads on, and refuses every write, deletes too."""
    redis = make_redis(appendonly="yes", appendfsync="everysec", dir=small_disk)
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    filler = fill(small_disk)

    def refused():
        return str(redis.call("SET", "x", "y" * 10000)).startswith("MISCONF")

    wait_until(refused, 10, "Redis says MISCONF")
    users.go_on()
    users.go_on()
    filler.unlink()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis, timeout=10)
