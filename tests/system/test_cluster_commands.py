"""In front of a Redis Cluster the port is one standalone Redis: keys of every shape, commands over keys of
several shards, and which of them are refused."""

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same slot"
SHAPES = [
    "we}ird", "{}x", "a{}b{c}", "{", "}", "{}", "}{", "{a", "a}b{c}d", "{{a}}", "{a}{b}", "x{a}y",
    "", " ", "stayd", "sess:{user 1}:2", b"\0", b"\xff\xfe{\x80}\r\n", b"{\0}", "k" * 5000, "é{ü}",
]  # fmt: skip


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(replicas=0, node_timeout_ms=5_000)


@pytest.fixture
def stayd(cluster, make_stayd):
    stayd = make_stayd(cluster.url)
    stayd.wait_trusted()
    stayd.wait_adopted()
    return stayd


def spread(cluster, count):
    """So many keys of each shard."""
    return [key for shard in cluster.shards for key, _ in zip(shard.keys(), range(count))]


def wait_back(stayd, cluster):
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20 * SLACK)


# -- keys of every shape --------------------------------------------------------------------------------------


def test_keys_of_every_shape(cluster, stayd, client):
    """Read and written, repaired after their memory was lost, and gone after a logout."""
    for n, key in enumerate(SHAPES):
        assert client.call("SET", key, f"v{n}", "EX", 3600) == "OK", key
    for n, key in enumerate(SHAPES):
        assert client.call("GET", key) == f"v{n}".encode(), key
        assert cluster.call("GET", key) == f"v{n}".encode(), key
        assert client.call("APPEND", key, "+") == len(f"v{n}+"), key
        assert client.call("EXPIRE", key, 1800) == 1, key
    dead = SHAPES[::4]
    for shard in cluster.shards:
        shard.primary.kill()
    for key in dead:
        assert client.call("DEL", key) == 1, key
    for key in SHAPES[1::4]:
        assert client.call("APPEND", key, "!") > 0, key
    for shard in cluster.shards:
        shard.primary.start()
    wait_back(stayd, cluster)
    for n, key in enumerate(SHAPES):
        value = {0: None, 1: f"v{n}+!".encode()}.get(n % 4, f"v{n}+".encode())
        assert client.call("GET", key) == value, key
        assert cluster.call("GET", key) == value, key
        assert client.call("TTL", key) == -2 if value is None else 0 < client.call("TTL", key) <= 1800


# -- commands over several shards -----------------------------------------------------------------------------


def out_or_not(cluster, stayd, out):
    """Takes the first shard away if `out`, when its absent keys are known to be absent."""
    if out:
        stayd.wait_settled()
        cluster.shards[0].primary.kill()


@pytest.mark.parametrize("out", [False, True], ids=["all_up", "a_shard_is_out"])
def test_commands_that_are_split(cluster, stayd, client, out):
    keys = spread(cluster, 4)
    pairs = [word for n, key in enumerate(keys) for word in (key, n)]
    assert client.call("MSET", *pairs) == "OK"
    out_or_not(cluster, stayd, out)
    values = [str(n).encode() for n in range(12)]
    assert client.call("MGET", *keys) == values
    asked = [keys[9], "none:1", keys[0], keys[4], keys[0], "none:2"]
    assert client.call("MGET", *asked) == [b"9", None, b"0", b"4", b"0", None]
    assert client.call("EXISTS", *keys, keys[0], "none:1") == 13
    assert client.call("TOUCH", *keys, "none:1") == 12
    assert client.call("MSET", keys[0], "a", keys[5], "b", keys[0], "c") == "OK"
    assert client.call("MGET", keys[0], keys[5]) == [b"c", b"b"]
    assert client.call("DEL", keys[0], keys[4], keys[8], "none:1") == 3
    assert client.call("UNLINK", keys[1], keys[5], keys[9], keys[0]) == 3
    left = [value if n % 4 > 1 else None for n, value in enumerate(values)]
    assert client.call("MGET", *keys) == left
    mixed = client.pipeline(["SET", keys[0], "x"], ["MGET", *keys[:3]], ["GET", keys[8]])
    assert mixed == ["OK", [b"x", None, b"2"], None]


def test_commands_over_all_keys(cluster, stayd, client):
    keys = spread(cluster, 10)
    for key in keys:
        assert client.call("SET", key, "1", "EX", 3600) == "OK"
    asked = {key.encode() for key in keys}
    found = client.call("KEYS", "*")
    assert len(found) == 30 and set(found) == asked
    assert client.call("KEYS", keys[0]) == [keys[0].encode()]
    assert client.call("DBSIZE") == 30
    drawn = {client.call("RANDOMKEY") for _ in range(200)}
    assert drawn <= asked
    assert {cluster.shard_of(key) for key in drawn} == set(cluster.shards)
    for command in ("FLUSHALL", "FLUSHDB"):
        assert client.call("SET", keys[0], "1") == client.call("SET", keys[20], "1") == "OK"
        assert client.call(command) == "OK"
        assert client.call("DBSIZE") == 0 and cluster.keys() == set()
        assert client.call("MGET", *keys) == [None] * 30
        assert client.call("RANDOMKEY") is None


def test_flush_while_a_shard_is_out(cluster, stayd, client):
    """What it can mean for the shard that is out is what it means for a Redis that is out."""
    keys = spread(cluster, 3)
    for key in keys:
        assert client.call("SET", key, "1", "EX", 3600) == "OK"
    out_or_not(cluster, stayd, True)
    reply = client.call("FLUSHALL")
    gone = [client.call("GET", key) is None for key in keys]
    assert all(gone) if reply == "OK" else isinstance(reply, ErrorReply)
    cluster.shards[0].primary.start()
    wait_back(stayd, cluster)
    assert [client.call("GET", key) is None for key in keys] == gone
    assert [cluster.call("GET", key) is None for key in keys] == gone


# -- SCAN -----------------------------------------------------------------------------------------------------


def scan(client, *options):
    """(every key as often as it was returned, pages)"""
    cursor, keys, pages = b"0", [], 0
    while True:
        cursor, page = client.call("SCAN", cursor, *options)
        keys, pages = keys + page, pages + 1
        assert pages < 2_000, "SCAN does not end"
        if cursor == b"0":
            return keys, pages


@pytest.mark.parametrize("out", [False, True], ids=["all_up", "a_shard_is_out"])
def test_scan(cluster, stayd, client, out):
    keys = spread(cluster, 150)
    client.pipeline(*[["SET", key, "1", "EX", 3600] for key in keys])
    client.call("HSET", "hash", "a", "1")
    out_or_not(cluster, stayd, out)
    expected = sorted([key.encode() for key in keys] + [b"hash"])
    for options in ([], ["COUNT", 7], ["COUNT", 10_000], ["MATCH", "*"]):
        found, pages = scan(client, *options)
        assert sorted(found) == expected, options
    assert scan(client, "MATCH", "h*")[0] == [b"hash"]
    assert scan(client, "TYPE", "hash", "COUNT", 100)[0] == [b"hash"]
    assert scan(client, "MATCH", "nobody*")[0] == []


def test_scan_survives_the_loss_and_return_of_a_shard(cluster, stayd, client):
    """Keys that are there all the time are returned; the cursor may be of before."""
    keys = {key.encode() for key in spread(cluster, 100)}
    client.pipeline(*[["SET", key, "1", "EX", 3600] for key in keys])
    cursor, found, pages = b"0", set(), 0
    while pages == 0 or cursor != b"0":
        cursor, page = client.call("SCAN", cursor, "COUNT", 10)
        found, pages = found | set(page), pages + 1
        if pages == 5:
            cluster.shards[1].primary.kill()
        if pages == 15:
            cluster.shards[1].primary.start()
            wait_back(stayd, cluster)
        assert pages < 2_000
    assert found == keys


def test_scan_with_a_cursor_of_nobody(cluster, stayd, client):
    client.call("SET", "a", "1")
    for cursor in ("1", "99", str(2**48 - 1), str(2**63), str(2**64 - 1)):
        cursor, page = client.call("SCAN", cursor)
        assert set(page) <= {b"a"}
    assert client.call("SCAN", "x") == "ERR invalid cursor"


# -- what is refused ------------------------------------------------------------------------------------------


def test_commands_that_are_refused(cluster, stayd, client):
    one, two = (next(shard.keys()) for shard in cluster.shards[:2])
    script = "return redis.call('get', KEYS[1])"
    for command in (
        ["RENAME", one, two], ["COPY", one, two], ["MSETNX", one, "1", two, "2"],
        ["SUNION", one, two], ["SUNIONSTORE", one, two], ["SMOVE", one, two, "m"],
        ["EVAL", script, "2", one, two], ["LMPOP", "2", one, two, "LEFT"],
        ["BLPOP", one, two, "1"], ["PFCOUNT", one, two], ["ZUNION", "2", one, two],
        ["BITOP", "AND", one, two], ["LCS", one, two], ["WATCH", one, two],
    ):  # fmt: skip
        reply = client.call(*command)
        assert isinstance(reply, ErrorReply) and reply == CROSSSLOT, (command, reply)
    assert client.call("EVAL", script, "1", one) is None
    assert client.call("SET", one, "1") == "OK"
    assert client.call("EVAL", script, "1", one) == b"1"
    assert client.call("RENAME", one, f"{{{one}}}2") == "OK"
    assert client.call("SELECT", "0") == "OK"
    assert isinstance(client.call("SELECT", "1"), ErrorReply)
    assert client.call("GET", f"{{{one}}}2") == b"1"


def test_blocks(cluster, stayd, client):
    one, two = (next(shard.keys()) for shard in cluster.shards[:2])
    block = [["MULTI"], ["SET", one, "1"], ["SET", f"{{{one}}}", "2"], ["GET", one], ["EXEC"]]
    assert client.pipeline(*block) == ["OK", *["QUEUED"] * 3, ["OK", "OK", b"1"]]
    *_, reply = client.pipeline(["MULTI"], ["SET", one, "3"], ["SET", two, "3"], ["EXEC"])
    assert isinstance(reply, ErrorReply) and CROSSSLOT in reply, reply
    *_, reply = client.pipeline(["MULTI"], ["SET", one, "3"], ["MGET", one, two], ["EXEC"])
    assert isinstance(reply, ErrorReply), reply
    assert client.call("MGET", one, two) == [b"1", None]
    watched = [["WATCH", one], ["MULTI"], ["SET", one, "4"], ["EXEC"]]
    assert client.pipeline(*watched) == ["OK", "OK", "QUEUED", ["OK"]]
    assert client.call("WATCH", two) == "OK"
    assert cluster.call("SET", two, "theirs") == "OK"
    assert client.pipeline(["MULTI"], ["SET", two, "5"], ["EXEC"])[2] is None
    assert client.call("GET", two) == b"theirs"


def test_it_looks_like_one_redis(stayd, client):
    info = client.call("INFO").decode()
    for line in ("redis_mode:standalone", "cluster_enabled:0", "role:master"):
        assert line in info
    assert "cluster support disabled" in client.call("CLUSTER", "SLOTS")
    hello = client.call("HELLO", 3)
    assert (hello[b"mode"], hello[b"role"]) == (b"standalone", b"master")


def test_publish_reaches_who_has_subscribed(stayd, client):
    """Whichever nodes stayd publishes and listens at."""
    with stayd.client() as listener:
        assert listener.call("SUBSCRIBE", "news")[0] == b"subscribe"
        for n in range(20):
            wait_until(lambda n=n: client.call("PUBLISH", "news", n) is not None, 5, "published")
            assert listener.read() == [b"message", b"news", str(n).encode()]


def test_scripts_are_where_they_are_asked_for(cluster, stayd, client):
    sha = client.call("SCRIPT", "LOAD", "return redis.call('get', KEYS[1])")
    for key in spread(cluster, 1):
        assert client.call("SET", key, "1") == "OK"
        assert client.call("EVALSHA", sha, "1", key) == b"1"
