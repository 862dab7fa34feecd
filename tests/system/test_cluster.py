"""Shards of a Redis Cluster fail, one at a time: users go on, nobody is logged out or back in, the other
shards are not concerned, and what a failover lost is in the new primary within 3 s of its promotion.

Real Clusters of three primaries, most with a replica each; the URL names two of the nodes.
"""

import time

import pytest

from lib.cluster_client import slot_of
from lib.clusters import FAULTS, Killed
from lib.failovers import fail_over, users_at
from lib.processes import wait_until
from lib.users import SILENT_LIMIT_S, SLACK, Users



def shard_of_first(cluster):
    """In which users change something all the time (sess:1)."""
    return cluster.shard_of("sess:1")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", [*FAULTS, "killed_over_tls"])
def test_failover(clustered, name):
    fault, node_timeout_ms = FAULTS[name.removesuffix("_over_tls")]
    cluster, stayd = clustered(node_timeout_ms=node_timeout_ms, tls=name.endswith("tls"))
    users = users_at(stayd, 30)
    fail_over(name, fault, shard_of_first(cluster), users, SILENT_LIMIT_S)
    cluster.wait_whole()
    users.go_on(SILENT_LIMIT_S)
    assert stayd.metric("stayd_primary_switches_total") == 1


@pytest.mark.timeout(120)
def test_each_shard_fails_over_in_turn(clustered):
    """Twice around: at the end each old primary has its part again."""
    cluster, stayd = clustered()
    users = users_at(stayd, 30)
    for shard in cluster.shards * 2:
        fail_over("asked_for", FAULTS["asked_for"][0], shard, users, SILENT_LIMIT_S)
        cluster.wait_whole()
    assert stayd.metric("stayd_primary_switches_total") == 6


@pytest.mark.timeout(120)
def test_all_shards_fail_over_at_once(clustered):
    cluster, stayd = clustered()
    users = users_at(stayd, 30)
    for shard in cluster.shards:
        FAULTS["asked_for"][0].put_in(shard)
    for shard in cluster.shards:
        shard.wait_promoted()
        users.go_on(SILENT_LIMIT_S)
    cluster.wait_whole()
    users.go_on(SILENT_LIMIT_S)
    stayd.wait_trusted()
    users.wait_in_redis(cluster)


@pytest.mark.timeout(60)
def test_primary_returns_empty_before_the_failover(clustered):
    cluster, stayd = clustered(node_timeout_ms=5_000)
    users, shard = users_at(stayd, 30), shard_of_first(cluster)
    Killed().put_in(shard)
    users.go_on(SILENT_LIMIT_S)
    Killed().take_out(shard)
    users.go_on(SILENT_LIMIT_S)
    cluster.wait_whole()
    stayd.wait_trusted()
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)
    assert stayd.metric("stayd_primary_switches_total") == 0


# -- one shard is out, the others are not ---------------------------------------------------------------------


def trust_epochs(stayd, but):
    """{address: trust epoch} of the other shards; each must be trusted."""
    addresses = {f"127.0.0.1:{node.port}" for node in but.nodes}
    shards = [one for one in stayd.shards() if one["address"] not in addresses]
    assert all(one["trust"] == "trusted" for one in shards), shards
    return {one["address"]: one["trust_epoch"] for one in shards}


def users_of_others(cluster, shard, stayd):
    """Users whose sessions are all in another shard."""
    other = next(one for one in cluster.shards if one is not shard)
    users = Users(stayd, prefix=f"{{{next(other.keys())}}}:")
    users.login(10)
    return users


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["killed", "frozen"])
def test_other_shards_are_not_concerned(clustered, name):
    """They are asked all the time and stay trusted; the ledger answers nothing of theirs."""
    fault, node_timeout_ms = FAULTS[name]
    cluster, stayd = clustered(node_timeout_ms=node_timeout_ms, full_coverage=False)
    shard = shard_of_first(cluster)
    others, users = users_of_others(cluster, shard, stayd), users_at(stayd, 30)
    before = trust_epochs(stayd, but=shard)
    assert len(before) == 2
    fault.put_in(shard)
    while not shard.promoted_port():
        users.go_on(SILENT_LIMIT_S)
        from_ledger = stayd.metric("stayd_replies_from_ledger_total")
        others.go_on(SILENT_LIMIT_S)
        assert stayd.metric("stayd_replies_from_ledger_total") == from_ledger
        assert trust_epochs(stayd, but=shard) == before
    stayd.wait_trusted()
    assert trust_epochs(stayd, but=shard) == before
    fault.take_out(shard)
    cluster.wait_whole()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("full_coverage", [True, False], ids=["full_coverage", "partial_coverage"])
def test_shard_without_replica(clustered, full_coverage):
    """It stays dead for a while. With full coverage the others refuse everything then."""
    cluster, stayd = clustered(replicas=0, full_coverage=full_coverage)
    users, shard = users_at(stayd, 30), shard_of_first(cluster)
    other = next(one for one in cluster.shards if one is not shard)
    before = trust_epochs(stayd, but=shard)
    shard.primary.kill()
    found_dead = f"{shard.primary.id} 127.0.0.1:{shard.primary.port}@"

    def dead():
        users.go_on(SILENT_LIMIT_S)
        lines = other.primary.call("CLUSTER", "NODES").decode().splitlines()
        return any(line.startswith(found_dead) and "master,fail " in line for line in lines)

    wait_until(dead, 20, "the others find it dead")
    for _ in range(10):
        users.go_on(SILENT_LIMIT_S)
    if full_coverage:
        wait_until(
            lambda: all(one["trust"] == "out" for one in stayd.shards()), 5, "all shards are out"
        )
    else:
        assert trust_epochs(stayd, but=shard) == before
    users.go_on(SILENT_LIMIT_S)
    shard.primary.start()  # empty
    users.go_on(SILENT_LIMIT_S)
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)


@pytest.mark.timeout(90)
def test_stayd_is_killed_while_a_shard_is_out(clustered):
    cluster, stayd = clustered(replicas=0, full_coverage=False)
    users, shard = users_at(stayd, 30), shard_of_first(cluster)
    shard.primary.kill()
    users.go_on(SILENT_LIMIT_S)
    for _ in range(2):
        stayd.restart()
        users.client = stayd.client()
        users.read_all()
        users.go_on()
    wait_until(
        lambda: [one["trust"] for one in stayd.shards()].count("trusted") == 2, 10,
        "the others are trusted",
    )
    users.go_on(SILENT_LIMIT_S)
    shard.primary.start()
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)


@pytest.mark.timeout(90)
def test_stayd_starts_while_no_seed_answers(clustered):
    """It has its ledger. The other nodes are up, but nobody has named them."""
    cluster, stayd = clustered()
    users = users_at(stayd, 30)
    seeds = cluster.nodes[:2]
    for seed in seeds:
        seed.freeze()
    stayd.restart()
    users.client = stayd.client()
    users.go_on()
    for seed in seeds:
        seed.thaw()
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)


@pytest.mark.timeout(120)
def test_minority_of_primaries(clustered):
    """Two of three primaries are gone with their replicas: the third refuses everything."""
    cluster, stayd = clustered()
    users = users_at(stayd, 30)
    gone = [node for shard in cluster.shards[1:] for node in shard.nodes]
    for node in gone:
        node.freeze()
    end = time.monotonic() + 5 * SLACK
    while time.monotonic() < end:
        users.go_on(SILENT_LIMIT_S)
    for node in gone:
        node.thaw()
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)


def test_writes_of_all_slots_spread(clustered):
    """What users write is where a client of the Cluster looks for it."""
    cluster, stayd = clustered()
    users = users_at(stayd, 60)
    assert {cluster.shard_of(key).primary.port for key in users.live} == {
        shard.primary.port for shard in cluster.shards
    }
    assert len({slot_of(key) for key in users.live}) > 50
    assert not users.problems_in(cluster)
