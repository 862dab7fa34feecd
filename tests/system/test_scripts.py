"""Scripts and other commands of which only Redis knows what they did."""

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

SESSIONS = '[[sessions]]\nmatch = "sess:*"\n'
SET_NIL = "redis.call('SET', KEYS[1], 'new') return nil"


@pytest.fixture
def client(stayd):
    with stayd.client(timeout=2 * SLACK) as client:
        yield client


def test_a_script_that_answers_nothing_is_read_back(client, redis):
    """A nil, a 0 and an error look as if the script had found nothing. Its keys' rows stayed marked as
    not known, and the next outage had only errors for them."""
    zero, fails = SET_NIL.replace("nil", "0"), SET_NIL.replace("nil", "{err='E x'}")
    client.call("SET", "sess:old", "old")
    for key, script in (("nil", SET_NIL), ("zero", zero), ("fails", fails), ("old", SET_NIL)):
        client.call("EVAL", script, 1, f"sess:{key}")
    redis.kill()
    for key in ("nil", "zero", "fails", "old"):
        assert client.call("GET", f"sess:{key}") == b"new", key


def test_a_command_that_fails_leaves_its_key_known(client, redis):
    """LPOP of a string is an error, and did nothing: alone, and in a block."""
    client.call("SET", "sess:1", "a")
    client.call("SET", "sess:2", "b")
    assert client.call("LPOP", "sess:1").startswith("WRONGTYPE")
    assert client.call("LPOP", "sess:none") is None
    client.pipeline(["MULTI"], ["LPOP", "sess:2"], ["EXEC"])
    redis.kill()
    assert client.call("GET", "sess:1") == b"a"
    assert client.call("GET", "sess:2") == b"b"
    assert client.call("GET", "sess:none") is None


def test_arguments_that_are_sessions_are_a_scripts_keys(redis, make_stayd):
    """A script without keys that is given a session's key among its arguments is mirrored."""
    stayd = make_stayd(redis.url, config_text=SESSIONS)
    stayd.wait_trusted()
    stayd.wait_adopted()
    script = "return redis.call('SET', ARGV[1], ARGV[2], 'EX', ARGV[3])"
    with stayd.client(timeout=2 * SLACK) as client:
        assert client.call("EVAL", script, 0, "sess:1", "new", 3600) == "OK"
        assert client.call("EVAL", "return redis.call('DEL', ARGV[1])", 0, "sess:1") == 1
        assert client.call("EVAL", script, 0, "sess:2", "new", 3600) == "OK"
        redis.kill()
        assert client.call("GET", "sess:1") is None
        assert client.call("GET", "sess:2") == b"new"
    assert stayd.metric("stayd_unmirrored_scripts_total") == 0


def test_a_script_that_names_no_key_is_told_of(redis, make_stayd):
    stayd = make_stayd(redis.url, config_text=SESSIONS)
    script = "return redis.call('SET', 'sess:' .. ARGV[1], 'x')"
    with stayd.client(timeout=2 * SLACK) as client:
        for _ in range(3):
            assert client.call("EVAL", script, 0, "1") == "OK"
        assert client.call("EVAL_RO", "return 1", 0) == 1
    assert stayd.metric("stayd_unmirrored_scripts_total") == 3
    assert len(stayd.log_lines("unmirrored_script")) == 1


APPEND = "return redis.call('APPEND', KEYS[1], ARGV[1])"


def append(client, key):
    """Appends to a session that holds one byte: an error means that nothing was done."""
    reply = client.call("EVAL", APPEND, 1, key, "b")
    return "refused" if isinstance(reply, ErrorReply) else reply


def test_a_script_on_evicted_keys(stayd, client, redis):
    """It ran on nothing: :1, and the session's value was gone for good."""
    keys = [f"sess:{number}" for number in range(300)]
    for key in keys:
        client.call("SET", key, "a")
    redis.config_set(maxmemory_policy="allkeys-random")
    redis.config_set(maxmemory=int(redis.info("memory")["used_memory"]) + 100_000)
    for number in range(1000):
        redis.call("SET", f"other:{number}", "x" * 1000)
    lost = [key for key in keys if redis.call("GET", key) is None]
    redis.config_set(maxmemory=0)
    assert lost
    # The heartbeat may have been evicted too: until Redis is trusted again, nothing is done.
    wait_until(lambda: append(client, lost[0]) == 2, 5, "Redis is trusted")
    for key in lost[1:]:
        assert append(client, key) == 2
    for key in lost:
        assert client.call("GET", key) == b"ab"
    assert stayd.metric("stayd_lost_keys_healed_total") > 0


def test_a_script_after_a_flush(stayd, client, redis):
    client.call("SET", "sess:1", "a")
    redis.call("FLUSHALL")
    assert append(client, "sess:1") == "refused"
    assert client.call("GET", "sess:1") == b"a"
    stayd.wait_trusted()
    assert append(client, "sess:1") == 2
    assert redis.call("GET", "sess:1") == b"ab"
