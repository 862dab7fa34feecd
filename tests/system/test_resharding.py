"""Slots of a Redis Cluster move to another shard under their users, key by key as redis-cli moves them:
an outage of a few keys. Then the new shard fails, and may not have forgotten what came to it.
"""

import time

import pytest

from lib.cluster_client import slot_of
from lib.clusters import FAULTS, slots_of
from lib.failovers import fail_over, users_at
from lib.processes import wait_until
from lib.users import SILENT_LIMIT_S, BusyUsers, Users



def users_of(shard, stayd, count):
    """Users whose sessions are all in one slot of it."""
    users = Users(stayd, prefix=f"{{{next(shard.keys())}}}:")
    users.login(count)
    return users


def slot(users):
    return slot_of(users.prefix)


def begin_move(cluster, users, source, target):
    """Ten keys of theirs have gone, and nobody goes on with the others."""
    steps = cluster.steps_of_move(slot(users), source, target)
    assert next(step for step in steps if step == "some")


def settled(cluster, stayd, *all_users, within_s=5):
    cluster.wait_whole()
    stayd.wait_trusted()
    for users in all_users:
        users.wait_in_redis(cluster, within_s)
        users.go_on(SILENT_LIMIT_S)


@pytest.mark.timeout(120)
def test_slots_move_under_load(clustered):
    """Those of many sessions, to a shard that has others and to one that is new."""
    cluster, stayd = clustered()
    users, source = users_at(stayd, 60), cluster.shards[0]
    busy = BusyUsers(users, SILENT_LIMIT_S)
    fresh = cluster.add_shard()
    for target in (cluster.shards[1], fresh):
        live = {slot_of(f"sess:{n}") for n in range(1, 61)}
        slots = sorted(source.slots() & live)[:8]
        assert len(slots) == 8
        cluster.move_slots(slots, source, target)
    for target in cluster.shards[1], fresh:  # and back
        cluster.move_slots(sorted(target.slots() & live)[:3], target, source)
    rounds = busy.rounds
    wait_until(lambda: busy.problem or busy.rounds > rounds + 2, 20, "users go on")
    busy.end()
    print(f"{busy.rounds} rounds, slowest answer {busy.slowest * 1e3:.0f} ms")
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
def test_every_step_of_a_slot(clustered):
    """Users of this slot change something at every step of its way, logouts among it."""
    cluster, stayd = clustered()
    source, target = cluster.shards[0], cluster.shards[1]
    users = users_of(source, stayd, 25)

    for _ in cluster.steps_of_move(slot(users), source, target):
        keys = list(users.live)
        users.logout(keys[3])  # one that has gone or not, by the order of Redis
        users.update(keys[4])
        for _ in range(3):
            users.go_on(SILENT_LIMIT_S)
    assert slot(users) in target.slots()
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
def test_keys_that_are_no_sessions(make_cluster, make_stayd):
    """They go where their slot goes: nothing of them is in the ledger."""
    cluster = make_cluster(replicas=0)
    stayd = make_stayd(cluster.url, config_text='[[sessions]]\nmatch = "sess:*"\n')
    stayd.wait_trusted()
    source, target = cluster.shards[:2]
    tag = next(source.keys())
    with stayd.client() as client:
        for n in range(25):
            assert client.call("SET", f"{{{tag}}}{n}", n) == "OK"
        for step in cluster.steps_of_move(slot_of(tag), source, target):
            for n in range(25):
                assert client.call("GET", f"{{{tag}}}{n}") == str(n).encode(), (step, n)
                assert client.call("SET", f"{{{tag}}}{n}", n) == "OK", (step, n)
            assert client.call("SET", f"{{{tag}}}{step}", step) == "OK", step
            assert client.call("INCR", f"{{{tag}}}count") > 0, step
        stayd.wait_trusted()
        assert client.call("GET", f"{{{tag}}}open") == b"open"
        assert client.call("GET", f"{{{tag}}}count") == b"7"
    assert len(target.primary.keys()) == 25 + 5 + 1 and not source.primary.keys()


@pytest.mark.timeout(120)
def test_slot_stays_half_open(clustered):
    """The tool that moved it died: its keys are answered for as long as it takes."""
    cluster, stayd = clustered()
    source, target = cluster.shards[0], cluster.shards[1]
    users, others = users_of(source, stayd, 25), users_at(stayd, 30)

    begin_move(cluster, users, source, target)
    for _ in range(20):
        users.go_on(SILENT_LIMIT_S)
        others.go_on(SILENT_LIMIT_S)
    cluster.move_slots([slot(users)], source, target)
    settled(cluster, stayd, users, others)


@pytest.mark.timeout(120)
def test_slot_moves_back_before_it_has_moved(clustered):
    """SETSLOT STABLE after the first keys have gone, then those are moved back, as redis-cli mends it."""
    cluster, stayd = clustered()
    source, target = cluster.shards[0], cluster.shards[1]
    users = users_of(source, stayd, 25)
    begin_move(cluster, users, source, target)
    wait_until(
        lambda: users.go_on(SILENT_LIMIT_S) or stayd.status()["cluster"]["moving"] == str(slot(users)),
        5, "stayd has heard that the slot is on its way",
    )  # fmt: skip
    assert source.primary.call("CLUSTER", "SETSLOT", slot(users), "STABLE") == "OK"
    users.go_on(SILENT_LIMIT_S)
    stayd.wait_trusted()  # Redis has said of those who have logged out that it has no such keys
    cluster.give_up_move(slot(users), source, target)
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
def test_slot_leaves_and_comes_back_unheard(clustered):
    """stayd stands still meanwhile, and ten sessions are lost where they were: the heartbeat of the shard,
    which is in another slot, does not tell of it. The config-epoch does."""
    cluster, stayd = clustered()
    source, target = cluster.shards[:2]
    users = users_of(source, stayd, 25)
    vouched = time.time() + 1
    wait_until(
        lambda: all(shard["last_heartbeat_ms"] / 1e3 > vouched for shard in stayd.shards()),
        5,
        "heartbeats that vouch for them",
    )
    stayd.freeze()
    cluster.move_slots([slot(users)], source, target)
    assert target.primary.call("DEL", *list(users.live)[:10]) == 10
    cluster.move_slots([slot(users)], target, source)
    stayd.thaw()
    wait_until(lambda: len(source.primary.keys()) >= 25, 20, "they are written again")
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
def test_all_slots_of_a_shard_move_away(clustered):
    """A shard comes, and goes: the last slot makes its primary a replica of who got it."""
    cluster, stayd = clustered(replicas=0)
    users, source = users_at(stayd, 30), cluster.shards[0]
    slots = sorted(source.slots() & {slot_of(key) for key in users.live})
    busy = BusyUsers(users, SILENT_LIMIT_S)
    passing = cluster.add_shard()
    cluster.move_slots(slots, source, passing)
    wait_until(lambda: len(stayd.shards()) == 4, 10, "stayd knows four shards")
    stayd.wait_trusted()
    cluster.move_slots(slots, passing, source)
    wait_until(lambda: passing.primary.call("ROLE")[0] == b"slave", 20, "it has nothing to serve")
    wait_until(lambda: len(stayd.shards()) == 3, 10, "stayd knows three shards")
    busy.end()
    cluster.shards.remove(passing)
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("which", [min, max], ids=["lowest", "highest"])
def test_slot_of_the_heartbeat_moves(clustered, which):
    """stayd's own keys are in slots too, and MIGRATE takes them along."""
    cluster, stayd = clustered()
    source, target = cluster.shards[:2]
    users = users_at(stayd, 30)
    busy = BusyUsers(users, SILENT_LIMIT_S)
    for _ in range(3):
        cluster.move_slots([which(source.slots())], source, target)
    busy.end()
    settled(cluster, stayd, users)
    fail_over("killed", FAULTS["killed"][0], target, users, SILENT_LIMIT_S)
    settled(cluster, stayd, users)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("whom", ["source", "target"])
def test_primary_dies_while_a_slot_moves(clustered, whom):
    cluster, stayd = clustered()
    source, target = cluster.shards[0], cluster.shards[1]
    stayd.wait_settled()
    users, others = users_of(source, stayd, 25), users_at(stayd, 30)
    dying, fault = {"source": source, "target": target}[whom], FAULTS["killed"][0]
    begin_move(cluster, users, source, target)
    fault.put_in(dying)
    while not dying.promoted_port():
        users.go_on(SILENT_LIMIT_S)
        others.go_on(SILENT_LIMIT_S)
    users.go_on(SILENT_LIMIT_S)
    fault.take_out(dying)
    dying.follow()
    cluster.give_up_move(slot(users), source, target)
    settled(cluster, stayd, users, others, within_s=30)


@pytest.mark.timeout(120)
def test_failover_takes_back_what_came_with_the_slot(clustered, network):
    """Its keys came by MIGRATE, not from stayd: the new primary has the slot and none of them."""
    cluster, stayd = clustered()
    source, target = cluster.shards[0], cluster.shards[1]
    users = users_of(source, stayd, 25)
    replica = target.replicas[0].config["bind-source-addr"]
    network.drop(f"ip daddr {replica} tcp sport {target.primary.port}")  # no more replication
    cluster.move_slots([slot(users)], source, target)
    stayd.wait_trusted()
    users.logout(list(users.live)[5])
    users.go_on(SILENT_LIMIT_S)
    assert len(target.primary.keys()) >= 24 and not target.replicas[0].keys()
    wait_until(
        lambda: slot(users) in slots_of(target.primary, asked=target.replicas[0]),
        10, "its replica knows of the slot",
    )  # fmt: skip
    old = target.primary
    old.kill()
    network.heal()
    promoted = target.wait_promoted()
    assert slot(users) in slots_of(promoted, asked=promoted)
    users.go_on(SILENT_LIMIT_S)
    stayd.wait_trusted()
    users.wait_in_redis(cluster)
    old.start()
    settled(cluster, stayd, users)

