"""The harness' own tests: a harness that lies makes every other test worthless."""

import subprocess
import time

import pytest

from lib.history import History
from lib.names import NameServer
from lib.processes import Process
from lib.resp import Client, Closed, ErrorReply, Push, Status
from lib.servers import find, is_side_key


# -- resp -----------------------------------------------------------------------------------------


def test_client_reads_every_kind_of_reply(redis):
    with redis.client(proto=3) as client:
        assert client.pipeline(["SET", "k", b"\r\n\0"], ["GET", "k"], ["GET", "x"]) == [
            "OK",
            b"\r\n\0",
            None,
        ]
        assert isinstance(client.call("PING"), Status)
        assert client.call("HSET", "h", "a", "1", "b", "2") == 2
        assert client.call("HGETALL", "h") == {b"a": b"1", b"b": b"2"}
        assert client.call("ZADD", "z", "1.5", "m") == 1
        assert client.call("ZSCORE", "z", "m") == 1.5
        error = client.call("LPUSH", "k", "x")
        assert isinstance(error, ErrorReply) and error.startswith("WRONGTYPE")
        assert isinstance(client.call("SUBSCRIBE", "c"), Push)


def test_client_says_when_the_server_dies(redis):
    with redis.client() as client:
        redis.kill()
        with pytest.raises(Closed):
            client.call("PING")


def test_restarts_lose_or_keep_what_they_should(redis):
    redis.call("SET", "a", "1")
    snapshot = redis.snapshot()
    redis.call("SET", "b", "1")
    redis.restart_from(snapshot)
    assert redis.keys() == {"a"}
    redis.restart_empty()
    assert redis.keys() == set()


def test_what_a_sanitizer_writes_is_noticed(folder):
    log = folder / "log"
    server = Process("server", ["true"], log)
    log.write_text('{"event":"serving"}\n')
    assert server.sanitizer_report() == []
    log.write_text("serving\na.cc:1:2: runtime error: shift\nat x\n")
    assert server.sanitizer_report() == ["a.cc:1:2: runtime error: shift", "at x"]
    log.write_text("serving\n==7==ERROR: LeakSanitizer: detected memory leaks\n")
    assert len(server.sanitizer_report()) == 1


# -- fault proxy ----------------------------------------------------------------------------------


@pytest.fixture
def proxy(redis, make_proxy):
    return make_proxy(redis.port)


def silent(client):
    with pytest.raises(TimeoutError):
        client.read(timeout=0.15)
    return True


def test_proxy_passes_everything(proxy):
    with Client(proxy.port) as client:
        value = b"x" * 1_000_000
        assert client.pipeline(["SET", "k", value], ["GET", "k"]) == ["OK", value]
        assert proxy.connections == 1


def test_proxy_blackhole_is_silent_and_delivers_late(redis, proxy):
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.blackhole()
        client.send("SET", "late", "1")
        assert silent(client)
        with Client(proxy.port) as fresh:
            fresh.send("PING")
            assert silent(fresh)
        assert redis.call("GET", "late") is None
        proxy.heal()
        assert client.read() == "OK"


def test_proxy_one_way_blackhole_lets_the_command_through(redis, proxy):
    with Client(proxy.port) as client:
        proxy.blackhole("to_client")
        client.send("SET", "k", "1")
        assert silent(client)
        assert redis.call("GET", "k") == b"1"


def test_proxy_refuses_and_comes_back(proxy):
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            Client(proxy.port)
        assert client.call("PING") == "PONG"
    proxy.heal()
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"


def test_proxy_drops_new_connections(proxy):
    proxy.drop_new()
    with pytest.raises(TimeoutError):
        Client(proxy.port, timeout=0.3)
    proxy.heal()
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"


def test_proxy_resets(proxy):
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.reset_all()
        with pytest.raises(Closed):
            client.call("PING")


def test_proxy_half_open(redis, proxy):
    with Client(proxy.port) as client:
        assert client.call("PING") == "PONG"
        before = redis.call("INFO", "clients")
        proxy.half_open()
        client.send("PING")
        assert silent(client)
        assert b"connected_clients:2" in before


def test_proxy_delays(proxy):
    with Client(proxy.port) as client:
        client.call("PING")
        proxy.delay(50)
        start = time.monotonic()
        assert client.pipeline(*[["PING"]] * 100) == ["PONG"] * 100
        assert 0.09 < time.monotonic() - start < 1


def test_proxy_moves_to_another_server(proxy, make_redis):
    other = make_redis()
    other.call("SET", "k", "other")
    with Client(proxy.port) as client:
        assert client.call("GET", "k") is None
        proxy.retarget(other.port)
        with pytest.raises(Closed):
            client.call("GET", "k")
    with Client(proxy.port) as client:
        assert client.call("GET", "k") == b"other"


def test_proxy_injects(proxy):
    with Client(proxy.port) as client:
        client.call("PING")
        proxy.inject(b"+FOREIGN\r\n")
        assert client.read() == "FOREIGN"


def test_proxy_drops_what_is_idle(proxy):
    proxy.drop_idle(0.2)
    with Client(proxy.port) as busy, Client(proxy.port) as idle:
        idle.call("PING")
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            assert busy.call("PING") == "PONG"
        with pytest.raises(Closed):
            idle.call("PING")


# -- history --------------------------------------------------------------------------------------


def history(*events):
    """Events as (kind, key, value, start, end) on a made-up clock."""
    from lib.history import Event

    return History([Event(*event) for event in events])


INF = float("inf")

CASES = [
    ("all well", [("write", "k", 1, 0, 1), ("read", "k", 1, 2, 3)], None),
    ("false logout", [("write", "k", 1, 0, 1), ("read", "k", None, 2, 3)], "FALSE LOGOUT"),
    ("absent before the ack", [("write", "k", 1, 0, 3), ("read", "k", None, 2, 4)], None),
    ("unacked write", [("write", "k", 1, 0, INF), ("read", "k", None, 2, 4)], None),
    (
        "logged out",
        [("write", "k", 1, 0, 1), ("logout", "k", None, 2, 3), ("read", "k", None, 4, 5)],
        None,
    ),
    (
        "resurrection",
        [("write", "k", 1, 0, 1), ("logout", "k", None, 2, 3), ("read", "k", 1, 4, 5)],
        "RESURRECTION",
    ),
    (
        "logout in doubt",
        [("write", "k", 1, 0, 1), ("logout", "k", None, 2, INF), ("read", "k", 1, 4, 5)],
        None,
    ),
    (
        "logout in doubt, gone",
        [("write", "k", 1, 0, 1), ("logout", "k", None, 2, INF), ("read", "k", None, 4, 5)],
        None,
    ),
    ("foreign", [("write", "k", 1, 0, 1), ("read", "k", 9, 2, 3)], "FOREIGN"),
    (
        "stale",
        [("write", "k", 1, 0, 1), ("write", "k", 2, 2, 3), ("read", "k", 1, 4, 5)],
        "STALE",
    ),
    (
        "logged in again, same value",
        [
            ("write", "k", 1, 0, 1),
            ("logout", "k", None, 2, 3),
            ("write", "k", 1, 4, 5),
            ("read", "k", 1, 6, 7),
        ],
        None,
    ),
    (
        "logged in again, absent",
        [
            ("write", "k", 1, 0, 1),
            ("logout", "k", None, 2, 3),
            ("write", "k", 2, 4, 5),
            ("read", "k", None, 6, 7),
        ],
        "FALSE LOGOUT",
    ),
]


@pytest.mark.parametrize("name,events,expected", CASES, ids=[case[0] for case in CASES])
def test_history(name, events, expected):
    found = history(*events).violations()
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1 and expected in found[0]


def test_find_and_side_keys():
    assert find({"a": [{"b": 0}]}, "b") == 0
    assert find({"a": 1}, "b") is None
    assert is_side_key("stayd:{}:canary:a") and not is_side_key("sess:1")


def test_name_server(folder):
    names = NameServer()
    names.aliases["redis.test"] = "node.test"
    names.addresses["node.test"] = ["127.0.0.5", "127.0.0.6", "::1"]

    def resolve(name="redis.test"):
        """What a program is told; its own exit code without an answer."""
        argv = [*names.prefix(folder), "getent", "ahosts", name]
        run = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        return run.returncode or {line.split()[0] for line in run.stdout.splitlines()}

    try:
        assert resolve() == {"127.0.0.5", "127.0.0.6", "::1"}
        assert names.questions["redis.test"] == 1
        assert resolve("other.test") == 2
        for names.fault in ("refused", "unknown", "empty", "silent"):
            assert resolve() == 2, names.fault
        names.fault = None
        names.aliases["redis.test"] = "other.test"
        assert resolve() == 2
        names.addresses["other.test"] = "127.0.0.7"
        assert resolve() == {"127.0.0.7"}
    finally:
        names.close()
