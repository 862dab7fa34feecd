"""Stories of what has gone wrong, or nearly: each test tells one, and must stay able to fail."""

import signal

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SLACK

UNKNOWN = "session state temporarily unknown"


def fill(port_client, count, chunk=2000, prefix="sess:"):
    """`count` sessions, "sess:N" holding "user-N"."""
    for first in range(0, count, chunk):
        commands = [
            ["SET", f"{prefix}{n}", f"user-{n}", "EX", 3600]
            for n in range(first, min(first + chunk, count))
        ]
        assert set(port_client.pipeline(*commands, timeout=20)) == {"OK"}


def wrong_answers(client, count, chunk=2000, unknown_allowed=False):
    """What GET says of the sessions of fill() that it should not."""
    wrong = []
    for first in range(0, count, chunk):
        numbers = range(first, min(first + chunk, count))
        replies = client.pipeline(*[["GET", f"sess:{n}"] for n in numbers], timeout=20)
        for number, reply in zip(numbers, replies, strict=True):
            if unknown_allowed and isinstance(reply, ErrorReply) and UNKNOWN in reply:
                continue
            if reply != f"user-{number}".encode():
                wrong.append((number, reply))
    return wrong


def kill_connections(redis):
    """Cuts every connection that Redis has, our own aside."""
    return redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def events(stayd):
    return stayd.process.log()


# -- connections cut at the wrong moment ----------------------------------------------------------------


@pytest.mark.timeout(90)
def test_cut_in_the_middle_of_the_reconcile(stayd, redis):
    """Redis is back, empty; half of the sessions are put back when the connection breaks. The new
    connection finds a canary of this very stayd and must not take it for a proof of completeness."""
    count = 20_000
    with stayd.client(timeout=20) as client:
        fill(client, count)
        redis.restart_empty()
        wait_until(lambda: stayd.trust() == "suspect", 10, "the reconcile has begun")
        wait_until(lambda: redis.call("DBSIZE") > 200, 10, "some sessions are back")
        caught = stayd.trust() == "suspect"
        kill_connections(redis)
        assert caught, "the reconcile was over before it could be cut: use more sessions"
        assert wrong_answers(client, count) == []
        stayd.wait_trusted(timeout=30 * SLACK)
        assert wrong_answers(client, count) == []
        assert len(redis.keys()) == count
    seen = [e for e in ("shard_out", "shard_trusted") for _ in stayd.log_lines(f'"{e}"')]
    assert seen == ["shard_out", "shard_out", "shard_trusted", "shard_trusted"], "not cut in between"


MATCH = '[[sessions]]\nmatch = "sess:*"\n'


@pytest.mark.parametrize(
    "setup,command,config",
    [
        (["RPUSH", "q", "a", "b"], ["LLEN", "q"], None),
        (["SET", "plain", "v"], ["GET", "plain"], MATCH),
        (["RPUSH", "q", "a", "b"], ["RPUSH", "q", "c"], MATCH),
    ],
    ids=["two_llen", "two_get_no_session", "two_rpush_no_session"],
)
def test_two_commands_of_one_key_in_flight(redis, make_stayd, setup, command, config):
    """Two commands of one key are under way when the connection dies. The first one's answer used to
    end the second one, which was looked at afterwards: stayd fell."""
    stayd = make_stayd(redis.url, config_text=config)
    stayd.wait_trusted()
    stayd.wait_adopted()
    with stayd.client() as client:
        assert not isinstance(client.pipeline(setup, command)[1], ErrorReply)
        redis.freeze()
        client.send(*command)
        client.send(*command)
        redis.process.signal(signal.SIGKILL)
        replies = [client.read(), client.read()]
        stayd.process.must_be_alive()
        for reply in replies:
            # Lists are none of the stand-in's types, and what is no session is not in the ledger.
            assert isinstance(reply, ErrorReply) and reply.startswith("ERR stayd:")
        assert client.call("PING") == "PONG"
    redis.kill()
    redis.start()
    stayd.wait_trusted()


def test_two_writes_of_one_key_refused_for_memory(stayd, redis):
    """OOM is answered to two SETs of one key in one pipeline: both go to the ledger, in order."""
    with stayd.client() as client:
        assert client.call("SET", "k", "old") == "OK"
        redis.config_set(maxmemory_policy="noeviction", maxmemory=1)
        assert client.pipeline(["SET", "k", "one"], ["SET", "k", "two"]) == ["OK", "OK"]
        assert client.call("GET", "k") == b"two"
        redis.config_set(maxmemory=0)
        stayd.wait_trusted(timeout=15)
        assert client.call("GET", "k") == b"two"
        assert redis.call("GET", "k") == b"two"
        redis.kill()
        assert client.call("GET", "k") == b"two"


def test_late_set_behind_its_logout(stayd, redis):
    """SET and DEL of one key wait in a frozen Redis that is then killed: what is re-issued for the SET
    must not outlive the DEL."""
    with stayd.client() as client:
        assert client.call("SET", "k", "early") == "OK"
        redis.freeze()
        client.send("SET", "k", "late")
        client.send("DEL", "k")
        replies = [client.read(), client.read()]
        redis.kill()
        assert replies == ["OK", 1]
        assert client.call("GET", "k") is None
        redis.start()
        stayd.wait_trusted()
        assert client.call("GET", "k") is None
        assert redis.call("GET", "k") is None
        redis.kill()
        assert client.call("GET", "k") is None


def test_late_set_behind_its_logout_in_a_thawed_redis(stayd, redis):
    """The same, but Redis wakes up and executes what it had received."""
    with stayd.client() as client:
        assert client.call("SET", "k", "early") == "OK"
        redis.freeze()
        client.send("SET", "k", "late")
        client.send("DEL", "k")
        assert [client.read(), client.read()] == ["OK", 1]
        redis.thaw()
        stayd.wait_trusted()
        assert client.call("GET", "k") is None
        assert redis.call("GET", "k") is None


PIPELINES = {
    "set_del_set": [["SET", "k", "a"], ["DEL", "k"], ["SET", "k", "b"], ["GET", "k"]],
    "del_set_del": [["DEL", "k"], ["SET", "k", "a"], ["DEL", "k"], ["GET", "k"]],
    "set_expire_0": [["SET", "k", "a"], ["EXPIRE", "k", 0], ["GET", "k"]],
    "del_then_nx": [["DEL", "k"], ["SET", "k", "a", "NX"], ["GET", "k"]],
    "set_getdel": [["SET", "k", "a"], ["GETDEL", "k"], ["EXISTS", "k"]],
    "hash_del": [["DEL", "k"], ["HSET", "k", "f", "1"], ["DEL", "k"], ["HGETALL", "k"]],
    "hash_grows": [["DEL", "k"], ["HSET", "k", "f", "1"], ["HSET", "k", "g", "2"], ["HGETALL", "k"]],
    "two_keys": [["MSET", "k", "a", "l", "b"], ["DEL", "l"], ["MGET", "k", "l"]],
}


@pytest.mark.parametrize("commands", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("end", ["killed", "thawed"])
def test_pipelines_into_a_frozen_redis(stayd, redis, make_redis, commands, end):
    """Whatever was under way when Redis froze ends as it would have on a healthy one: the same replies,
    the same values, and the same keys in Redis when it is back."""
    plain = make_redis()
    state = [["GET", "k"], ["HGETALL", "k"], ["EXISTS", "k", "l"], ["TTL", "k"]]
    with plain.client() as healthy, stayd.client() as client:
        for one in (healthy, client):
            assert one.call("SET", "k", "early") == "OK"
        expected, expected_state = healthy.pipeline(*commands), healthy.pipeline(*state)
        redis.freeze()
        assert client.pipeline(*commands) == expected
        assert client.pipeline(*state) == expected_state
        redis.thaw() if end == "thawed" else redis.restart_empty()
        stayd.wait_trusted()
        assert client.pipeline(*state) == expected_state
        with redis.client() as direct:
            assert direct.pipeline(*state) == expected_state


# -- restarts of stayd ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart_keeps_the_ledger(stayd, redis, how):
    """The canary ran ahead of the ledger after any restart that followed plain SETs: the ledger was
    given up for what Redis held, and each restart opened a window for false logouts."""
    with stayd.client() as client:
        fill(client, 500)
    getattr(stayd, how)()
    stayd.start()
    stayd.wait_trusted()
    assert "redis_is_truth" not in events(stayd)
    redis.kill()
    with stayd.client() as client:
        assert wrong_answers(client, 500) == []


# -- flushes -----------------------------------------------------------------------------------------------


def test_a_flush_that_redis_refuses_forgets_nothing(stayd, redis):
    """`FLUSHALL JUNK` is a syntax error; the ledger was emptied all the same."""
    with stayd.client() as client:
        fill(client, 20)
        for junk in (["FLUSHALL", "JUNK"], ["FLUSHDB", "JUNK"], ["FLUSHALL", "ASYNC", "JUNK"]):
            assert isinstance(client.call(*junk), ErrorReply)
        assert wrong_answers(client, 20) == []
        redis.kill()
        assert wrong_answers(client, 20) == []


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
def test_a_flush_stays_flushed_after_an_old_snapshot(stayd, redis, command):
    """Meant is meant: a snapshot of before the flush does not bring the sessions back."""
    with stayd.client() as client:
        fill(client, 20)
        snapshot = redis.snapshot()
        assert client.call(command) == "OK"
        assert client.call("SET", "sess:new", "n") == "OK"
        redis.restart_from(snapshot)
        assert client.call("GET", "sess:1") is None
        stayd.wait_trusted()
        assert [r for _, r in wrong_answers(client, 20)] == [None] * 20
        assert client.call("GET", "sess:new") == b"n"
        assert redis.keys() == {"sess:new"}


def test_a_flush_settles_debts(stayd, redis):
    """What was owed for a flushed key is owed no more: `debts` stayed above 0 for ever."""
    with stayd.client() as client:
        fill(client, 5)
        redis.config_set(maxmemory_policy="noeviction", maxmemory=1)
        assert client.call("SET", "sess:1", "owed") == "OK"
        wait_until(lambda: stayd.status()["shard"]["debts"] > 0, 5, "a debt is outstanding")
        assert client.call("FLUSHALL") == "OK"
        redis.config_set(maxmemory=0)
        wait_until(lambda: stayd.status()["shard"]["debts"] == 0, 5 * SLACK, "debts are 0")
        assert client.call("GET", "sess:1") is None
        assert redis.keys() == set()


def test_a_flush_in_a_transaction_is_refused(stayd, redis):
    """A flush inside MULTI would pass the ledger by."""
    with stayd.client() as client:
        fill(client, 5)
        for flush in ("FLUSHALL", "FLUSHDB"):
            assert client.call("MULTI") == "OK"
            assert isinstance(client.call(flush), ErrorReply)
            assert str(client.call("EXEC")).startswith("EXECABORT")
        assert wrong_answers(client, 5) == []
        assert len(redis.keys()) == 5


# -- adoption ----------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.parametrize("cut", ["connection", "restart"])
def test_interrupted_adoption_adopts_all(make_redis, make_stayd, cut):
    """30,000 keys were there before stayd. The scan that takes them over is cut: its cursor belongs to
    the old connection (or process), and what it had not reached yet must not be taken for absent."""
    count = 30_000
    redis = make_redis()
    with redis.client(timeout=20) as direct:
        fill(direct, count)
    snapshot = redis.snapshot()
    stayd = make_stayd(redis.url)
    wait_until(lambda: stayd.status()["adopted"] > 300, 10, "the adoption has begun")
    assert not stayd.status()["adoption_complete"], "over before it could be cut: use more keys"
    kill_connections(redis) if cut == "connection" else redis.restart_from(snapshot)
    with stayd.client(timeout=20) as client:
        assert wrong_answers(client, 500, unknown_allowed=True) == []
        stayd.wait_adopted(timeout=60 * SLACK)
        redis.kill()
        assert wrong_answers(client, count) == []


# -- transactions and scripts ------------------------------------------------------------------------------


def test_a_transaction_that_did_not_happen_logs_nobody_out(stayd, redis):
    """WATCH, then DEL in a block whose EXEC returns nil: the tombstone was there already."""
    with stayd.client() as client, stayd.client() as other:
        assert client.call("SET", "sess:1", "a") == "OK"
        assert client.call("WATCH", "sess:1") == "OK"
        assert other.call("SET", "sess:1", "b") == "OK"
        assert client.pipeline(["MULTI"], ["DEL", "sess:1"], ["EXEC"]) == ["OK", "QUEUED", None]
        assert client.call("GET", "sess:1") == b"b"
        redis.kill()
        assert client.call("GET", "sess:1") == b"b"


def test_an_unknown_script_in_doubt_is_undone(stayd, redis):
    """Redis executes a script that stayd cannot, and dies before it replies. The key was unknown for the
    rest of the outage; an error was told, so the script may as well never have run."""
    script = "redis.call('SET', KEYS[1], 'new') while true do end"
    with stayd.client() as client:
        redis.config_set(busy_reply_threshold=20)
        assert client.call("SET", "sess:1", "old") == "OK"
        client.send("EVAL", script, 1, "sess:1")
        wait_until(lambda: str(redis.call("PING")).startswith("BUSY"), 5, "the script runs")
        redis.process.signal(signal.SIGKILL)
        reply = client.read(timeout=10)
        assert isinstance(reply, ErrorReply)
        assert client.call("GET", "sess:1", timeout=10) == b"old"
        redis.start()
        stayd.wait_trusted()
        assert client.call("GET", "sess:1") == b"old"
        assert redis.call("GET", "sess:1") == b"old"


def test_exec_on_another_connection_than_watch_is_null(stayd, redis):
    """The connection that watched is lost before EXEC: nobody knows whether the key was changed."""
    with stayd.client() as client, stayd.client() as other:
        assert client.call("SET", "sess:1", "a") == "OK"
        assert client.call("WATCH", "sess:1") == "OK"
        assert kill_connections(redis) >= 1
        stayd.wait_trusted()
        assert other.call("SET", "sess:1", "b") == "OK"
        replies = client.pipeline(["MULTI"], ["SET", "sess:1", "lost"], ["EXEC"])
        assert replies == ["OK", "QUEUED", None]
        assert client.call("GET", "sess:1") == b"b"


def test_select_in_a_watched_block_stays_there(stayd, redis):
    """Pinned connections are shared one after the other: the next client's transaction was executed
    in the database that the block of the one before had selected."""
    with stayd.client() as client, stayd.client() as other:
        assert client.call("WATCH", "a") == "OK"
        replies = client.pipeline(["MULTI"], ["SELECT", 3], ["SET", "a", "three"], ["EXEC"])
        assert replies == ["OK", "QUEUED", "QUEUED", ["OK", "OK"]]
        assert other.call("WATCH", "b") == "OK"
        replies = other.pipeline(["MULTI"], ["SET", "b", "zero"], ["EXEC"])
        assert replies == ["OK", "QUEUED", ["OK"]]
        assert other.call("GET", "b") == b"zero"
        assert client.call("GET", "a") == b"three"  # it is in database 3 now, as on Redis
        assert client.call("SELECT", 0) == "OK"
        assert client.call("GET", "a") is None
    with redis.client() as direct:
        assert direct.call("GET", "b") == b"zero"
        assert direct.pipeline(["SELECT", 3], ["GET", "a"], ["GET", "b"]) == ["OK", b"three", None]


def test_what_is_copied_to_another_database_outlives_redis(stayd, redis):
    """COPY and MOVE write a key of another database: the ledger knew nothing of it."""
    with stayd.client() as client:
        assert client.pipeline(["SELECT", 7], ["SET", "sess:2", "old"], ["SELECT", 0])[1] == "OK"
        assert client.pipeline(["SET", "sess:1", "a"], ["SET", "sess:3", "b"]) == ["OK", "OK"]
        assert client.call("COPY", "sess:1", "sess:2", "DB", 7, "REPLACE") == 1
        assert client.call("MOVE", "sess:3", 7) == 1
        redis.kill()
        wait_until(lambda: stayd.trust() == "out", 5, "Redis is known to be out")
        assert client.pipeline(["GET", "sess:1"], ["GET", "sess:3"]) == [b"a", None]
        assert client.call("SELECT", 7) == "OK"
        assert client.pipeline(["GET", "sess:2"], ["GET", "sess:3"]) == [b"a", b"b"]


def test_removing_what_is_not_there_disturbs_no_watch(stayd, redis):
    """Without Redis: DEL of a watched key that is not there leaves a tombstone, and changes nothing."""
    redis.kill()
    wait_until(lambda: stayd.trust() == "out", 5, "Redis is known to be out")
    with stayd.client() as client:
        assert client.call("WATCH", "sess:1") == "OK"
        assert client.call("DEL", "sess:1") == 0
        replies = client.pipeline(["MULTI"], ["SET", "sess:1", "a"], ["EXEC"])
        assert replies == ["OK", "QUEUED", ["OK"]]
        assert client.call("WATCH", "sess:1") == "OK"
        assert client.call("DEL", "sess:1") == 1
        assert client.pipeline(["MULTI"], ["GET", "sess:1"], ["EXEC"]) == ["OK", "QUEUED", None]
