"""Clients that are broken, slow, greedy or no Redis clients at all: each harms itself only, and memory
stays bounded."""

import random
import resource
import socket

import pytest

from lib.processes import wait_until
from lib.resp import Closed, ErrorReply, encode
from lib.users import SLACK, Users

MB = 1 << 20


def resident(stayd, field="VmRSS"):
    """Bytes of resident memory, as the kernel counts them; "VmHWM": the most there ever was."""
    for line in open(f"/proc/{stayd.pid}/status"):
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field}")


def descriptors(count):
    """Lets this process, and those it starts, open `count` files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        assert hard >= count, f"the limit of descriptors is {hard}, {count} are needed"
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@pytest.fixture
def users(stayd):
    users = Users(stayd)
    users.login(10)
    return users


def last_words(client, timeout=5):
    """The error a connection ends with, or None if it just ends."""
    try:
        reply = client.read(timeout)
    except Closed:
        return None
    assert isinstance(reply, ErrorReply), reply
    assert client.closed(timeout)
    return str(reply)


GARBAGE = {
    "letters_for_a_count": (b"*abc\r\n", "ERR Protocol error: invalid multibulk length"),
    "no_bulk": (b"*1\r\n+3\r\nGET\r\n", "ERR Protocol error: expected '$', got '+'"),
    "oversized_bulk": (
        b"*2\r\n$3\r\nGET\r\n$900000000\r\n",
        "ERR Protocol error: invalid bulk length",
    ),
    "too_many_elements": (b"*1048577\r\n", "ERR Protocol error: invalid multibulk length"),
    "unbalanced_quotes": (b'GET "sess:1\r\n', "ERR Protocol error: unbalanced quotes in request"),
}
# Redis takes more of these: 512 MB, and 2,147,483,647 elements.
OWN_LIMITS = {GARBAGE["oversized_bulk"][0], GARBAGE["too_many_elements"][0]}


@pytest.mark.parametrize("garbage,error", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_answered_as_redis_does(users, stayd, redis, garbage, error):
    for server in (redis, stayd):
        with server.client() as client:
            if server is redis and garbage in OWN_LIMITS:
                continue
            client.raw(garbage)
            assert last_words(client) == error
    users.go_on()


def test_random_bytes(users, stayd):
    """Whatever comes, stayd lives and other clients notice nothing."""
    seeded = random.Random(7)
    alphabet = [b"*", b"$", b"\r\n", b"\0", b"-1", b"3", b"GET", b"sess:1", b" ", b'"', b"\xff\xfe"]
    for _ in range(200):
        with stayd.client() as client:
            try:
                client.raw(b"".join(seeded.choices(alphabet, k=seeded.randrange(1, 60))) + b"\r\n")
            except Closed:
                pass
    stayd.process.must_be_alive()
    users.go_on()


def test_many_elements(users, stayd, redis):
    """70,000 keys in one command are in order, as with Redis, with Redis or without; the ledger is
    asked for 1,024 rows at a time, so memory stays in bounds."""
    command = ["MGET", *[f"sess:{n}" for n in range(70_000)]]
    stayd.wait_adopted()
    with stayd.client(timeout=20) as client:
        assert client.call("PING") == "PONG"
        before = resident(stayd)
        for limit_mb in (32, 96):  # with Redis; without it every row is in memory for a moment
            if limit_mb == 96:
                redis.kill()
            values = client.call(*command)
            assert isinstance(values, list) and len(values) == 70_000
            assert [v for v in values if v is not None] == [
                f"user-{n}".encode() for n in range(1, 11)
            ]
            grown = resident(stayd, "VmHWM") - before
            assert grown < limit_mb * MB, f"{grown // MB} MB for one command of 70,000 keys"
    users.go_on()


@pytest.mark.timeout(60)
def test_half_a_command(users, stayd):
    """A sender that stops in the middle is closed after 5 s; one that is merely slow is not."""
    with stayd.client() as half, stayd.client() as idle:
        before = stayd.metric("stayd_limit_closes_total")
        half.raw(b"*2\r\n$3\r\nGET\r\n$6\r\nses")
        with stayd.client() as slow:
            for byte in encode("GET", "sess:1"):
                slow.raw(bytes([byte]))
            assert slow.read() == b"user-1"
        wait_until(lambda: half.closed(0.1), 8 * SLACK, "the half command's connection is closed")
        assert stayd.metric("stayd_limit_closes_total") > before
        assert idle.call("PING") == "PONG"
    users.go_on()


BEFORE_AUTH = {
    "eleven_elements": (b"*11\r\n", "unauthenticated multibulk length"),
    "bulk_over_16_kb": (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", "unauthenticated bulk length"),
    "endless_line": (b"x" * 70_000, "too big inline request"),
}


@pytest.mark.parametrize("flood,error", BEFORE_AUTH.values(), ids=BEFORE_AUTH)
def test_flood_before_auth(redis, make_stayd, flood, error):
    """Who has not given the password gets no memory."""
    stayd = make_stayd(redis.url, options={"listen.password": "secret"})
    with stayd.client() as client, stayd.client() as friend:
        assert client.call("GET", "k").startswith("NOAUTH")
        assert friend.call("AUTH", "secret") == "OK"
        client.raw(flood)
        assert last_words(client) == f"ERR Protocol error: {error}"
        assert friend.call("SET", "k", "x" * 20_000) == "OK"
        assert friend.call("GET", "k") == b"x" * 20_000


def test_a_browser_is_sent_away(users, stayd, redis):
    """Cross-protocol scripting: a page makes a browser POST to the Redis port. As with Redis, nothing
    of the body is executed."""
    body = b"SET sess:1 stolen\r\nSET stolen 1\r\n"
    for first in (b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"):
        with stayd.client() as client:
            client.raw(first + b"Host: 127.0.0.1\r\n\r\n" + body)
            with pytest.raises((Closed, ConnectionError)):
                for _ in range(10):
                    assert isinstance(client.read(), ErrorReply)
    assert redis.call("GET", "stolen") is None
    users.go_on()


@pytest.mark.timeout(60)
def test_replies_that_nobody_reads(users, stayd):
    """320 MB of replies are asked for and not read: stayd stops reading, and closes after 5 s."""
    with stayd.client() as client:
        assert client.call("SET", "big", "x" * 16_384, "EX", 100) == "OK"
    before, closes = resident(stayd), stayd.metric("stayd_limit_closes_total")
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        greedy.connect(("127.0.0.1", stayd.port))
        greedy.setblocking(False)
        pending = memoryview(encode("GET", "big") * 20_000)
        most = 0

        def closed():
            nonlocal pending, most
            most = max(most, resident(stayd) - before)
            try:
                pending = pending[greedy.send(pending) :] if pending else pending
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                return True
            return stayd.metric("stayd_limit_closes_total") > closes

        wait_until(closed, 12 * SLACK, "the connection of a client that does not read is closed")
    assert most < 64 * MB, f"{most // MB} MB for one client that does not read"
    users.go_on()


@pytest.mark.timeout(60)
def test_idle_connections_cost_little(redis, make_stayd):
    """2,000 connections that have been used and wait: at most 4 KB of memory each."""
    count = 2_000
    descriptors(2 * count + 500)
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()

    def open_all(number):
        clients = [stayd.client() for _ in range(number)]
        for client in clients:
            assert client.pipeline(["SET", "k", "v"], ["GET", "k"]) == ["OK", b"v"]
        return clients

    for client in open_all(200):  # pools and caches fill
        client.close()
    wait_until(lambda: stayd.metric("stayd_clients") == 0, 5, "they are gone")
    before = resident(stayd)
    clients = open_all(count)
    assert stayd.metric("stayd_clients") == count
    each = (resident(stayd) - before) / count
    for client in clients:
        client.close()
    assert each <= 4096, f"{each:.0f} bytes for an idle connection"
