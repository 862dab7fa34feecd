"""Every part of `./dev bench` runs, with values so small that its figures mean nothing; and the load
generator finds what it is there to find."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.processes import wait_until
from lib.resp import Client

ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "build/release/bench/load/session_load"

# part, or part-variant -> flags
SMALL = {
    "throughput": "--requests 2000 --latency-count 100 --targets redis,stayd",
    "throughput-cluster": "--requests 2000 --latency-count 100 --targets cluster,stayd-cluster",
    "outage": "--sessions 500 --rate 200 --before 0.5 --seconds 1.6",
    "recovery": "--sessions 500 --rate 200",
    "failover": "--of sentinel --rate 100 --kinds cut_off --down-after 0.6",
    "failover-cluster": "--of cluster --rate 100 --kinds cut_off --down-after 0.6",
    "memory": "--connections 100 --sessions 500",
    "start": "--sessions 500",
}
SHOWS = {
    "throughput": "latency of one client",
    "outage": "Redis: idle",
    "recovery": "first PONG until TRUSTED",
    "failover": "stayd: acknowledged writes lost",
    "memory": "each of 100 idle connections",
    "start": "after kill -9: GET of a session",
}


def bench(*args):
    argv = [sys.executable, ROOT / "bench/bench.py", *args]
    run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.timeout(120)  # Sentinels take their time to make the old primary a replica
@pytest.mark.parametrize("name", SMALL)
def test_part_runs(name):
    part = name.split("-")[0]
    assert SHOWS[part] in bench(part, "--runs", 1, *SMALL[name].split())


def test_help_names_every_part():
    text = bench("--help")
    assert all(part in text for part in SHOWS)


class Load:
    """session_load on a Redis that a test disturbs."""

    def __init__(self, redis, seconds, rate=200):
        argv = [LOAD, "--port", redis.port, "--seconds", seconds, "--sessions", 500]
        argv += ["--rate", rate, "--connections", 5]
        self.child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, text=True)
        self.started = json.loads(self.child.stdout.readline())["started_ms"] / 1000

    def result(self):
        text, _ = self.child.communicate(timeout=30)
        assert self.child.returncode == 0
        return json.loads(text)


def total(result, field):
    return sum(piece[field] for piece in result["slices"])


def test_load_on_a_healthy_redis(redis):
    result = Load(redis, 1).result()
    assert (result["errors"], result["wrong"]) == ({}, {})
    assert total(result, "count") == 200


def test_load_finds_lost_sessions(redis):
    load = Load(redis, 1)
    redis.call("FLUSHALL")
    assert load.result()["wrong"]["nil for a live session"] > 400


def test_load_finds_sessions_that_are_back(redis):
    redis.call("CONFIG", "SET", "save", "")
    load = Load(redis, 1)
    redis.call("SAVE")
    time.sleep(max(0, load.started + 0.9 - time.time()))
    redis.call("DEBUG", "RELOAD", "NOSAVE")
    wrong = load.result()["wrong"]
    assert wrong["a value after logout"] > 0
    assert wrong["older than acknowledged"] > 0


def test_load_counts_errors(redis):
    load = Load(redis, 1)
    redis.kill()
    result = load.result()
    assert sum(result["errors"].values()) > 150
    assert total(result, "count") == 200


def test_latency_counts_from_when_a_request_was_due(redis):
    """Redis stands still for half a second: a hundred requests were due then, and each one waited."""
    load = Load(redis, 1.5)
    threading.Timer(0.7, redis.thaw).start()
    time.sleep(0.2)
    redis.freeze()
    result = load.result()
    kinds = [pairs for piece in result["slices"] for pairs in piece["buckets"].values()]
    slow = sum(count for pairs in kinds for us, count in pairs if us > 100_000)
    assert slow > 50
    assert max(piece["max_us"] for piece in result["slices"]) > 400_000


def test_failover_counts_lost_writes_and_errors(redis):
    sys.path.insert(0, str(ROOT / "bench"))
    from failover import Writer

    writer = Writer(lambda: Client(redis.port, timeout=1), rate=200)
    wait_until(lambda: len(writer.acknowledged) > 20, 10, "writes")
    redis.call("FLUSHALL")
    before = len(writer.acknowledged)
    wait_until(lambda: len(writer.acknowledged) > before + 20, 10, "writes after the loss")
    redis.kill()
    wait_until(lambda: writer.errors > 5, 10, "errors")
    writer.end()
    redis.start()
    assert writer.lost(redis) == len(writer.acknowledged)  # it kept nothing on disk
    again = Writer(lambda: Client(redis.port, timeout=1), rate=200)
    wait_until(lambda: len(again.acknowledged) > 20, 10, "writes")
    again.end()
    assert (again.lost(redis), again.errors) == (0, 0)
