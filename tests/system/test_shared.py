"""Two stayds with ledgers of their own on one Redis, and a stayd that only observes."""

import json

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK


@pytest.fixture
def pair(redis, make_stayd):
    """Two stayds that know of each other."""
    stayds = [make_stayd(redis.url), make_stayd(redis.url)]
    for stayd in stayds:
        stayd.wait_trusted()
        stayd.wait_adopted()
    wait_until(lambda: all(map(shared, stayds)), 30 * SLACK, "both have noticed the other")
    return stayds


def shared(stayd):
    return stayd.status()["shard"]["shared_unsafe"]


def events(stayd):
    lines = [line for line in stayd.log_lines() if line.startswith("{")]
    return {json.loads(line).get("event") for line in lines}


@pytest.mark.timeout(90)
def test_two_stayds_notice_each_other(pair, redis):
    """Each says so, on every page and in its log."""
    for stayd in pair:
        assert "shared_unsafe" in events(stayd)
        assert stayd.metric("stayd_shard_shared_unsafe") == 1
        status, body = stayd.http("/readyz")
        assert status == 200 and "note: another stayd works on this Redis" in body


def test_one_stayd_is_alone(stayd):
    """Its own restart leaves an entry of its own, not of another."""
    stayd.restart()
    stayd.wait_trusted()
    wait_until(lambda: stayd.status()["shard"]["last_heartbeat_ms"] > 0, 5, "it has a heartbeat")
    assert shared(stayd) is False
    assert stayd.metric("stayd_shard_shared_unsafe") == 0
    assert "shared_unsafe" not in events(stayd)


@pytest.mark.timeout(90)
def test_a_logout_through_one_is_not_healed_by_the_other(pair, redis):
    """The other's ledger holds the session, Redis does not any more: it stays logged out."""
    one, two = pair
    with one.client() as a, two.client() as b:
        assert a.call("SET", "sess:1", "v") == "OK"
        assert b.call("SET", "sess:1", "w") == "OK"
        assert b.call("SET", "sess:2", "w") == "OK"
        assert b.call("GET", "sess:1") == b"w"
        assert a.call("DEL", "sess:1") == 1
        assert b.call("GET", "sess:1") is None
        assert b.call("EXISTS", "sess:1") == 0
        kills = redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert kills >= 2
        for stayd in pair:
            stayd.wait_trusted()
        for client in (a, b):
            assert client.call("GET", "sess:1") is None
            assert client.call("GET", "sess:2") == b"w"
        assert redis.keys() == {"sess:2"}


@pytest.mark.timeout(90)
def test_a_login_through_one_outlives_the_others_tombstone(pair, redis):
    """Logged out here, logged in there under the same id: the tombstone must not delete that."""
    one, two = pair
    with one.client() as a, two.client() as b:
        assert a.call("SET", "sess:1", "v") == "OK"
        assert a.call("DEL", "sess:1") == 1
        assert b.call("SET", "sess:1", "new") == "OK"
        assert a.call("GET", "sess:1") == b"new"
        redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for stayd in pair:
            stayd.wait_trusted()
        assert a.call("GET", "sess:1") == b"new"
        assert redis.call("GET", "sess:1") == b"new"


@pytest.mark.timeout(90)
def test_two_stayds_and_an_emptied_redis(pair, redis):
    """What each of them knows is put back, once, where Redis has nothing."""
    one, two = pair
    with one.client() as a, two.client() as b:
        assert a.call("SET", "sess:a", "1") == "OK"
        assert b.call("SET", "sess:b", "2") == "OK"
        redis.restart_empty()
        for stayd in pair:
            stayd.wait_trusted(timeout=20)
        wait_until(lambda: redis.keys() == {"sess:a", "sess:b"}, 10 * SLACK, "both are back")
        assert a.call("GET", "sess:a") == b"1"
        assert b.call("GET", "sess:b") == b"2"


@pytest.mark.timeout(90)
def test_two_stayds_and_an_outage(pair, redis):
    """Redis still holds what was saved before it: what was saved and logged out since goes over it."""
    one, two = pair
    with one.client() as a, two.client() as b:
        for client, key in ((a, "sess:1"), (a, "sess:2"), (b, "sess:3")):
            assert client.call("SET", key, "old") == "OK"
        redis.freeze()
        assert a.call("SET", "sess:1", "new") == "OK"
        assert a.call("DEL", "sess:2") == 1
        assert b.call("GET", "sess:3") == b"old"
        redis.thaw()
        for stayd in pair:
            stayd.wait_trusted(timeout=20)
        wait_until(lambda: redis.call("GET", "sess:1") == b"new", 10 * SLACK, "the debt is paid")
        assert a.call("GET", "sess:1") == b"new"
        assert a.call("GET", "sess:2") is None
        assert redis.keys() == {"sess:1", "sess:3"}


@pytest.mark.timeout(90)
def test_the_others_old_copies_are_not_put_back(redis, make_stayd):
    """The second took sessions over when it started; they have been saved and logged out since."""
    one = make_stayd(redis.url)
    one.wait_trusted()
    with one.client() as a:
        for key in ("sess:1", "sess:2"):
            assert a.call("SET", key, "old") == "OK"
        two = make_stayd(redis.url)
        two.wait_adopted()
        wait_until(lambda: shared(one) and shared(two), 30 * SLACK, "both have noticed the other")
        assert a.call("SET", "sess:1", "new") == "OK"
        assert a.call("DEL", "sess:2") == 1
        redis.restart_empty()
        for stayd in (one, two):
            stayd.wait_trusted(timeout=20)
        assert a.call("GET", "sess:1") == b"new"
        assert a.call("GET", "sess:2") is None
        assert redis.keys() == {"sess:1"}


# -- observe -----------------------------------------------------------------------------------------------


@pytest.fixture
def observer(redis, make_stayd):
    stayd = make_stayd(redis.url, options={"mode": "observe"})
    stayd.wait_trusted()
    stayd.wait_adopted()
    with stayd.client() as client:
        for number in range(20):
            assert client.call("SET", f"sess:{number}", "v", "EX", 1000) == "OK"
    return stayd


def test_observe_never_repairs(observer, redis):
    """An emptied Redis stays empty, and its nil is passed on."""
    assert observer.status()["mode"] == "observe"
    redis.restart_empty()
    wait_until(lambda: observer.trust() == "trusted", 15 * SLACK, "it works with Redis again")
    with observer.client() as client:
        assert [client.call("GET", f"sess:{n}") for n in range(20)] == [None] * 20
        redis.call("FLUSHALL")
        assert client.call("GET", "sess:1") is None
        wait_until(lambda: observer.trust() == "trusted", 15 * SLACK, "and again")
    assert redis.keys() == set()
    assert observer.metric("stayd_repairs_total") == 0


def test_observe_never_answers_instead_of_redis(observer, redis):
    """Without Redis there are errors, as there would be without stayd; a logout is none either."""
    redis.kill()
    with observer.client() as client:
        for command in (["GET", "sess:1"], ["SET", "sess:1", "w"], ["DEL", "sess:1"]):
            reply = client.call(*command)
            assert isinstance(reply, ErrorReply), f"{command} -> {reply!r}"
    assert observer.metric("stayd_replies_from_ledger_total") == 0
