"""The host fails under stayd or under Redis: disk errors, clocks, a file torn at its end, a hang."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lib.faults import failing_calls
from lib.processes import wait_until
from lib.users import SLACK, Users

DISK_CALLS = "write,pwrite64,fdatasync"


def ledger_log(stayd):
    """The file that the ledger's next write goes to."""
    return max((stayd.folder / "ledger/db").glob("*.log"))


# -- the ledger's disk gives errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("calls", ["fdatasync", DISK_CALLS], ids=["sync_fails", "writes_fail"])
def test_ledger_disk_errors(stayd, redis, row, calls):
    """Redis answers on. A logout is taken, holds against an older snapshot, and is counted."""
    with stayd.client() as client:
        for number in (1, 2, 3):
            assert client.call("SET", f"sess:{number}", "v", "EX", 3600) == "OK"
        snapshot = redis.snapshot()
        with row.shows(stayd), failing_calls(stayd, calls, ledger_log(stayd)):
            assert client.call("DEL", "sess:1") == 1
            assert client.call("GET", "sess:1") is None
            assert client.call("SET", "sess:2", "w", "EX", 3600) == "OK"
            assert client.call("GET", "sess:2") == b"w"
            assert redis.call("GET", "sess:2") == b"w"
            assert redis.call("EXISTS", "sess:1") == 0
            wait_until(lambda: stayd.log_lines("ledger_unwritable"), 5 * SLACK, "it is logged")
        wait_until(lambda: client.call("SET", "sess:3", "w") == "OK" and mended(stayd), 10, "mended")
        redis.restart_from(snapshot)
        assert client.call("GET", "sess:1") is None
        stayd.wait_trusted(timeout=15)
        assert redis.call("EXISTS", "sess:1") == 0
        assert client.call("GET", "sess:3") == b"w"


def mended(stayd):
    return stayd.metric("stayd_ledger_ok") == 1


def test_strict_logout(redis, make_stayd, row):
    """A logout that cannot be made durable is refused instead."""
    stayd = make_stayd(redis.url, options={"strict_logout": "true"})
    stayd.wait_trusted()
    stayd.wait_adopted()
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        with row.shows(stayd), failing_calls(stayd, DISK_CALLS, ledger_log(stayd)):
            reply = client.call("DEL", "sess:1")
            assert reply == "ERR stayd: the logout could not be made durable"
        wait_until(lambda: client.call("SET", "sess:2", "w") == "OK" and mended(stayd), 10, "mended")
        assert client.call("DEL", "sess:1") == 1
        assert client.call("GET", "sess:1") is None


# -- Redis' host ------------------------------------------------------------------------------------------------


def test_torn_aof(make_redis, make_stayd, row):
    """Redis' host loses power: the last writes are cut off in the middle of one, logouts among them."""
    redis = make_redis(appendonly="yes", appendfsync="everysec")
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(30)
    (aof,) = (redis.folder / "appendonlydir").glob("*.incr.aof")
    wait_until(lambda: b"user-30" in aof.read_bytes(), 5, "the AOF has the logins")
    kept = aof.stat().st_size
    for number in range(1, 6):
        users.logout(f"sess:{number}")
    users.update("sess:6")
    users.login()
    wait_until(lambda: b"user-31" in aof.read_bytes(), 5, "the AOF has the rest")
    with row.shows(stayd):
        redis.kill()
        os.truncate(aof, kept + 7)
        redis.start()
        assert "Truncating the AOF" in redis.process.log()
        users.read_all()
        stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


@pytest.fixture
def other_clock(folder):
    """A function: the command that runs another one whose clock is wrong by so many seconds."""
    library = folder / "other_clock.so"
    source = Path(__file__).parents[1] / "lib/other_clock.c"
    subprocess.run(["clang-19", "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
    return lambda seconds: ["env", f"LD_PRELOAD={library}", f"CLOCK_OFFSET_S={seconds}"]


@pytest.mark.parametrize("offset_s", [3600, -3600], ids=["ahead", "behind"])
def test_clocks_differ(make_redis, make_stayd, other_clock, row, offset_s):
    """Sessions live as long as they should, by stayd's clock as by Redis'; put back as well."""
    redis = make_redis(prefix=other_clock(offset_s))
    seconds = int(redis.call("TIME")[0])
    assert abs(seconds - time.time() - offset_s) < 60, "the clocks do not differ"
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    keys = ["sess:for", "sess:touched", "sess:read"]

    def check(call):
        for key in keys:
            assert 90_000 < call("PTTL", key) <= 100_000 + 1000 * SLACK, key

    with stayd.client() as client:
        assert client.call("SET", "sess:for", "v", "EX", 100) == "OK"
        assert client.call("HSET", "sess:touched", "a", "1") == 1
        assert client.call("EXPIRE", "sess:touched", 100) == 1
        # Only Redis knows what a script did: the expiry is read back.
        script = "return redis.call('SET', KEYS[1], 'v', 'PX', 100000)"
        assert client.call("EVAL", script, 1, "sess:read") == "OK"
        check(client.call)
        with row.shows(stayd):
            redis.kill()
            check(client.call)
            assert client.call("EXPIRE", "sess:for", 100) == 1
            # A time that is named is by the clock of this host, which is the applications'.
            assert client.call("SET", "sess:at", "v", "EXAT", int(time.time()) + 100) == "OK"
            keys.append("sess:at")
            redis.start()
            check(client.call)
            stayd.wait_trusted(timeout=15)
        check(client.call)
        check(redis.call)


# -- stayd hangs, or its clients come late ---------------------------------------------------------------------


def test_watchdog(redis, make_stayd, folder, row):
    """As systemd sees it: a hanging stayd feeds the watchdog no more, and the next one knows it all."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(5)
        env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "600000"}
        stayd = make_stayd(redis.url, env=env)
        stayd.wait_trusted()
        users = Users(stayd)
        users.login(10)
        wait_until(lambda: systemd.recv(4096) == b"WATCHDOG=1", 5, "the watchdog is fed")
        with row.shows(stayd):
            stayd.freeze()
            systemd.settimeout(0.6)
            with pytest.raises(TimeoutError):
                while True:
                    systemd.recv(4096)
            stayd.restart()
            users.client = stayd.client()
            users.go_on()
            stayd.wait_trusted()
        systemd.settimeout(5)
        wait_until(lambda: systemd.recv(4096) == b"WATCHDOG=1", 5, "the watchdog is fed again")


def test_commands_queued_by_a_client_through_an_outage(redis, make_stayd, row):
    """A library keeps its commands while stayd restarts and sends them afterwards: the save of before
    the logout does not bring the session back, where a fence is configured."""
    config = '[[sessions]]\nmatch = "sess:*"\nfence = "30s"\n'
    stayd = make_stayd(redis.url, config_text=config)
    stayd.wait_trusted()
    stayd.wait_adopted()
    assert stayd.call("SET", "sess:1", "v", "EX", 3600) == "OK"
    assert stayd.call("SET", "sess:2", "v", "EX", 3600) == "OK"
    queued = [["SET", "sess:1", "late", "EX", 3600], ["SET", "sess:2", "a"], ["SET", "sess:2", "b"]]
    redis.kill()
    stayd.restart(wait="live")
    assert stayd.call("DEL", "sess:1") == 1
    with stayd.client() as client, row.shows(stayd):
        assert client.pipeline(*queued) == ["OK"] * 3
    redis.start()
    stayd.wait_trusted(timeout=15)
    assert stayd.call("GET", "sess:1") is None
    assert redis.call("EXISTS", "sess:1") == 0
    assert redis.call("GET", "sess:2") == b"b"
