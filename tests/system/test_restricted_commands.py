"""A Redis whose operator keeps some commands to himself, as managed services do: stayd never needs them.

What is denied stands in ACL LOG, which must stay empty.
"""

import pytest

from lib.failovers import users_at
from lib.processes import wait_until
from lib.sentinels import APP

# What ElastiCache restricts, and what other services do besides.
RESTRICTED = """bgrewriteaof bgsave config debug migrate replicaof save slaveof shutdown sync psync
    acl cluster failover latency module monitor role slowlog client|list client|pause client|no-evict
    script|kill memory""".split()
RULES = [f"-{command}" for command in RESTRICTED] + ["+cluster|info", "+cluster|nodes"]


def denied(node):
    """What was refused since it started."""
    entries = [dict(zip(entry[::2], entry[1::2])) for entry in node.call("ACL", "LOG")]
    return {entry[b"object"].decode() for entry in entries}


def no_complaint(stayd, *nodes):
    """Nor from `stayd check`, which asks for min-replicas-to-write by CONFIG GET where it may."""
    assert [denied(node) for node in nodes] == [set()] * len(nodes)
    code, output = stayd.check()
    assert code == 0 and "PROBLEM" not in output, output
    for node in nodes:
        assert denied(node) <= {"config|get"}
        node.call("ACL", "LOG", "RESET")


@pytest.mark.timeout(60)
def test_standalone(make_redis, make_stayd, row):
    redis = make_redis(user=[*APP, *RULES])
    url = f"redis://app:secret@127.0.0.1:{redis.port}/0"
    stayd = make_stayd(url, options={"redis.login_probe_interval": "1s"})
    stayd.wait_trusted()
    stayd.wait_adopted()
    with stayd.client() as client:
        assert client.call("CONFIG", "GET", "maxmemory").startswith("NOPERM")  # they are restricted
    assert denied(redis) == {"config|get"}
    redis.call("ACL", "LOG", "RESET")
    users = users_at(stayd, 20)
    no_complaint(stayd, redis)
    for restart in (redis.start, redis.restart_empty):
        redis.kill()
        users.go_on()
        restart()
        stayd.wait_trusted(timeout=15)
        users.go_on()
        users.wait_in_redis(redis)
        assert denied(redis) == set()
    redis.call("FLUSHALL")
    stayd.wait_trusted()
    users.go_on()
    users.wait_in_redis(redis)
    no_complaint(stayd, redis)
    wait_until(lambda: stayd.metric("stayd_login_probes_total") > 0, 10, "a login is probed")
    assert denied(redis) == set()


@pytest.mark.timeout(90)
def test_cluster(make_cluster, make_stayd, row):
    cluster = make_cluster(user=RULES)
    stayd = make_stayd(cluster.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = users_at(stayd, 30)
    no_complaint(stayd, *cluster.nodes)
    shard = cluster.shards[0]
    shard.primary.kill()
    shard.wait_promoted()
    users.go_on()
    stayd.wait_trusted(timeout=20)
    shard.primary.start()
    cluster.wait_whole()
    users.go_on()
    users.wait_in_redis(cluster)
    alone = cluster.shards[1]
    for node in alone.nodes:
        node.restart_empty()
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.go_on()
    users.wait_in_redis(cluster)
    no_complaint(stayd, *cluster.nodes)
    assert [denied(node) for node in cluster.nodes] == [set()] * 6
