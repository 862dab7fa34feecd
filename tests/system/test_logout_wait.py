"""[redis] logout_wait: a client is told of its logout when replicas have it too, or when time is up."""

import threading
import time

import pytest

from lib.processes import wait_until
from lib.replication import make_pair
from lib.sentinels import SentinelSet
from lib.users import SLACK

WAIT_S = 0.3
WAIT = {"redis.logout_wait": "300ms"}
UNREPLICATED = "stayd_logouts_unreplicated_total"


@pytest.fixture
def pair(make_redis):
    """(primary, replica)"""
    return make_pair(make_redis)


@pytest.fixture
def far_pair(make_redis, make_proxy):
    """The same; what the primary executes reaches the replica 30 ms later."""
    primary, replica, way = make_pair(make_redis, make_proxy)
    way.delay(30)
    return primary, replica


def trusted(make_stayd, redis, options):
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    stayd.wait_adopted()
    return stayd


def took(client, *command):
    """(seconds, reply)"""
    start = time.monotonic()
    reply = client.call(*command)
    return time.monotonic() - start, reply


def waits(redis):
    """How many WAITs it has been asked."""
    stats = redis.info("commandstats").get("cmdstat_wait", "calls=0")
    return int(stats.split("calls=")[1].split(",")[0])


def test_the_replica_has_it_when_the_client_is_told(far_pair, make_stayd):
    primary, replica = far_pair
    stayd = trusted(make_stayd, primary, {"redis.logout_wait": "1s"})
    with stayd.client() as client, replica.client() as look:
        for number in range(20):
            key = f"sess:{number}"
            assert client.call("SET", key, "v", "EX", 3600) == "OK"
            wait_until(lambda k=key: look.call("EXISTS", k) == 1, 5, "the replica has it")
            assert client.call("DEL", key) == 1
            assert look.call("EXISTS", key) == 0
    assert stayd.metric(UNREPLICATED) == 0


LOGOUTS = {
    "del": [["DEL", "sess:1"]],
    "getdel": [["GETDEL", "sess:1"]],
    "expire": [["EXPIRE", "sess:1", -1]],
    "multi": [["MULTI"], ["DEL", "sess:1"], ["EXEC"]],
}


@pytest.mark.parametrize("name", LOGOUTS)
def test_a_frozen_replica_delays_a_logout_and_nothing_else(pair, make_stayd, row, name):
    primary, replica = pair
    stayd = trusted(make_stayd, primary, WAIT)
    with stayd.client() as client, stayd.client() as other:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        with row.shows(stayd):
            replica.freeze()
            start = time.monotonic()
            *first, last = LOGOUTS[name]
            for command in first:
                client.call(*command)
            client.send(*last)
            wait_until(lambda: primary.call("EXISTS", "sess:1") == 0, 5, "Redis has removed it")
            for command in (["GET", "sess:1"], ["SET", "sess:2", "v"], ["GET", "sess:2"]):
                seconds, reply = took(other, *command)
                assert seconds < 0.1 * SLACK and not str(reply).startswith("ERR"), command
            assert time.monotonic() - start < WAIT_S, "too late to tell"
            reply = client.read()
            assert WAIT_S * 0.9 < time.monotonic() - start < WAIT_S + 0.15 * SLACK
            assert reply in (1, b"v", [1])
        assert stayd.metric(UNREPLICATED) == 1
        assert client.call("GET", "sess:1") is None
        replica.thaw()
        assert client.call("DEL", "sess:2") == 1
        assert stayd.metric(UNREPLICATED) == 1


def test_too_few_replicas(pair, make_stayd):
    primary, _ = pair
    stayd = trusted(make_stayd, primary, {**WAIT, "redis.logout_wait_replicas": 2})
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        seconds, reply = took(client, "DEL", "sess:1")
        assert reply == 1 and WAIT_S * 0.9 < seconds < WAIT_S + 0.15 * SLACK
    assert stayd.metric(UNREPLICATED) == 1


def test_many_logouts_share_a_wait(far_pair, make_stayd):
    primary, _ = far_pair
    stayd = trusted(make_stayd, primary, {"redis.logout_wait": "1s"})
    count = 60
    clients = [stayd.client() for _ in range(count)]
    for number, client in enumerate(clients):
        assert client.call("SET", f"sess:{number}", "v", "EX", 3600) == "OK"
    before, start = waits(primary), time.monotonic()
    threads = [
        threading.Thread(target=client.call, args=("DEL", f"sess:{number}"))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < count * 0.06 / 4, "a WAIT each would take 60 ms each"
    assert 1 <= waits(primary) - before < count / 4
    assert stayd.metric(UNREPLICATED) == 0
    assert stayd.metric("stayd_logouts_total") == count
    for client in clients:
        client.close()


def test_redis_is_lost_while_replicas_are_waited_for(pair, make_stayd):
    primary, replica = pair
    stayd = trusted(make_stayd, primary, {"redis.logout_wait": "1s"})
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        replica.freeze()
        client.send("DEL", "sess:1")
        wait_until(lambda: primary.call("EXISTS", "sess:1") == 0, 5, "Redis has removed it")
        start = time.monotonic()
        primary.kill()
        assert client.read() == 1
        assert time.monotonic() - start < 0.3 * SLACK
        assert client.call("GET", "sess:1") is None
    assert stayd.metric(UNREPLICATED) == 1


def test_wait_is_denied(pair, make_stayd):
    """Logouts are acknowledged as without it, and `stayd check` says what is missing."""
    primary, _ = pair
    user = ["SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-wait"]
    assert primary.call("ACL", *user) == "OK"
    options = {"redis.user": "app", "redis.password": "secret", "redis.logout_wait": "1s"}
    stayd = trusted(make_stayd, primary, options)
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        seconds, reply = took(client, "DEL", "sess:1")
        assert reply == 1 and seconds < 0.3 * SLACK
    assert stayd.metric(UNREPLICATED) == 1
    assert stayd.trust() == "trusted"
    assert "ACL SETUSER app +wait" in stayd.check()[1]


@pytest.mark.timeout(90)
def test_a_logout_outlives_stayd_and_the_primary(folder, make_redis, make_stayd):
    """Both end when the client has been told: the promoted replica does not have the session, and
    nobody is there to remove it."""
    servers = SentinelSet(folder, make_redis)
    try:
        options = {**servers.options, "redis.logout_wait": "1s", "redis.logout_wait_replicas": 2}
        stayd = make_stayd(servers.url, options=options)
        stayd.wait_trusted()
        with stayd.client() as client:
            for number in range(20):
                assert client.call("SET", f"sess:{number}", "v", "EX", 3600) == "OK"
            for number in range(20):
                assert client.call("DEL", f"sess:{number}") == 1
            servers.primary.kill()
            assert stayd.metric(UNREPLICATED) == 0
        stayd.kill()
        port = wait_until(servers.promoted_port, 40, "a replica is promoted")
        assert servers.redis_at(port).keys() == set()
    finally:
        servers.end()


@pytest.mark.timeout(90)
def test_each_shard_has_replicas_of_its_own(clustered):
    cluster, stayd = clustered(stayd_options=WAIT, node_timeout_ms=15_000)
    slow, *quick = cluster.shards
    with stayd.client() as client:
        keys = {shard: next(shard.keys()) for shard in cluster.shards}
        for key in keys.values():
            assert client.call("SET", key, "v", "EX", 3600) == "OK"
        slow.replicas[0].freeze()
        for shard in quick:
            seconds, reply = took(client, "DEL", keys[shard])
            assert reply == 1 and seconds < WAIT_S * 0.9
            assert shard.replicas[0].keys() == set()
        assert stayd.metric(UNREPLICATED) == 0
        seconds, reply = took(client, "DEL", keys[slow])
        assert reply == 1 and WAIT_S * 0.9 < seconds < WAIT_S + 0.15 * SLACK
        assert stayd.metric(UNREPLICATED) == 1
        slow.replicas[0].thaw()
