"""Two session libraries and a raw client, 500 requests/s together, while Sentinel or a Redis Cluster fails
over, slots move, or another [[redis]] is used: every answer is judged by the checker of the simulator, and none is an error."""

import time
from pathlib import Path

import pytest

from chaos.record import Recorder, lines_of, now_us
from chaos.resp_stream import text_of
from chaos.verdict import Occurrence, is_raw, judge
from clients.apps import PYTHON, App
from lib import clusters, sentinels
from lib.clusters import ClusterSet
from lib.processes import Process, wait_until
from lib.sentinels import SentinelSet
from lib.users import SLACK

CHAOS = Path(__file__).resolve().parents[1] / "chaos"
LIBRARIES = ["express-node-redis", "express-ioredis"]
CALM_S = 3  # before the failover, and after it


@pytest.fixture
def sentinel_set(folder, make_redis, request):
    made = SentinelSet(folder, make_redis, down_after_ms=sentinels.FAULTS[request.param][1])
    yield made
    made.end()


@pytest.fixture
def cluster(folder, network, make_redis, request):
    node_timeout_ms = clusters.FAULTS[request.param][1]
    return ClusterSet(folder, make_redis, node_timeout_ms=node_timeout_ms, network=network)


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
def crowd_at(make_stayd, folder):
    """Makes (stayd, a crowd at it) of a set of servers."""
    ending = []

    def make(servers):
        text = getattr(servers, "config_text", None)
        stayd = make_stayd(servers.url, options=servers.options, config_text=text)
        stayd.wait_trusted()
        stayd.wait_adopted()
        stayd.wait_settled()
        apps = [App(name, stayd.port, folder) for name in LIBRARIES]
        ending.extend(apps)
        ending.append(Crowd(folder, stayd, [app.start() for app in apps]))
        return stayd, ending[-1]

    yield make
    for each in reversed(ending):
        each.kill()


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


def fail_over(name, fault, shard, stayd, crowd):
    """(what has happened when, the new primary's port)"""
    old = shard.primary
    time.sleep(CALM_S)
    failover = Occurrence(name, now_us())
    fault.put_in(shard)
    port = wait_until(shard.promoted_port, 40 * SLACK, "a replica is promoted")
    promoted_us, address = now_us(), f"127.0.0.1:{port}"
    wait_until(
        lambda: address in [one["address"] for one in stayd.shards()], 10 * SLACK, "stayd follows"
    )
    stayd.wait_trusted()
    failover.out_us = now_us()
    print(
        f"{name}: promoted after {(promoted_us - failover.in_us) / 1e6:.1f} s, trusted "
        f"{(failover.out_us - promoted_us) / 1e6:.2f} s later"
    )
    time.sleep(CALM_S)
    fault.take_out(shard)
    wait_until(lambda: old.call("ROLE")[0] == b"slave", 30, "the old primary is a replica")
    time.sleep(CALM_S)
    assert stayd.metric("stayd_primary_switches_total") == 1
    return failover, port


def judge_all(crowd, stayd, holder_of_all, occurrence):
    crowd.stop()
    stayd.wait_trusted()
    keys = read_all(crowd, stayd, holder_of_all)
    verdict = judge(crowd.folder, [*crowd.paths(), crowd.path("final")], [occurrence], downs=[])
    slowest_us = max(
        line["end_us"] - line["ask_us"]
        for line in lines_of(crowd.path("load"))
        if is_raw(line) and line["end_us"] >= occurrence.in_us
    )
    print(
        f"{occurrence.fault}: {verdict.counts.get('operations')} operations on {keys} sessions; "
        f"slowest answer {slowest_us / 1e3:.0f} ms"
    )
    assert verdict.good, (verdict.violations, verdict.errors, verdict.problems, verdict.report)


WAYS = ["killed_as_in_production", "frozen", "asked_for", "cut_off"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name, sentinel_set", [(w, w) for w in WAYS], ids=WAYS, indirect=["sentinel_set"])
def test_nobody_notices(name, sentinel_set, crowd_at):
    stayd, crowd = crowd_at(sentinel_set)
    fault = sentinels.FAULTS[name][0]
    failover, port = fail_over(name, fault, sentinel_set, stayd, crowd)
    judge_all(crowd, stayd, sentinel_set.holder_of_all(port), failover)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name, cluster", [(w, w) for w in WAYS], ids=WAYS, indirect=["cluster"])
def test_nobody_notices_in_a_cluster(name, cluster, crowd_at):
    stayd, crowd = crowd_at(cluster)
    fault = clusters.FAULTS[name][0]
    failover, _ = fail_over(name, fault, cluster.shards[0], stayd, crowd)
    judge_all(crowd, stayd, cluster, failover)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("cluster", ["killed"], indirect=True)
def test_nobody_notices_that_slots_move(cluster, crowd_at):
    """400 of them, to a shard that is new."""
    stayd, crowd = crowd_at(cluster)
    time.sleep(CALM_S)
    moving, source = Occurrence("slots_move", now_us()), cluster.shards[0]
    cluster.move_slots(sorted(source.slots())[:400], source, cluster.add_shard())
    cluster.wait_whole()
    stayd.wait_trusted()
    moving.out_us = now_us()
    time.sleep(CALM_S)
    judge_all(crowd, stayd, cluster, moving)


class TwoRegions:
    """Redis a, and b in another region."""

    def __init__(self, make_redis):
        self.a, self.b = make_redis(), make_redis()
        self.url, self.options = self.a.url, {}
        self.config_text = (
            '[regions]\nfailover_after = "2s"\nfailback_after = "3s"\n'
            f'[[redis]]\nname = "a"\nurl = "{self.a.url}"\n'
            f'[[redis]]\nname = "b"\nurl = "{self.b.url}"\n'
        )


def wait_in_use(stayd, name):
    used = lambda: [r["name"] for r in stayd.status()["regions"] if r["in_use"]] == [name]  # noqa: E731
    wait_until(used, 20 * SLACK, f"{name} is used")
    stayd.wait_trusted()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_nobody_notices_that_the_region_changes(fault, make_redis, crowd_at):
    """To the second and back; the first returns with what it had when it was lost, or a second before."""
    regions = TwoRegions(make_redis)
    stayd, crowd = crowd_at(regions)
    time.sleep(CALM_S)
    old = regions.a.snapshot()
    time.sleep(1)
    change = Occurrence("region_" + fault, now_us())
    regions.a.kill() if fault == "killed" else regions.a.freeze()
    wait_in_use(stayd, "b")
    time.sleep(CALM_S)
    regions.a.restart_from(old) if fault == "killed" else regions.a.thaw()
    wait_in_use(stayd, "a")
    change.out_us = now_us()
    time.sleep(CALM_S)
    assert stayd.metric("stayd_region_switches_total") == 2
    judge_all(crowd, stayd, regions.a, change)
