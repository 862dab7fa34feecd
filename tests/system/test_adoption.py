"""Before the backfill has ended: what an outage may not turn into "unknown"."""

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

UNKNOWN = "TRYAGAIN stayd: session state temporarily unknown"


@pytest.fixture
def newcomer(make_redis, make_stayd):
    """(stayd, redis) whose backfill does not end: SCAN is forbidden."""
    redis = make_redis()
    redis.call("ACL", "SETUSER", "default", "-scan")
    redis.call("SET", "sess:old", "before stayd")
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    return stayd, redis


def test_told_absent_stays_absent(newcomer):
    stayd, redis = newcomer
    with stayd.client(timeout=2 * SLACK) as client:
        assert client.call("GET", "sess:none") is None
        assert client.call("GET", "sess:new") is None
        assert client.call("SET", "sess:new", "login") == "OK"
        redis.kill()
        assert client.call("GET", "sess:none") is None
        assert client.call("DEL", "sess:none") == 0
        assert client.call("EXPIRE", "sess:none", 10) == 0
        assert client.call("GET", "sess:new") == b"login"
        unknown = client.call("GET", "sess:old")
        assert isinstance(unknown, ErrorReply) and unknown == UNKNOWN
        assert client.call("SET", "sess:none", "login", "NX") == "OK"
        assert client.call("GET", "sess:none") == b"login"


def test_a_missing_field_proves_nothing(newcomer):
    """HMGET of fields that a session does not have looks like HMGET of no session."""
    stayd, redis = newcomer
    redis.call("HSET", "sess:hash", "data", "before stayd")
    with stayd.client(timeout=2 * SLACK) as client:
        assert client.call("HMGET", "sess:none", "lock") == [None]
        assert client.call("HMGET", "sess:hash", "lock") == [None]
        wait_until(lambda: stayd.metric("stayd_adopted_keys_total") > 0, 5, "sess:hash is taken over")
        redis.kill()
        assert client.call("HMGET", "sess:hash", "data") == [b"before stayd"]
        assert client.call("HMGET", "sess:none", "lock") == [None]
