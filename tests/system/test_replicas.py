"""What replicas are for: what `stayd check` says of them, and what they answer while Redis is out."""

import pytest

from lib.processes import wait_until
from lib.replication import make_pair, make_replica
from lib.sentinels import SentinelSet
from lib.servers import StaydServer

# -- `stayd check` -------------------------------------------------------------------------------------


def check(folder, url, **options):
    return StaydServer(folder / "checker", url, options=options).check()[1]


def test_check_says_what_replicas_are_worth(make_redis, folder):
    primary, replica = make_pair(make_redis)
    assert "1 connected, but min-replicas-to-write is 0" in check(folder, primary.url)
    primary.config_set(min_replicas_to_write=1)
    assert "when one of them fails, Redis refuses every write" in check(folder, primary.url)
    make_replica(make_redis, primary.port)
    assert "2 connected, min-replicas-to-write is 1" in check(folder, primary.url)
    primary.config_set(min_replicas_max_lag=300)
    assert "min-replicas-max-lag is 300" in check(folder, primary.url)
    replica.freeze()
    silent = f"127.0.0.1:{replica.port} has been silent for"
    wait_until(lambda: silent in check(folder, primary.url), 10, "its silence is told")
    replica.thaw()
    user = ["SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config"]
    assert primary.call("ACL", *user) == "OK"
    as_app = {"redis.user": "app", "redis.password": "secret"}
    assert "2 connected, min-replicas-to-write is set" in check(folder, primary.url, **as_app)


@pytest.mark.timeout(60)
def test_check_says_that_nothing_can_be_promoted(make_redis, folder, make_cluster):
    servers = SentinelSet(folder, make_redis)
    try:
        for replica in servers.replicas:
            replica.kill()
        said = "no replica: the Sentinels can promote none"
        wait_until(lambda: said in check(folder, servers.url), 10, "it is told")
    finally:
        servers.end()
    cluster = make_cluster(replicas=0)
    assert check(folder, cluster.url).count("no replica: the Cluster can promote none") == 3
