"""Two session libraries and a raw client, 500 requests/s together, while Sentinel fails over: every answer
is judged by the checker of the simulator, and none is an error."""

import time
from pathlib import Path

import pytest

from chaos.record import Recorder, lines_of, now_us
from chaos.resp_stream import text_of
from chaos.verdict import Occurrence, is_raw, judge
from clients.apps import PYTHON, App
from lib.processes import Process, wait_until
from lib.sentinels import FAULTS, SentinelSet
from lib.users import SLACK

CHAOS = Path(__file__).resolve().parents[1] / "chaos"
LIBRARIES = ["express-node-redis", "express-ioredis"]
CALM_S = 3  # before the failover, and after it


@pytest.fixture
def servers(folder, make_redis, request):
    made = SentinelSet(folder, make_redis, down_after_ms=FAULTS[request.param][1])
    made.fault, made.name = FAULTS[request.param][0], request.param
    yield made
    made.end()


class Crowd:
    """load.py and pages.py, and what they have recorded."""

    def __init__(self, folder, stayd, apps):
        self.folder, self.processes = folder, []
        self._start("load", "--port", stayd.port)
        self._start("pages", *[flag for app in apps for flag in ("--app", f"{app.name}={app.port}")])
        wait_until(lambda: "started" in self.processes[0].log(), 20, "the load has begun")

    def _start(self, name, *flags):
        self.path(name).touch()
        argv = [PYTHON, CHAOS / f"{name}.py", "--seed", 1, "--history", self.path(name), *flags]
        self.processes.append(Process(name, argv, self.folder / f"{name}.log").start())

    def path(self, name):
        return self.folder / f"{name}.jsonl"

    def paths(self):
        return [self.path("load"), self.path("pages")]

    def stop(self):
        for process in self.processes:
            process.stop(timeout=40)

    def kill(self):
        for process in self.processes:
            process.kill()


@pytest.fixture
def apps(stayd, folder):
    started = [App(name, stayd.port, folder) for name in LIBRARIES]
    try:
        yield [app.start() for app in started]
    finally:
        for app in started:
            app.kill()


@pytest.fixture
def stayd(servers, make_stayd):
    server = make_stayd(servers.url, options=servers.options)
    server.wait_trusted()
    server.wait_adopted()
    return server


def read_all(crowd, stayd, primary):
    """Every key of the raw client, as stayd answers and as the new primary holds it."""
    keys = sorted({line["key"] for line in lines_of(crowd.path("load"))})
    recorder = Recorder(crowd.path("final"))
    for client, server in ((-1, stayd), (-2, primary)):
        with server.client() as connection:
            for key in keys:
                hashed = key.split(":")[1] in ("hash", "block")
                command, ask_us = ["HGETALL" if hashed else "GET", key], now_us()
                value = connection.call(*command)
                assert not isinstance(value, str), f"{key}: {value}"
                recorder.told(key, client, [command], ask_us, text_of(value, command))
    recorder.close()
    return len(keys)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "servers", ["killed_as_in_production", "frozen", "asked_for", "cut_off"], indirect=True
)
def test_nobody_notices(servers, stayd, apps, folder):
    old, crowd = servers.primary, Crowd(folder, stayd, apps)
    try:
        time.sleep(CALM_S)
        failover = Occurrence(servers.name, now_us())
        servers.fault.put_in(servers)
        port = wait_until(servers.promoted_port, 40 * SLACK, "a replica is promoted")
        promoted_us = now_us()
        address = f"127.0.0.1:{port}"
        wait_until(lambda: stayd.status()["shard"]["address"] == address, 10, "stayd follows")
        stayd.wait_trusted()
        failover.out_us = now_us()
        time.sleep(CALM_S)
        servers.fault.take_out(servers)
        wait_until(lambda: old.call("ROLE")[0] == b"slave", 30, "the old primary is a replica")
        time.sleep(CALM_S)
        crowd.stop()
    finally:
        crowd.kill()
    stayd.wait_trusted()
    keys = read_all(crowd, stayd, servers.redis_at(port))
    verdict = judge(folder, [*crowd.paths(), crowd.path("final")], [failover], downs=[])
    slowest_us = max(
        line["end_us"] - line["ask_us"]
        for line in lines_of(crowd.path("load"))
        if is_raw(line) and line["end_us"] >= failover.in_us
    )
    print(
        f"{servers.name}: {verdict.counts.get('operations')} operations on {keys} sessions; "
        f"promoted after {(promoted_us - failover.in_us) / 1e6:.1f} s, trusted "
        f"{(failover.out_us - promoted_us) / 1e6:.2f} s later; slowest answer {slowest_us / 1e3:.0f} ms"
    )
    assert verdict.good, (verdict.violations, verdict.errors, verdict.problems, verdict.report)
    assert stayd.metric("stayd_primary_switches_total") == 1
