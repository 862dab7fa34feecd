"""Redis is behind a proxy that hides which server answers: it moves to another one, no connection ends, and
the other one lacks the last writes."""

import pytest

from lib.moving_proxy import MovingProxy
from lib.processes import wait_until
from lib.replication import acknowledged
from lib.users import SLACK, Users

FOLLOWS_S = 0.1  # far less than the 0.4 s between heartbeats


@pytest.fixture
def proxy(redis):
    proxy = MovingProxy(redis.port)
    yield proxy
    proxy.close()


@pytest.fixture
def replica(redis, make_redis):
    replica = make_redis()
    redis.config_set(repl_diskless_sync_delay=0)
    assert replica.call("REPLICAOF", "127.0.0.1", redis.port) == "OK"
    in_step = lambda: replica.info("replication").get("master_link_status") == "up"  # noqa: E731
    wait_until(in_step, 10, "the replica is in step")
    assert redis.call("SET", "first", "v", "PX", 1) == "OK"
    wait_until(lambda: acknowledged(redis), 10, "Redis knows that it is")
    return replica


def heartbeat(redis):
    with redis.client() as client:
        keys = client.call("KEYS", "stayd:{}:canary:*")
        return client.call("GET", keys[0]) if keys else None


def test_what_the_next_server_lacks(proxy, redis, replica, make_stayd, row):
    """It has the heartbeat of before the last writes, but not the one behind them."""
    url = f"redis://127.0.0.1:{proxy.port}/0"
    stayd = make_stayd(url, options={"redis.hidden_servers": "true"})
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = Users(stayd)
    users.login(10)
    wait_until(lambda: heartbeat(redis) == heartbeat(replica), 5, "the replica has all")
    last = heartbeat(replica)
    wait_until(lambda: heartbeat(replica) != last, 5, "the next one is far")
    assert replica.call("REPLICAOF", "NO", "ONE") == "OK"
    last = heartbeat(redis)
    users.go_on()  # a value changes, a session ends, one begins
    wait_until(lambda: heartbeat(redis) != last, FOLLOWS_S * SLACK, "a heartbeat has followed")
    with row.shows(stayd):
        proxy.move(replica.port)
        stayd_notices = lambda: stayd.metric("stayd_canary_mismatches_total") > 0  # noqa: E731
        wait_until(stayd_notices, 2, "it is noticed")
        users.go_on()
    stayd.wait_trusted()
    users.go_on()
    users.wait_in_redis(replica)
