"""Packets vanish in the kernel, as in a real network: no proxy that accepts and acknowledges."""

import pytest

from lib.processes import wait_until
from lib.users import SILENT_LIMIT_S, SLACK, Users


@pytest.fixture
def users(network, make_redis, make_stayd):
    """Users of a stayd; all of it, this test too, in the network."""
    redis = make_redis()
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = Users(stayd)
    users.redis = redis
    users.login(20)
    return users


LOST = {
    "all": ["tcp dport {port}", "tcp sport {port}"],
    "to_redis": ["tcp dport {port}"],
    "from_redis": ["tcp sport {port}"],
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_packets_are_dropped(network, users, row, lost):
    stayd, redis = users.stayd, users.redis
    with row.shows(stayd):
        for what in lost:
            network.drop(what.format(port=redis.port))
        for _ in range(3):
            users.go_on(limit_s=SILENT_LIMIT_S)
        wait_until(
            lambda: "timed out" in stayd.status()["shard"]["reason"], 5 * SLACK, "connects fail too"
        )
        users.go_on(limit_s=SILENT_LIMIT_S)
    network.heal()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


def test_one_packet_in_ten_is_dropped(network, users, row):
    """TCP repeats them after 200 ms: users are answered in time by whoever can."""
    stayd, redis = users.stayd, users.redis
    with row.shows(stayd):
        network.drop(f"tcp dport {redis.port} numgen random mod 10 < 1")
        for _ in range(10):
            users.go_on(limit_s=SILENT_LIMIT_S)
    network.heal()
    stayd.wait_trusted(timeout=40)
    users.wait_in_redis(redis)
