"""stayd itself dies, freezes or has no disk left."""

import time

import pytest

from lib.faults import fill
from lib.processes import wait_until
from lib.servers import find
from lib.users import Users


@pytest.fixture
def users(stayd):
    users = Users(stayd)
    users.login(30)
    return users


def reconnect(users):
    users.client.close()
    users.client = users.stayd.client()


def test_ends_with_sigterm(users, stayd):
    assert stayd.stop() == 0
    stayd.start()
    reconnect(users)
    users.go_on()


def test_killed_while_redis_is_up(users, stayd, redis):
    users.logout("sess:5")
    stayd.restart()
    reconnect(users)
    stayd.wait_trusted()
    users.go_on()
    redis.kill()
    users.go_on()


@pytest.mark.parametrize("write", ["changed", "created", "taken"])
def test_killed_with_a_write_on_its_way(write, redis, make_proxy, make_stayd):
    """Redis had executed a write, its reply had not reached stayd, and stayd was killed: reads showed
    what Redis held, the next outage what the ledger held."""
    patient = {
        "redis.command_deadline": "4s",
        "redis.command_deadline_max": "4s",
        "redis.heartbeat_interval": "1s",
        "redis.heartbeat_deadline": "900ms",
    }
    proxy = make_proxy(redis.port)
    stayd = make_stayd(f"redis://127.0.0.1:{proxy.port}/0", options=patient)
    stayd.wait_trusted()
    before = None if write == "created" else b"v0"
    if before:
        stayd.call("SET", "sess:1", before)
    written = stayd.metric("stayd_canary_writes_total")
    wait_until(  # the first may have been under way already
        lambda: stayd.metric("stayd_canary_writes_total") > written + 1, 5, "heartbeats cover it"
    )
    command = ("GETDEL", "sess:1") if write == "taken" else ("SET", "sess:1", "v1")
    after = None if write == "taken" else b"v1"
    proxy.blackhole("to_client")
    with stayd.client() as client:
        client.send(*command)
        wait_until(lambda: redis.call("GET", "sess:1") == after, 5, "Redis has executed it")
        stayd.kill()
    proxy.heal()
    stayd.start()
    stayd.wait_trusted()
    assert stayd.metric("stayd_leftover_keys_total") == 1
    assert stayd.log_lines("leftovers_read")
    assert stayd.call("GET", "sess:1") == after
    redis.kill()
    assert stayd.call("GET", "sess:1") == after


def test_killed_during_an_outage(users, stayd, redis):
    """What was acknowledged is in the ledger: logins, changes and logouts of the outage too."""
    redis.kill()
    users.go_on()
    stayd.kill()
    stayd.start(wait="live")
    reconnect(users)
    users.go_on()
    redis.start()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)
    users.go_on()


def test_killed_and_redis_rolled_back(users, stayd, redis):
    """A logout survives the loss of stayd's memory and an old snapshot in Redis."""
    snapshot = redis.snapshot()
    users.logout("sess:5")
    users.update("sess:6")
    stayd.kill()
    redis.restart_from(snapshot)
    stayd.start()
    reconnect(users)
    users.read_all()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


def test_started_while_redis_is_out(make_redis, make_stayd):
    redis = make_redis(start=False)
    stayd = make_stayd(redis.url, wait="live")
    with stayd.client() as client:
        assert client.call("PING") == "PONG"
    redis.start()
    stayd.wait_trusted(timeout=15)
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "a", "EX", 100) == "OK"


@pytest.mark.timeout(90)
def test_frozen_longer_than_its_trust_lasts(users, stayd, redis):
    """Awake again after 4 s, stayd must not believe the Redis that was emptied meanwhile."""
    stayd.freeze()
    redis.restart_empty()
    time.sleep(4)  # the freeze itself, not a wait for something
    stayd.thaw()
    users.read_all()
    users.wait_in_redis(redis)
    users.go_on()


def test_ledger_disk_full(small_disk, redis, make_stayd):
    """Redis serves on; a logout is always taken; with space again all is as before."""
    stayd = make_stayd(redis.url, options={"ledger.path": small_disk / "ledger"})
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    filler = fill(small_disk)
    with stayd.client() as client:
        # More than the ledger's preallocated log (18 MB) and its ballast (8 MB) hold.
        for number in range(800):
            client.call("SET", f"bulk:{number}", "x" * 50_000, "EX", 100)
    assert find(stayd.status(), "last_error"), "the ledger did not notice its full disk"
    users.read_all()
    users.logout("sess:3")
    users.logout("sess:4")
    assert stayd.metric("stayd_logouts_degraded_total") == 0, "the ballast did not help"
    users.read_all()
    stayd.process.must_be_alive()
    filler.unlink()
    wait_until(lambda: stayd.http("/readyz")[0] == 200, 15, "stayd is ready again")
    users.go_on()


def test_start_on_a_full_disk(small_disk, redis, make_stayd):
    """RocksDB could end the process with an assertion. The ballast makes room; without one, a sentence."""
    ledger = small_disk / "ledger"
    stayd = make_stayd(redis.url, options={"ledger.path": ledger})
    users = Users(stayd)
    users.login(10)
    assert stayd.stop() == 0
    filler = fill(small_disk)
    stayd.start()
    reconnect(users)
    users.read_all()
    users.logout("sess:3")
    assert stayd.stop() == 0
    (ledger / "ballast").unlink(missing_ok=True)
    fill(small_disk)
    stayd.start(wait=None)
    wait_until(lambda: not stayd.process.alive, 10, "it does not start")
    assert stayd.process.child.returncode == 1
    assert "is full: 0 KB are free" in (stayd.folder / "stayd.log").read_text()
    filler.unlink()
    stayd.start()
    reconnect(users)
    users.go_on()


GARBAGE = {
    "negative_bulk": b"*1\r\n$-5\r\n",
    "endless_array": b"*9999999999\r\n",
    "endless_line": b"GET " + b"x" * 70000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_ends_only_its_own_connection(users, stayd, garbage):
    with stayd.client() as client:
        client.raw(garbage)
        assert client.read().startswith("ERR Protocol error")
        assert client.closed()
    users.go_on()
