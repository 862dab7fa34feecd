"""What cannot be known, or not be done, while Redis is out: it is said, and never guessed."""

import time

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

UNKNOWN = "TRYAGAIN stayd: session state temporarily unknown"


@pytest.fixture
def start_blind(make_redis, make_stayd):
    """(stayd, Redis): Redis holds sess:1 and is out before stayd has ever seen it."""

    def start(policy="error"):
        redis = make_redis()
        assert redis.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        assert redis.call("SAVE") == "OK"
        redis.kill()
        config = f'[[sessions]]\nmatch = "sess:*"\nunknown = "{policy}"\n'
        return make_stayd(redis.url, wait="live", config_text=config), redis

    return start


def test_unknown_is_an_error(start_blind, row):
    stayd, redis = start_blind("error")
    with stayd.client() as client, row.shows(stayd):
        for command in (["GET", "sess:1"], ["EXPIRE", "sess:1", 60], ["TTL", "sess:1"]):
            assert client.call(*command) == UNKNOWN
        # What does not depend on what was there before is done.
        assert client.call("SET", "sess:2", "v", "EX", 60) == "OK"
        assert client.call("GET", "sess:2") == b"v"
    redis.start()
    stayd.wait_trusted(timeout=15)
    assert stayd.call("GET", "sess:1") == b"v"
    assert redis.call("GET", "sess:2") == b"v"


def test_a_logout_of_an_unknown_session_holds(start_blind, row):
    stayd, redis = start_blind()
    with stayd.client() as client, row.shows(stayd):
        assert client.call("DEL", "sess:1") == 1
        assert client.call("GET", "sess:1") is None
    redis.start()
    stayd.wait_trusted(timeout=15)
    assert stayd.call("GET", "sess:1") is None
    assert redis.call("EXISTS", "sess:1") == 0


def test_unknown_is_held_until_redis_is_back(start_blind, row):
    stayd, redis = start_blind("hold")
    with stayd.client(timeout=10) as client, row.shows(stayd):
        client.send("GET", "sess:1")
        wait_until(lambda: stayd.status()["calls_under_way"] == 1, 5, "the command waits")
        redis.start()
        assert client.read() == b"v"
    assert stayd.metric("stayd_unknown_replies_total") == 0


@pytest.mark.timeout(90)
def test_unknown_is_held_for_five_seconds_at_most(start_blind, row):
    stayd, _ = start_blind("hold")
    with stayd.client(timeout=20) as client, row.shows(stayd):
        start = time.monotonic()
        assert client.call("GET", "sess:1") == UNKNOWN
        assert 4.5 < time.monotonic() - start < 6 * SLACK


def test_unknown_is_anonymous_if_asked_for(start_blind, row):
    stayd, _ = start_blind("anonymous")
    with stayd.client() as client, row.shows(stayd):
        assert client.call("GET", "sess:1") is None
        assert client.call("EXISTS", "sess:1") == 0
        assert client.call("EXPIRE", "sess:1", 60) == UNKNOWN  # a write is not guessed at


# -- commands over keys ------------------------------------------------------------------------------------

LISTINGS = [["KEYS", "*"], ["SCAN", 0], ["DBSIZE"], ["RANDOMKEY"]]


def scanned(client):
    """All keys by SCAN in small steps."""
    keys, cursor = [], b"0"
    while True:
        cursor, page = client.call("SCAN", cursor, "COUNT", 7)
        keys += page
        if cursor == b"0":
            return keys


def test_keys_are_listed_from_the_ledger(stayd, redis, row):
    with stayd.client() as client:
        for number in range(30):
            assert client.call("SET", f"sess:{number}", "v", "EX", 3600) == "OK"
        assert client.call("DEL", "sess:0") == 1
        expected = {f"sess:{number}".encode() for number in range(1, 30)}
        with row.shows(stayd):
            redis.kill()
            assert client.call("DEL", "sess:1") == 1
            expected.remove(b"sess:1")
            assert set(client.call("KEYS", "*")) == expected
            twenties = {key for key in expected if key.startswith(b"sess:2") and len(key) == 7}
            assert set(client.call("KEYS", "sess:2?")) == twenties
            assert sorted(scanned(client)) == sorted(expected)
            assert client.call("DBSIZE") == len(expected)
            assert client.call("RANDOMKEY") in expected


@pytest.mark.parametrize("command", LISTINGS, ids=lambda command: command[0].lower())
def test_keys_are_not_listed_before_all_are_known(start_blind, row, command):
    stayd, _ = start_blind()
    with stayd.client() as client, row.shows(stayd):
        reply = client.call(*command)
        assert reply == "ERR stayd: Redis is out and not every key is known yet"


@pytest.mark.parametrize("command", [["FLUSHDB"], ["FLUSHALL"], ["SWAPDB", 0, 1]])
def test_no_flush_in_an_outage(stayd, redis, row, command):
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        with row.shows(stayd):
            redis.kill()
            wait_until(lambda: stayd.trust() == "out", 5, "stayd knows that Redis is out")
            reply = client.call(*command)
            assert reply == "ERR stayd: Redis is out, it cannot be flushed now"
        assert client.call("GET", "sess:1") == b"v"
        redis.start()
        stayd.wait_trusted(timeout=15)
        assert redis.call("GET", "sess:1") == b"v"


def test_watch_before_an_outage_and_exec_in_it(stayd, redis, row):
    """Null: the client tries again, and its second try succeeds."""
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "v", "EX", 3600) == "OK"
        with row.shows(stayd):
            assert client.call("WATCH", "sess:1") == "OK"
            redis.kill()
            wait_until(lambda: stayd.trust() == "out", 5, "stayd knows that Redis is out")
            block = [["MULTI"], ["SET", "sess:1", "w"], ["EXEC"]]
            assert client.pipeline(*block) == ["OK", "QUEUED", None]
            assert client.call("GET", "sess:1") == b"v"
            assert client.call("WATCH", "sess:1") == "OK"
            assert client.pipeline(*block) == ["OK", "QUEUED", ["OK"]]
        redis.start()
        stayd.wait_trusted(timeout=15)
        assert redis.call("GET", "sess:1") == b"w"


def test_keys_that_are_no_sessions(redis, make_stayd, row):
    """They fail at once, and are not invented."""
    stayd = make_stayd(redis.url, config_text='[[sessions]]\nmatch = "sess:*"\n')
    stayd.wait_trusted()
    with stayd.client() as client:
        assert client.call("SET", "cache:1", "v") == "OK"
        with row.shows(stayd):
            redis.kill()
            for command in (["GET", "cache:1"], ["SET", "cache:1", "w"], ["LLEN", "queue"]):
                reply = client.call(*command)
                assert isinstance(reply, ErrorReply) and reply.startswith("ERR stayd:"), reply
