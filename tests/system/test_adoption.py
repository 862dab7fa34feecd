"""Before the backfill has ended: what an outage may not turn into "unknown"."""

import json
import subprocess
import urllib.error
import urllib.request

import pytest

from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.servers import stayd_binary
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


def backfill(stayd, *flags):
    """`stayd backfill` to its end."""
    argv = [stayd_binary(), "backfill", "--listen.http", f"127.0.0.1:{stayd.http_port}", *flags]
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=30)


def test_backfill_command(stayd, redis):
    """Keys that came past stayd are unknown to it, until the backfill is run once more."""
    stayd.wait_adopted()
    for n in range(2000):
        redis.call("SET", f"sess:{n}", "past stayd")
    run = backfill(stayd)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("started\n") and "100%" in run.stdout.splitlines()[-1]
    assert stayd.status()["adopted"] == 2000
    assert stayd.log_lines("backfill_started") and stayd.log_lines("adoption_complete")
    redis.kill()
    assert stayd.call("GET", "sess:1999") == b"past stayd"


def test_backfill_command_joins_what_is_under_way(newcomer):
    """It shows the backfill that began by itself."""
    stayd, redis = newcomer
    http = f"127.0.0.1:{stayd.http_port}"
    argv = [stayd_binary(), "backfill", "--json", "--listen.http", http]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        first = json.loads(run.stdout.readline())
        assert first["complete"] is False and first["expected"] > 0
        redis.call("ACL", "SETUSER", "default", "+scan")
        rest = [json.loads(line) for line in run.stdout]
    assert rest[-1]["complete"] is True and rest[-1]["seconds_left"] is None
    assert run.returncode == 0
    assert not stayd.log_lines("backfill_started")


def test_backfill_is_only_for_its_command(stayd):
    """A page in a browser on this host could post, but not with a header of its own."""
    stayd.wait_adopted()
    request = urllib.request.Request(
        f"http://127.0.0.1:{stayd.http_port}/backfill", data=b"", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=5)
    assert stayd.http("/backfill")[0] == 404
    assert stayd.status()["adoption_complete"] is True
