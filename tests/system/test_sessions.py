"""What is promised for single sessions: saves after the logout, types, hashes, expiry, lifetimes."""

import time

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

HOUR_MS = 3_600_000


def sessions(**settings):
    """A configuration whose only sessions are sess:*."""
    lines = [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(["[[sessions]]", 'match = "sess:*"', *lines, ""])


@pytest.fixture
def start(redis, make_stayd):
    """A trusted stayd with these settings for sess:*."""

    def start(options=None, **settings):
        stayd = make_stayd(redis.url, config_text=sessions(**settings), options=options)
        stayd.wait_trusted()
        stayd.wait_adopted()
        return stayd

    return start


# -- F57: a request under way saves the session again, just after its logout ---------------------------


@pytest.mark.parametrize("fence", ["30s", "forever"])
@pytest.mark.parametrize("while_redis", ["is_up", "is_out"])
def test_late_save_is_dropped(start, redis, row, fence, while_redis):
    stayd = start(fence=f'"{fence}"')
    with stayd.client() as user, stayd.client() as late:
        assert user.call("SET", "sess:1", "mine", "EX", 3600) == "OK"
        assert late.call("GET", "sess:1") == b"mine"
        if while_redis == "is_out":
            redis.kill()
        assert user.call("DEL", "sess:1") == 1
        with row.shows(stayd):
            assert late.call("SET", "sess:1", "late", "EX", 3600) == "OK"
        assert late.call("GET", "sess:1") is None
        if while_redis == "is_out":
            redis.start()
            stayd.wait_trusted(timeout=15)
        assert redis.call("EXISTS", "sess:1") == 0
        # Who was told that the session is gone may open a new one; with "forever" only by NX.
        assert user.call("GET", "sess:1") is None
        assert user.call("SET", "sess:1", "new", "EX", 3600) == "OK"
        assert user.call("GET", "sess:1") == (b"new" if fence == "30s" else None)
        assert user.call("SET", "sess:1", "newer", "NX") == (None if fence == "30s" else "OK")


def test_late_save_without_a_fence(start, redis, row):
    """As on Redis: any write opens a new session."""
    stayd = start(fence='"off"')
    with stayd.client() as user, stayd.client() as late:
        assert user.call("SET", "sess:1", "mine", "EX", 3600) == "OK"
        with row.shows(stayd):
            assert user.call("DEL", "sess:1") == 1
        assert late.call("SET", "sess:1", "late", "EX", 3600) == "OK"
        assert stayd.metric("stayd_fenced_writes_total") == 0
        assert redis.call("GET", "sess:1") == b"late"
        redis.kill()
        assert user.call("GET", "sess:1") == b"late"


# -- F56, F58: what a value is made of -------------------------------------------------------------------


@pytest.mark.parametrize("command", [["HSET", "sess:1", "c", "3"], ["HINCRBY", "sess:1", "n", 1]])
@pytest.mark.parametrize("loss", ["flushed", "restarted_empty"])
def test_a_change_never_leaves_half_a_hash(stayd, redis, row, command, loss):
    """Redis has lost the hash; a change of one field must not make a hash of that field alone."""
    fields = {b"a": b"1", b"b": b"2", b"n": b"7"}
    with stayd.client(proto=3) as client:
        assert client.call("HSET", "sess:1", *[x for pair in fields.items() for x in pair]) == 3
        assert client.call("PEXPIRE", "sess:1", HOUR_MS) == 1
        with row.shows(stayd):
            redis.call("FLUSHALL") if loss == "flushed" else redis.restart_empty()
            assert client.call(*command) == (1 if command[0] == "HSET" else 8)
        fields.update({b"c": b"3"} if command[0] == "HSET" else {b"n": b"8"})
        assert client.call("HGETALL", "sess:1") == fields
        stayd.wait_trusted(timeout=15)
        with redis.client(proto=3) as direct:
            assert direct.call("HGETALL", "sess:1") == fields
            assert HOUR_MS - 60_000 < direct.call("PTTL", "sess:1") <= HOUR_MS


def test_types_that_the_stand_in_lacks(stayd, redis, row):
    """Lists and streams: not executable while Redis is out, and put back byte for byte."""
    with stayd.client() as client:
        assert client.call("RPUSH", "list", "a", "b", "c") == 3
        assert client.call("XADD", "stream", "7-1", "field", "value") == b"7-1"
        assert client.call("XGROUP", "CREATE", "stream", "group", "0") == "OK"
        assert client.call("PEXPIREAT", "list", int(time.time() * 1000) + HOUR_MS) == 1
        before = [redis.call("DUMP", key) for key in ("list", "stream")]
        expiry = redis.call("PEXPIRETIME", "list")
        with row.shows(stayd):
            redis.kill()
            for command in (["LRANGE", "list", 0, -1], ["RPUSH", "list", "d"], ["XLEN", "stream"]):
                reply = client.call(*command)
                assert isinstance(reply, ErrorReply) and reply.startswith("ERR stayd:"), reply
            assert client.call("EXISTS", "list", "stream") == 2
            redis.start()
            stayd.wait_trusted(timeout=15)
        assert [redis.call("DUMP", key) for key in ("list", "stream")] == before
        assert redis.call("PEXPIRETIME", "list") == expiry
        assert client.call("LRANGE", "list", 0, -1) == [b"a", b"b", b"c"]


def test_wrong_type_is_told_and_deletes_nothing(stayd, redis, row):
    """WRONGTYPE is an answer, with Redis or without; the session stays."""
    with stayd.client() as client:
        assert client.call("HSET", "sess:1", "a", "1") == 1
        assert client.call("GET", "sess:1").startswith("WRONGTYPE")
        with row.shows(stayd):
            redis.kill()
            assert client.call("GET", "sess:1").startswith("WRONGTYPE")
        assert client.call("HGET", "sess:1", "a") == b"1"


# -- F77, F54: expiry ------------------------------------------------------------------------------------


def test_expiry_of_repaired_keys(stayd, redis, row):
    """To the millisecond where the client named a time; never earlier than Redis had it otherwise."""
    at = int(time.time() * 1000) + HOUR_MS + 123
    with stayd.client() as client:
        assert client.call("SET", "sess:at", "v", "PXAT", at) == "OK"
        assert client.call("HSET", "sess:hash", "a", "1") == 1
        assert client.call("PEXPIREAT", "sess:hash", at + 1) == 1
        assert client.call("SET", "sess:for", "v", "PX", HOUR_MS) == "OK"
        assert client.call("SET", "sess:ever", "v") == "OK"
        assert client.call("SET", "sess:soon", "v", "PX", 300) == "OK"
        healthy = redis.call("PEXPIRETIME", "sess:for")
        redis.kill()
        wait_until(lambda: client.call("GET", "sess:soon") is None, 3, "its time is over")
        with row.shows(stayd):
            redis.start()
            stayd.wait_trusted(timeout=15)
        with redis.client() as direct:
            assert direct.call("PEXPIRETIME", "sess:at") == at
            assert direct.call("PEXPIRETIME", "sess:hash") == at + 1
            assert abs(direct.call("PEXPIRETIME", "sess:for") - healthy) <= 100 * SLACK
            assert direct.call("PEXPIRETIME", "sess:ever") == -1
            assert direct.call("EXISTS", "sess:soon") == 0


def test_max_lifetime(start, redis, row):
    """However often it is touched, by Redis or by the ledger; a new login begins a new life."""
    stayd = start(max_lifetime='"2s"')
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        end = redis.call("PEXPIRETIME", "sess:1")
        assert 0 < end - time.time() * 1000 <= 2100
        assert client.call("EXPIRE", "sess:1", 3600) == 1
        assert abs(redis.call("PEXPIRETIME", "sess:1") - end) <= 100 * SLACK
        with row.shows(stayd):
            redis.kill()
            assert client.call("EXPIRE", "sess:1", 3600) == 1
            assert client.call("SET", "sess:1", "w", "EX", 3600) == "OK"
            assert client.call("PTTL", "sess:1") <= 2000
        wait_until(lambda: client.call("GET", "sess:1") is None, 4, "its life is over")
        assert time.time() * 1000 >= end - 100
        redis.start()
        stayd.wait_trusted(timeout=15)
        assert redis.call("EXISTS", "sess:1") == 0
        assert client.call("SET", "sess:1", "again", "EX", 3600) == "OK"
        assert 1000 < redis.call("PTTL", "sess:1") <= 2100


# -- deletions past stayd ----------------------------------------------------------------------------------


def test_external_delete_is_healed(start, redis, row):
    stayd = start(external_delete='"heal"')
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        assert client.call("SET", "sess:2", "v", "EX", 3600) == "OK"
        with row.shows(stayd):
            assert redis.call("DEL", "sess:1") == 1
            assert client.call("GET", "sess:1") == b"v"
        wait_until(lambda: redis.call("GET", "sess:1") == b"v", 5, "it is back in Redis")
        assert stayd.metric("stayd_external_deletes_total") == 0
        assert client.call("DEL", "sess:2") == 1  # through stayd: meant
        assert client.call("GET", "sess:2") is None
