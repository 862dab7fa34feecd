"""With a shared backup Redis is repaired by other scripts than without: under a lease, and only where it
still holds what it was compared with. Here they run in a real Redis."""

import pytest

from lib.backups import wait_shipped
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=["postgres", "mariadb"])
def database(request, start_database):
    return start_database(request.param, **request.param.keeps_commits)


ALL_BYTES = bytes(range(256))
WRITES = [
    ("SET", "string", "plain"),
    ("SET", "string:binary", ALL_BYTES * 8),
    ("SET", "string:empty", ""),
    ("SET", "string:number", "12345678901234567890"),
    ("SET", "string:large", b"\r\n\0x" * 60_000),
    ("SET", "string:expires", "soon", "PX", 3_600_123),
    ("HSET", "hash", "field", "value", "", "empty name", ALL_BYTES, ALL_BYTES),
    ("HSET", "hash:large", *[word for i in range(700) for word in (f"f{i}", f"v{i}" * 20)]),
    ("RPUSH", "list", "b", "a", "a", "", ALL_BYTES),
    ("RPUSH", "list:large", *[f"item {i}" for i in range(1500)]),
    ("SADD", "set:numbers", *range(300)),
    ("SADD", "set", "x", "", ALL_BYTES),
    ("ZADD", "zset", "1", "one", "-inf", "low", "+inf", "high", "0.1", "tenth", "1e300", ALL_BYTES),
    ("ZADD", "zset:large", *[word for i in range(400) for word in (i / 7, f"m{i}")]),
]
READ = {
    "string": lambda redis, key: redis.call("GET", key),
    "hash": lambda redis, key: sorted(zip(*[iter(redis.call("HGETALL", key))] * 2)),
    "list": lambda redis, key: redis.call("LRANGE", key, 0, -1),
    "set": lambda redis, key: sorted(redis.call("SMEMBERS", key)),
    "zset": lambda redis, key: redis.call("ZRANGE", key, 0, -1, "WITHSCORES"),
}


def contents(redis):
    """{key: (type, value, when it expires)} of all but stayd's own keys."""
    found = {}
    with redis.client() as client:
        for key in redis.keys():
            kind = str(client.call("TYPE", key))
            found[key] = (kind, READ[kind](client, key), client.call("PEXPIRETIME", key))
    return found


@pytest.fixture
def filled(redis, make_stayd, backup_options):
    """(stayd, what Redis holds): every type, written through stayd."""
    stayd = make_stayd(redis.url, options=backup_options)
    stayd.wait_trusted()
    with stayd.client() as client:
        for command in WRITES:
            assert not str(client.call(*command)).startswith("ERR"), command
        for i, command in enumerate(WRITES):
            if i % 2:
                assert client.call("PEXPIRE", command[1], 7_200_000 + i) == 1
    wait_shipped(stayd)
    before = contents(redis)
    assert len(before) == len(WRITES)
    return stayd, before


def same(got, want):
    """Expiry is kept in absolute time, and may be off by what the clocks seem to differ."""
    assert got.keys() == want.keys()
    for key, (kind, value, expires) in want.items():
        assert got[key][:2] == (kind, value), key
        assert abs(got[key][2] - expires) <= 1000, (key, expires, got[key][2])


def scripts_run(redis):
    return int(redis.info("commandstats").get("cmdstat_evalsha", "calls=0").split("=")[1].split(",")[0])


def test_an_emptied_redis_is_filled_byte_for_byte(filled, redis):
    stayd, before = filled
    redis.restart_empty()
    wait_until(lambda: len(redis.keys()) == len(before), 20, "Redis has every key")
    stayd.wait_trusted()
    same(contents(redis), before)
    assert scripts_run(redis) > 0 and stayd.metric("stayd_repairs_total") >= len(before)
    leases = [key for key in redis.call("KEYS", "stayd:{*lease*")]
    assert all(0 < redis.call("PTTL", key) <= 10_000 for key in leases), leases


def test_a_new_host_fills_an_emptied_redis_byte_for_byte(filled, redis, make_stayd, backup_options):
    stayd, before = filled
    stayd.kill()
    redis.restart_empty()
    other = make_stayd(redis.url, options=backup_options)
    other.wait_trusted()
    wait_until(lambda: len(redis.keys()) == len(before), 20, "Redis has every key")
    same(contents(redis), before)


def test_what_an_old_snapshot_brings_back_is_replaced(filled, redis):
    stayd, before = filled
    snapshot = redis.snapshot()
    with stayd.client() as client:
        assert client.call("SET", "string", "changed") == "OK"
        assert client.call("HDEL", "hash", "field") == 1
        assert client.call("LPUSH", "list", "first") == 6
        assert client.call("SREM", "set", "x") == 1
        assert client.call("ZADD", "zset", "2", "one") == 0
        assert client.call("DEL", "string:large") == 1
        assert client.call("DEL", "set:numbers") == 1 and client.call("SET", "set:numbers", "now text") == "OK"
        assert client.call("PERSIST", "list:large") == 1
        assert client.call("SET", "string:new", "new") == "OK"
    wait_shipped(stayd)
    after = contents(redis)
    assert after != before
    redis.restart_from(snapshot)
    stayd.wait_trusted()
    wait_until(lambda: redis.keys() == after.keys(), 20, "Redis has these keys and no others")
    same(contents(redis), after)


def test_written_during_an_outage(filled, redis):
    stayd, before = filled
    redis.freeze()
    wait_until(lambda: stayd.trust() != "trusted", 10, "Redis is out")
    with stayd.client() as client:
        for command in WRITES:
            assert client.call("DEL", command[1]) == 1
        again = [command for command in WRITES if command[0] in ("SET", "HSET")][1:]
        for command in again:
            assert not str(client.call(*command)).startswith("ERR"), command
    redis.thaw()
    stayd.wait_trusted()
    got = contents(redis)
    assert got.keys() == {command[1] for command in again}
    for key, (kind, value, _) in got.items():
        assert (kind, value) == before[key][:2], key
