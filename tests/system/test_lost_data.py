"""Redis works and has forgotten: emptied, rolled back, flushed, evicted. Its nil is not believed."""

import pytest

from lib.history import recorded_users
from lib.processes import wait_until
from lib.users import Users


@pytest.fixture
def users(stayd):
    users = Users(stayd)
    users.login(50)
    return users


def test_restarted_empty(users, redis):
    redis.restart_empty()
    users.go_on()
    users.wait_in_redis(redis)
    users.go_on()


def test_restarted_empty_twice_before_it_was_mended(users, redis):
    redis.restart_empty()
    redis.restart_empty()
    users.go_on()
    users.wait_in_redis(redis)


def test_old_snapshot(users, redis):
    """Values and logouts since the snapshot are newer than what Redis now holds."""
    snapshot = redis.snapshot()
    for number in range(1, 11):
        users.update(f"sess:{number}")
    for number in range(11, 21):
        users.logout(f"sess:{number}")
    new = users.login()
    redis.restart_from(snapshot)
    users.read_all()
    users.wait_in_redis(redis)
    assert new in users.live
    users.go_on()


def test_old_snapshot_after_an_outage_with_logouts(users, redis):
    snapshot = redis.snapshot()
    redis.kill()
    for number in range(11, 21):
        users.logout(f"sess:{number}")
    redis.restart_from(snapshot)
    users.read_all()
    users.wait_in_redis(redis)


def test_flushed_under_a_live_connection(users, redis):
    """FLUSHALL past stayd. Window W4: what is read within one second may be believed."""
    redis.call("FLUSHALL")
    users.wait_in_redis(redis)
    users.go_on()


def test_flushed_and_read_at_once(users, redis):
    """No read gets nil, not even the first: a missing key of a known session is looked into."""
    redis.call("FLUSHALL")
    users.read_all()


def test_evicted(users, redis):
    """Memory pressure evicts sessions in silence; a plain nil follows."""
    redis.config_set(maxmemory_policy="allkeys-random")
    used = int(redis.info("memory")["used_memory"])
    redis.config_set(maxmemory=used + 300_000)
    for number in range(3000):
        redis.call("SET", f"other:{number}", "x" * 1000)
    assert any("holds None" in problem for problem in users.problems_in(redis)), "none was evicted"
    users.read_all()
    redis.config_set(maxmemory=0)
    users.stayd.wait_trusted()  # the heartbeat may have been evicted too
    users.read_all()
    users.wait_in_redis(redis)


def test_deleted_past_stayd_is_a_logout(users, redis):
    """With Redis healthy, a key that somebody deleted there stays deleted."""
    redis.call("DEL", "sess:7")
    users.forget("sess:7")
    users.read_all()
    redis.restart_empty()
    users.wait_in_redis(redis)
    users.read_all()


def test_expired_is_expired(stayd, client, redis):
    """What ended by itself is not mended, in an outage or after it."""
    assert client.call("SET", "sess:short", "a", "PX", 300) == "OK"
    wait_until(lambda: client.call("GET", "sess:short") is None, 2, "the session has expired")
    assert client.call("SET", "sess:later", "a", "PX", 600) == "OK"
    redis.kill()
    assert client.call("GET", "sess:later") == b"a"
    wait_until(lambda: client.call("GET", "sess:later") is None, 2, "it expires during an outage")
    redis.start()
    stayd.wait_trusted()
    assert client.call("GET", "sess:later") is None
    assert redis.keys() == set()


def test_known_before_stayd_came(redis, make_stayd):
    """Sessions that were in Redis before are taken over, and survive its loss."""
    for number in range(500):
        redis.call("SET", f"sess:{number}", f"user-{number}", "EX", 1000)
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    redis.kill()
    with stayd.client() as client:
        for number in range(500):
            assert client.call("GET", f"sess:{number}") == f"user-{number}".encode()


@pytest.mark.timeout(120)
def test_history_of_many_users_through_many_losses(stayd, redis):
    """Eight users in parallel; Redis is killed, emptied, rolled back and flushed meanwhile."""
    losses = [
        redis.restart_empty,
        lambda: redis.call("FLUSHALL"),
        lambda: redis.restart_from(snapshot),
        redis.restart_empty,
    ]
    with recorded_users(stayd, 8) as history:
        for lose in losses:
            snapshot = redis.snapshot()
            history.wait_progress(300)
            lose()
            history.wait_progress(300)
