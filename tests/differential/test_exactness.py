"""Exactness of the port in front of a healthy Redis where Redis' own suite does not look: handshakes,
pipelines, blocking commands, RESP3, counters beyond 2^53, the URL's database, TTLs.
"""

import time

from lib.processes import wait_until
from lib.resp import Client


def test_hello_may_switch_between_commands(client):
    client.call("HSET", "h", "f", "1")
    assert client.call("HGETALL", "h") == [b"f", b"1"]
    requests = [("HELLO", 3), ("HGETALL", "h"), ("GET", "none"), ("HELLO", 2), ("HGETALL", "h")]
    replies = client.pipeline(*requests)
    assert replies[1:3] == [{b"f": b"1"}, None]
    assert replies[4] == [b"f", b"1"]


def test_a_binary_echo_comes_back_unchanged(client):
    for data in (bytes(range(16)), b"\r\n$-1\r\n" + bytes(9), bytes(255 - i for i in range(16))):
        assert client.call("ECHO", data) == data


def test_a_big_pipeline_keeps_its_order(client):
    count = 20_000
    commands = []
    for i in range(count):
        kind = i % 4
        if kind == 0:
            commands.append(("SET", f"p:{i}", i))
        elif kind == 1:
            commands.append(("GET", f"p:{i - 1}"))
        elif kind == 2:
            commands.append(("ECHO", i))
        else:
            commands.append(("PING", i))
    client.timeout = 30
    replies = client.pipeline(*commands)
    for i, reply in enumerate(replies):
        expected = "OK" if i % 4 == 0 else str(i - 1 if i % 4 == 1 else i).encode()
        assert reply == expected, i


def test_counters_beyond_doubles_are_exact(client):
    big = 9223372036854775000
    for key in ("n", "m"):
        client.call("SET", key, big)
    client.call("HSET", "h", "f", big)
    assert client.call("INCR", "n") == big + 1
    assert client.call("INCRBY", "n", 200) == big + 201
    assert client.call("DECRBY", "m", 3) == big - 3
    assert client.call("HINCRBY", "h", "f", 7) == big + 7
    assert client.call("GET", "n") == str(big + 201).encode()
    client.call("SET", "low", -big)
    assert client.call("DECR", "low") == -big - 1
    client.call("SETBIT", "bits", 70, 1)
    fields = client.call("BITFIELD", "bits", "SET", "i64", 0, big, "GET", "i64", 0)
    assert fields[1] == big
    overflow = ["OVERFLOW", "FAIL", "INCRBY", "i64", 0, big, "GET", "u8", 64]
    assert client.call("BITFIELD", "bits", *overflow) == [None, 2]


def test_ttls_are_exact_to_the_millisecond(client):
    client.call("SET", "t", "v", "PX", 300)
    at = client.call("PEXPIRETIME", "t")
    assert client.call("GET", "t") == b"v"
    while client.call("GET", "t") is not None:
        assert time.time() * 1000 < at + 50
    assert time.time() * 1000 >= at
    assert client.call("EXISTS", "t") == 0


def test_blocking_commands_block_only_their_client(stayd):
    with stayd.client() as waiting, stayd.client() as other:
        waiting.send("BLPOP", "list", 0)
        waiting.send("PING")
        waiting.send("XREAD", "BLOCK", 10_000, "STREAMS", "stream", "$")
        assert other.call("RPUSH", "list", "a") == 1
        assert waiting.read() == [b"list", b"a"]
        assert waiting.read() == "PONG"
        time.sleep(0.2)
        entry = other.call("XADD", "stream", "*", "f", "v")
        assert waiting.read() == [[b"stream", [[entry, [b"f", b"v"]]]]]
        assert other.call("XGROUP", "CREATE", "stream", "g", 0) == "OK"
        read = ["XREADGROUP", "GROUP", "g", "me", "STREAMS", "stream", ">"]
        assert other.call(*read) == [[b"stream", [[entry, [b"f", b"v"]]]]]
        assert other.call("XACK", "stream", "g", entry) == 1


def test_client_reply_off_on_in_one_write(client):
    client.call("SET", "k", "v")
    client.send("CLIENT", "REPLY", "OFF")
    client.send("DEL", "k")
    client.send("CLIENT", "REPLY", "ON")
    assert client.read() == "OK"
    assert client.call("EXISTS", "k") == 0
    client.send("CLIENT", "REPLY", "SKIP")
    client.send("PING")
    assert client.call("ECHO", "x") == b"x"


def test_functions_and_scripts(client):
    code = "#!lua name=lib\nredis.register_function('f', function(k, a) return a[1] end)"
    assert client.call("FUNCTION", "LOAD", code) == b"lib"
    assert client.call("FCALL", "f", 0, "x") == b"x"
    assert client.call("FUNCTION", "DELETE", "lib") == "OK"
    script = "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])"
    assert client.call("EVAL", script, 1, "made", "by script") == b"by script"
    assert client.call("GET", "made") == b"by script"


def test_the_urls_database_is_where_clients_start(redis, make_stayd):
    stayd = make_stayd(f"redis://127.0.0.1:{redis.port}/3")
    stayd.wait_trusted()
    with stayd.client() as client, Client(redis.port) as direct:
        client.call("SET", "where", "three")
        assert direct.call("GET", "where") is None
        direct.call("SELECT", 3)
        assert direct.call("GET", "where") == b"three"
        client.call("SELECT", 0)
        assert client.call("GET", "where") is None
        assert client.call("RESET") == "RESET"
        assert client.call("GET", "where") == b"three"


def test_client_unblock_reaches_the_client_it_names(stayd, redis):
    """By stayd's ids, which Redis does not know; a client that does not wait is left alone."""
    with stayd.client() as waiting, stayd.client() as other, stayd.client() as admin:
        ids = [client.call("CLIENT", "ID") for client in (waiting, other)]
        for reason, reply in (
            ([], None),
            (["TIMEOUT"], None),
            (["ERROR"], "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        ):
            waiting.send("BLPOP", "list", 0)
            wait_until(lambda: redis.info("clients")["blocked_clients"] == "1", 5, "it waits")
            assert admin.call("CLIENT", "UNBLOCK", ids[1], *reason) == 0
            assert admin.call("CLIENT", "UNBLOCK", ids[0], *reason) == 1
            assert waiting.read() == reply
        assert admin.call("CLIENT", "UNBLOCK", ids[0]) == 0
        redis.kill()
        assert admin.call("CLIENT", "UNBLOCK", ids[0]) == 0


def test_a_miss_keeps_its_place_in_the_pipeline(client):
    """A nil beside values that are there was asked for once more when later commands had run."""
    for i in range(50):
        replies = client.pipeline(
            ("SET", "k", i),
            ("MGET", "k", "none"),
            ("EXISTS", "k", "none"),
            ("HSET", "h", "f", i),
            ("HDEL", "h", "none"),
            ("SET", "k", "later"),
            ("DEL", "k", "h"),
        )
        assert replies[1:3] == [[str(i).encode(), None], 1]
        assert replies[4] == 0


def test_what_looks_like_a_miss_runs_once(client):
    """0 and an empty string looked as if the key were missing: they were executed again."""
    count = "return redis.call('INCR', KEYS[1])"
    better_auth = (
        '\nlocal value = redis.call("INCR", KEYS[1])\nif value == 1 then\n'
        '  redis.call("EXPIRE", KEYS[1], ARGV[1])\nend\nreturn value\n'
    )
    for script in (count, better_auth):
        client.call("SET", "n", -1)
        assert client.call("EVAL", script, 1, "n", 100) == 0
        assert client.call("GET", "n") == b"0"
    client.call("SADD", "s", "", "other")
    while client.call("SPOP", "s") != b"":
        client.call("SADD", "s", "other")
    assert client.call("SCARD", "s") == client.call("EXISTS", "s")


def test_a_write_that_counts_nothing_is_recorded(stayd, redis, client):
    """ZADD XX answers 0 whether it changed a score or not; GETEX of an empty value sets its expiry."""
    client.call("ZADD", "z", 1, "m")
    assert client.call("ZADD", "z", "XX", 7, "m") == 0
    client.call("SET", "empty", "")
    assert client.call("GETEX", "empty", "EX", 1000) == b""
    redis.kill()
    assert client.call("ZSCORE", "z", "m") == b"7"
    assert 990 <= client.call("TTL", "empty") <= 1000


def test_a_key_renamed_in_a_block_is_gone(redis, client):
    """The block's write of the old name stood above its removal: an outage brought the old id back."""
    block = [("MULTI",), ("ZADD", "old", 1, "a"), ("ZADD", "old", 2, "b"), ("RENAME", "old", "new")]
    assert client.pipeline(*block, ("EXEC",))[-1] == [1, 1, "OK"]
    redis.kill()
    assert client.call("EXISTS", "old") == 0
    assert client.call("ZRANGE", "new", 0, -1) == [b"a", b"b"]
