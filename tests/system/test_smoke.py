"""The promise in its shortest form. When these fail, look here before anything else."""

import pytest

from lib.users import SILENT_LIMIT_S, SLACK, Users


@pytest.fixture
def users(stayd):
    users = Users(stayd)
    users.login(10)
    return users


def test_commands_go_through(client, redis):
    assert client.call("PING") == "PONG"
    assert client.call("SET", "sess:1", "a", "EX", 100) == "OK"
    assert redis.call("GET", "sess:1") == b"a"
    assert client.call("GET", "sess:1") == b"a"
    assert client.call("DEL", "sess:1") == 1
    assert redis.call("GET", "sess:1") is None
    assert client.call("GET", "sess:1") is None


def test_pipeline_keeps_order(client):
    sets = client.pipeline(*[["SET", f"sess:{i}", i, "EX", 100] for i in range(500)])
    assert sets == ["OK"] * 500
    gets = client.pipeline(*[["GET", f"sess:{i}"] for i in range(500)])
    assert gets == [str(i).encode() for i in range(500)]


def test_side_keys_are_invisible(client):
    client.call("SET", "sess:1", "a", "EX", 100)
    assert client.call("KEYS", "*") == [b"sess:1"]
    assert client.call("DBSIZE") == 1
    assert client.call("SCAN", 0)[1] == [b"sess:1"]


def test_killed_redis_is_not_noticed(users, redis):
    redis.kill()
    users.go_on()


def test_sessions_are_back_in_redis_after_an_empty_restart(users, redis):
    redis.restart_empty()
    users.wait_in_redis(redis)
    users.go_on()


def test_logout_during_an_outage_holds(users, redis):
    redis.kill()
    users.logout("sess:3")
    redis.wipe()
    redis.start()
    users.wait_in_redis(redis)
    users.read_all()


def test_logout_holds_when_redis_restarts_from_an_old_snapshot(users, redis):
    snapshot = redis.snapshot()
    users.logout("sess:3")
    users.update("sess:4")
    redis.restart_from(snapshot)
    users.read_all()
    users.wait_in_redis(redis)
    users.read_all()


def test_frozen_redis_delays_nobody_for_long(users, redis):
    redis.freeze()
    users.go_on(limit_s=SILENT_LIMIT_S)
    redis.thaw()
    users.wait_in_redis(redis)


def test_black_hole(proxied, redis):
    stayd, proxy = proxied
    users = Users(stayd)
    users.login(10)
    proxy.blackhole()
    users.go_on(limit_s=SILENT_LIMIT_S)
    proxy.heal()
    stayd.wait_trusted()
    users.wait_in_redis(redis)
    users.go_on()


def test_status_page_says_what_is_believed(stayd, redis):
    assert stayd.trust() == "trusted"
    assert stayd.metric("stayd_canary_writes_total") > 0
    redis.kill()
    with stayd.client(timeout=2 * SLACK) as client:
        client.call("GET", "sess:1")
    assert stayd.trust() == "out"
    assert stayd.http("/livez")[0] == 200
