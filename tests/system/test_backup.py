"""stayd with a shared backup in front of a real Redis: `[backup]` of the configuration."""

import pytest

from lib.backups import Shop, wait_shipped
from lib.dynamodb import KEYS, DynamodbServer
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until


@pytest.fixture(
    params=[PostgresServer, MariadbServer, DynamodbServer], ids=["postgres", "mariadb", "dynamodb"]
)
def database(request, start_database, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return start_database(request.param, **request.param.keeps_commits)


def test_sessions_survive_the_loss_of_host_and_redis(redis, make_sharer, lose_all):
    first = make_sharer()
    with Shop(first) as shop:
        for _ in range(100):
            shop.visit()
        assert shop.client.call("HSET", "cart", "a", "1", "b", "2") == 2
    wait_shipped(first)
    second = lose_all(first)  # with a ledger of its own
    shop.check(second)
    with second.client() as client:
        assert client.call("HGETALL", "cart") == [b"a", b"1", b"b", b"2"]
        assert 3500 < client.call("TTL", "sess:1") <= 3600
    wait_until(lambda: len(redis.keys()) == len(shop.live) + 1, 10, "Redis has them too")
    shop.check(redis)


def test_sessions_of_before_the_backup_are_shipped(redis, make_stayd, backup_options, lose_all):
    redis.call("SET", "sess:old", "older than the ledger")
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    with Shop(stayd) as shop:
        for _ in range(30):
            shop.visit()
    stayd.stop()
    stayd.options |= backup_options
    stayd.start()
    stayd.wait_trusted()
    shop.check(stayd)
    wait_shipped(stayd)
    other = lose_all(stayd)
    shop.check(other)
    assert other.call("GET", "sess:old") == b"older than the ledger"


def test_an_orderly_end_ships_everything(redis, make_sharer):
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for _ in range(50):
            shop.visit()
    assert stayd.stop() == 0
    redis.restart_empty()
    shop.check(make_sharer())


def test_killed_in_the_middle_of_writes(make_sharer, lose_all):
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for _ in range(40):
            shop.visit()
        for i in range(200):  # some are under way when it dies
            shop.client.send("SET", f"late:{i}", "x", "EX", 3600)
        acknowledged = 0
        while acknowledged < 60:
            assert shop.client.read() == "OK"
            acknowledged += 1
        stayd.kill()
    stayd.start()
    stayd.wait_trusted()
    wait_shipped(stayd)
    other = lose_all(stayd)
    shop.check(other)
    for i in range(acknowledged):
        assert other.call("GET", f"late:{i}") == b"x", i


def test_a_life_without_the_backup_is_made_up_for(make_sharer, backup_options, lose_all):
    stayd = make_sharer()
    with stayd.client() as client:
        for key in ("ended", "changed", "again"):
            assert client.call("SET", key, "v1") == "OK"
    wait_shipped(stayd)
    stayd.stop()
    with_backup, stayd.options = stayd.options, {k: v for k, v in stayd.options.items() if k not in backup_options}
    stayd.start()
    stayd.wait_trusted()
    with stayd.client() as client:
        assert client.call("DEL", "ended", "again") == 2
        assert client.call("SET", "changed", "v2") == "OK"
        assert client.call("SET", "again", "v2") == "OK"
    stayd.stop()
    stayd.options = with_backup
    stayd.start()
    stayd.wait_trusted()
    wait_until(lambda: stayd.metric("stayd_backup_shipped_total") >= 3, 10, "it is written to the backup")
    wait_shipped(stayd)
    other = lose_all(stayd)
    assert [other.call("GET", key) for key in ("ended", "changed", "again")] == [None, b"v2", b"v2"]


def test_a_new_host_in_front_of_an_old_snapshot(redis, make_sharer):
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for i in range(30):
            assert shop.client.call("SET", f"then:{i}", "in the snapshot") == "OK"
        snapshot = redis.snapshot()
        for _ in range(30):
            shop.visit()
        for i in range(20):
            assert shop.client.call("DEL", f"then:{i}") == 1
        assert shop.client.call("SET", "then:20", "changed") == "OK"
    wait_shipped(stayd)
    stayd.kill()
    redis.restart_from(snapshot)
    other = make_sharer()
    for server in (other, redis):
        shop.check(server)
        values = [server.call("GET", f"then:{i}") for i in range(30)]
        assert values == [None] * 20 + [b"changed"] + [b"in the snapshot"] * 9
