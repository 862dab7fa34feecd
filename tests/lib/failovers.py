"""A failover under users, of a primary that Sentinels watch or of a Cluster's: nobody is logged out or
back in, and what the failover lost is in the new primary soon after its promotion.

`shard` is a SentinelSet, or the Shard of a ClusterSet.
"""

import time

from .processes import wait_until
from .users import SLACK, Users

TRUSTED_WITHIN_S = 3


def users_at(stayd, count):
    """So many users, and one who has logged out."""
    users = Users(stayd)
    users.login(count)
    users.logout(f"sess:{count}")
    return users


def fail_over(name, fault, shard, users, limit_s=1.0):
    """From a sound primary to the next one, until the old one is its replica."""
    stayd, old = users.stayd, shard.primary
    slowest = 0.0
    fault.put_in(shard)
    if name == "cut_off":
        write_what_will_be_lost(shard, users)
    promoted_port, give_up = None, time.monotonic() + 40
    while promoted_port is None:
        assert time.monotonic() < give_up, "nobody is promoted"
        users.go_on(limit_s)
        slowest = max(slowest, users.slowest)
        promoted_port = shard.promoted_port()
    promoted, address = time.monotonic(), f"127.0.0.1:{promoted_port}"

    def followed():
        nonlocal slowest
        users.go_on(limit_s)
        slowest = max(slowest, users.slowest)
        shards = stayd.shards()
        trusted = all(one["trust"] == "trusted" for one in shards)
        return trusted and any(one["address"] == address for one in shards)

    wait_until(followed, 10 * SLACK, f"stayd trusts the new primary {address}")
    took = time.monotonic() - promoted
    print(f"{name}: trusted {took:.2f} s after the promotion, slowest answer {slowest * 1e3:.0f} ms")
    assert took <= TRUSTED_WITHIN_S * SLACK
    users.wait_in_redis(shard.holder_of_all(promoted_port))
    fault.take_out(shard)
    wait_until(lambda: old.call("ROLE")[0] == b"slave", 30, "the old primary is a replica")
    users.go_on(limit_s)
    stayd.wait_trusted()
    users.wait_in_redis(shard.holder_of_all(promoted_port))


def write_what_will_be_lost(shard, users):
    while not shard.holds(key := users.login()):
        pass
    with shard.primary.client() as direct:
        direct.call("AUTH", "app", "secret")
        assert direct.call("GET", key) is not None
    assert all(key not in replica.keys() for replica in shard.replicas)
