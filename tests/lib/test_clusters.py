"""The Cluster of the tests does what a Cluster does: it fails over, loses what a failover loses, moves
slots. Without stayd."""

import time

import pytest

from lib.cluster_client import SLOTS, entry_of, slot_of
from lib.clusters import FAULTS
from lib.processes import wait_until
from lib.resp import ErrorReply


def test_slots_of_keys(make_redis):
    node = make_redis(cluster_enabled="yes")
    keys = ["", "a", "sess:1", "we}ird", "{}x", "a{}b{c}", "{", "}{", "{a}", "x{a}y{b}", "{{a}}"]
    keys += [b"\0\xff{\r\n}", b"\x80"]
    for key in keys:
        assert slot_of(key) == node.call("CLUSTER", "KEYSLOT", key), key
    assert slot_of("x{a}") == slot_of("a")


def test_line_of_a_node():
    entry = entry_of("07c3 127.0.0.1:30004@31004,name myself,master - 0 0 4 connected 1-3 7 [93-<-29]")
    assert (entry.id, entry.port, entry.primary_id) == ("07c3", 30004, "-")
    assert entry.flags == ("myself", "master") and entry.slots == {1, 2, 3, 7}


@pytest.mark.parametrize("options", [{}, {"tls": True, "password": "hidden"}], ids=["plain", "tls"])
def test_cluster_is_whole(make_cluster, options):
    cluster = make_cluster(**options)
    assert len(cluster.nodes) == 6 and len(cluster.primaries()) == SLOTS
    assert {len(shard.slots()) for shard in cluster.shards} == {5461, 5462}
    with cluster.client() as client:
        for shard in cluster.shards:
            key = next(shard.keys())
            assert client.pipeline(["SET", key, "1"], ["GET", key]) == ["OK", b"1"]
            assert shard.holds(key) and cluster.shard_of(key) is shard
            assert shard.primary.keys() == {key}
            wait_until(lambda s=shard, k=key: s.replicas[0].keys() == {k}, 5, "it is replicated")
    ports = [node.named_port for node in cluster.nodes[:2]]
    assert cluster.url.endswith(f"@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")


@pytest.mark.parametrize("name", FAULTS)
def test_fails_over(make_cluster, name):
    fault, node_timeout_ms = FAULTS[name]
    cluster = make_cluster(node_timeout_ms=node_timeout_ms)
    shard, start = cluster.shards[1], time.monotonic()
    key, late = (key for key, _ in zip(shard.keys(), range(2)))
    assert cluster.call("SET", key, "1") == "OK"
    wait_until(lambda: shard.replicas[0].keys() == {key}, 5, "it is replicated")
    old = shard.primary
    fault.put_in(shard)
    if name == "cut_off":
        assert old.call("SET", late, "1") == "OK"
    promoted = shard.wait_promoted()
    print(f"{name}: promoted after {time.monotonic() - start:.1f} s")
    assert promoted in shard.replicas
    if name == "cut_off":  # it cannot know, and refuses after the node timeout
        assert old.call("ROLE")[0] == b"master"
        assert isinstance(old.call("SET", late, "2"), ErrorReply)
    fault.take_out(shard)
    wait_until(lambda: old.call("ROLE")[0] == b"slave", 30, "the old primary is a replica")
    cluster.wait_whole()
    assert shard.primary is promoted and shard.replicas == [old]
    with cluster.client() as client:
        assert client.pipeline(["GET", key], ["GET", late]) == [b"1", None]


@pytest.mark.parametrize("options", [{}, {"tls": True, "password": "hidden"}], ids=["plain", "tls"])
def test_slots_move(make_cluster, options):
    """To a primary that is new; keys are reachable at every step."""
    cluster = make_cluster(replicas=0, **options)
    source, target = cluster.shards[0], cluster.add_shard()
    slot, steps = min(source.slots()), []
    tag = next(key for key in source.keys("") if slot_of(key) == slot)
    keys = [f"{{{tag}}}{n}" for n in range(15)]
    with cluster.client() as client:
        for key in keys:
            assert client.call("SET", key, "1") == "OK"

        for step in cluster.steps_of_move(slot, source, target):
            steps.append((step, len(source.primary.keys()), len(target.primary.keys())))
            for key in (keys[0], keys[14]):
                assert client.call("GET", key) == b"1", step
    assert steps == [
        ("open", 15, 0), ("some", 5, 10), ("some", 0, 15), ("all", 0, 15), ("told", 0, 15),
        ("closed", 0, 15),
    ]  # fmt: skip
    assert target.slots() == {slot} and slot not in source.slots()
    wait_until(lambda: cluster.primary_of(slot) is target.primary, 5, "all know it")


def test_a_move_is_given_up(make_cluster):
    """Of the keys that come back, one is in the source anew."""
    cluster = make_cluster(replicas=0)
    source, target = cluster.shards[:2]
    tag = next(source.keys(""))
    keys = [f"{{{tag}}}{n}" for n in range(15)]
    for key in keys:
        assert cluster.call("SET", key, "1") == "OK"
    next(step for step in cluster.steps_of_move(slot_of(tag), source, target) if step == "some")
    gone = target.primary.keys()
    assert len(gone) == 10 and len(source.primary.keys()) == 5
    assert source.primary.call("CLUSTER", "SETSLOT", slot_of(tag), "STABLE") == "OK"
    assert source.primary.call("SET", sorted(gone)[0], "2") == "OK"
    cluster.give_up_move(slot_of(tag), source, target)
    assert source.primary.keys() == set(keys) and target.primary.keys() == set()
    assert cluster.call("GET", sorted(gone)[0]) == b"2"


@pytest.mark.parametrize("full_coverage", [True, False])
def test_dead_shard(make_cluster, full_coverage):
    cluster = make_cluster(replicas=0, full_coverage=full_coverage)
    dead, other = cluster.shards[0], cluster.shards[1]
    key = next(other.keys())
    dead.primary.kill()
    if full_coverage:
        wait_until(
            lambda: str(other.primary.call("GET", key)).startswith("CLUSTERDOWN"), 10, "all is down"
        )
    else:
        id = dead.primary.id
        wait_until(lambda: "fail" in flags(other.primary)[id], 10, "it is found dead")
        assert other.primary.call("GET", key) is None
    dead.primary.start()
    cluster.wait_whole()


def flags(node):
    lines = node.call("CLUSTER", "NODES").decode().splitlines()
    return {entry.id: entry.flags for entry in map(entry_of, lines)}


def test_address_moves(make_cluster):
    cluster = make_cluster(node_timeout_ms=5_000)
    shard = cluster.shards[0]
    key, port = next(shard.keys()), shard.primary.port
    assert cluster.call("SET", key, "1") == "OK"
    cluster.move_address(shard.primary)
    cluster.wait_whole()
    assert shard.primary.port != port
    wait_until(lambda: cluster.primary_of(slot_of(key)) is shard.primary, 10, "all know it")
    assert cluster.call("GET", key) == b"1"
