"""What a healthy Redis sees of stayd: exactly the client's own read, and nothing of stayd's own keys
through the port.
"""

import re

from lib.processes import wait_until


def watched(redis, act):
    """The commands Redis executes for clients while `act` runs, stayd's heartbeats left out."""
    with redis.client(timeout=10) as monitor:
        assert monitor.call("MONITOR") == "OK"
        act()
        redis.call("ECHO", "the end")
        lines = []
        while not lines or '"ECHO" "the end"' not in lines[-1]:
            lines.append(str(monitor.read()))
    # '1700000000.123456 [0 127.0.0.1:40000] "GET" "k"', or "[0 lua]" for a script's own commands
    return [line for line in lines[:-1] if "stayd:{" not in line and " lua]" not in line]


def test_a_read_is_exactly_one_get(redis, stayd):
    stayd.call("SET", "sess:a", "value")
    seen = watched(redis, lambda: stayd.call("GET", "sess:a"))
    reads = [line for line in seen if re.search(r'"sess:a"', line)]
    assert [line.split("] ", 1)[1] for line in reads] == ['"GET" "sess:a"'], seen


def test_a_set_is_exactly_one_set(redis, stayd):
    seen = watched(redis, lambda: stayd.call("SET", "sess:b", "value", "PX", "60000"))
    writes = [line.split("] ", 1)[1] for line in seen if '"sess:b"' in line]
    assert writes == ['"SET" "sess:b" "value" "PX" "60000"'], seen


def test_side_keys_never_show(redis, stayd):
    with stayd.client() as client:
        for db in (0, 3):
            assert client.call("SELECT", db) == "OK"
            assert client.call("DBSIZE") == 0
            assert client.call("RANDOMKEY") is None
            assert client.call("SET", "mine", "1") == "OK"
        wait_until(
            lambda: any(key.startswith(b"stayd:{") for key in redis.call("KEYS", "*")),
            10,
            "stayd has a key of its own in Redis",
        )
        for db in (0, 3):
            assert client.call("SELECT", db) == "OK"
            assert client.call("DBSIZE") == 1
            assert client.call("KEYS", "*") == [b"mine"]
            assert client.call("KEYS", "stayd:*") == []
            assert client.call("SCAN", 0, "COUNT", 1000) == [b"0", [b"mine"]]
            assert client.call("SCAN", 0, "MATCH", "stayd*", "COUNT", 1000) == [b"0", []]
            assert {client.call("RANDOMKEY") for _ in range(50)} == {b"mine"}


def test_side_keys_cannot_be_touched(redis, stayd):
    stayd.call("SET", "mine", "1")
    names = wait_until(
        lambda: [key for key in redis.call("KEYS", "*") if key.startswith(b"stayd:{")],
        10,
        "stayd has a key of its own in Redis",
    )
    for command in (["GET"], ["DEL"], ["SET"], ["TYPE"], ["RENAME"]):
        request = [*command, names[0], *(["x"] if command[0] in ("SET", "RENAME") else [])]
        assert str(stayd.call(*request)).startswith("ERR stayd: keys that start with"), request
