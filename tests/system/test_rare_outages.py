"""Ways in which Redis, or the way to it, fails that need more staging than the table of test_outages."""

import socket
import threading
import time

import pytest

from lib.faults import fill
from lib.processes import wait_until
from lib.resp import ErrorReply
from lib.users import SILENT_LIMIT_S, SLACK, Users


@pytest.fixture
def users(stayd):
    users = Users(stayd)
    users.login(20)
    return users


@pytest.fixture
def proxied_users(proxied):
    users = Users(proxied[0])
    users.login(20)
    return users


# -- Redis refuses or is busy -------------------------------------------------------------------------------


@pytest.fixture
def restricted(redis, make_stayd):
    """A stayd that reaches `redis` as the user "app"."""
    assert redis.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all") == "OK"
    stayd = make_stayd(f"redis://app:secret@127.0.0.1:{redis.port}/0")
    stayd.wait_trusted()
    stayd.wait_adopted()
    return stayd


def go_on_without_permission(stayd, redis, rules):
    users = Users(stayd)
    users.login(10)
    redis.call("ACL", "SETUSER", "app", *rules)
    wait_until(lambda: stayd.trust() == "out", 5, "stayd knows that Redis is of no use")
    commands = int(redis.info("stats")["total_commands_processed"])
    users.go_on()
    time.sleep(0.5)  # how much is asked in a time, not a wait for something
    asked = int(redis.info("stats")["total_commands_processed"]) - commands
    assert asked < 200, f"Redis was asked {asked} times in half a second"
    redis.call("ACL", "SETUSER", "app", "~*", "+@all")
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(redis)


LOST_PERMISSIONS = {
    "commands": ["-@all", "+hello", "+ping"],
    "script": ["-evalsha"],
    "inside_scripts": ["-set"],
    "keys": ["resetkeys", "~sess:*"],
}


@pytest.mark.parametrize("rules", LOST_PERMISSIONS.values(), ids=LOST_PERMISSIONS)
def test_permissions_are_narrowed(restricted, redis, row, rules):
    """A heartbeat that was denied was taken for a foreign one: the comparison with the ledger began
    anew at once, 12,000 times a second."""
    with row.shows(restricted):
        go_on_without_permission(restricted, redis, rules)


def test_a_denied_command_is_told(restricted, redis, row):
    """What stayd itself does not need: the client hears what Redis says; a logout holds."""
    with restricted.client() as client:
        assert client.call("SET", "sess:1", "v") == "OK"
        redis.call("ACL", "SETUSER", "app", "-getrange", "-del", "-unlink")
        with row.shows(restricted):
            assert client.call("GETRANGE", "sess:1", 0, 0).startswith("NOPERM")
            assert client.call("DEL", "sess:1") == 1
        assert redis.call("GET", "sess:1") == b"v"
        assert client.call("GET", "sess:1") is None
        redis.call("ACL", "SETUSER", "app", "+@all")
        wait_until(lambda: redis.call("EXISTS", "sess:1") == 0, 5, "the logout has reached Redis")
        restricted.wait_trusted()


def test_a_script_is_undone_where_exists_is_denied(restricted, redis, row):
    """Whether Redis still had the key when the script ran, nobody could say."""
    append = ["EVAL", "return redis.call('APPEND', KEYS[1], ARGV[1])", 1, "sess:1", "b"]
    with restricted.client() as client:
        assert client.call("SET", "sess:1", "a") == "OK"
        redis.call("ACL", "SETUSER", "app", "-exists")
        with row.shows(restricted):
            assert "allow them to stayd's user" in client.call(*append)
            assert client.call("GET", "sess:1") == b"a"
        redis.call("ACL", "SETUSER", "app", "+@all")
        restricted.wait_trusted()
        assert client.call(*append) == 2
        assert redis.call("GET", "sess:1") == b"ab"


def test_user_is_deleted(restricted, redis, row):
    users = Users(restricted)
    users.login(10)
    with row.shows(restricted):
        assert redis.call("ACL", "DELUSER", "app") == 1
        users.go_on()
    redis.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
    restricted.wait_trusted(timeout=20)
    users.wait_in_redis(redis)


def test_listen_backlog_is_full(make_redis, make_stayd, row):
    """A frozen Redis whose kernel takes no more connections: one probe at a time, and no more."""
    redis = make_redis(tcp_backlog=4)
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    redis.freeze()
    fillers = []
    for _ in range(16):
        fillers.append(socket.socket())
        fillers[-1].setblocking(False)
        fillers[-1].connect_ex(("127.0.0.1", redis.port))
    with row.shows(stayd):
        users.go_on(limit_s=SILENT_LIMIT_S)
        before = stayd.metric("stayd_connects_total")
        time.sleep(2)  # how many probes in a time, not a wait for something
        users.go_on(limit_s=SILENT_LIMIT_S)
    assert stayd.metric("stayd_connects_total") - before <= 8  # two connections, each <= 2 a second
    redis.thaw()
    for filler in fillers:
        filler.close()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


def test_a_slow_command_delays_no_session(make_redis, make_stayd, row):
    """KEYS over many keys keeps Redis busy for everybody: sessions go on, the replies come."""
    redis = make_redis()
    stayd = make_stayd(redis.url, config_text='[[sessions]]\nmatch = "sess:*"\n')
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = Users(stayd)
    users.login(10)
    redis.call("DEBUG", "POPULATE", 1_000_000, "ballast", 1)
    stayd.wait_trusted(timeout=15)
    with stayd.client(timeout=20) as slow, row.shows(stayd):
        for _ in range(8):
            slow.send("KEYS", "*9")
        users.go_on(limit_s=SILENT_LIMIT_S)
        assert [sum(b"sess:" in key for key in slow.read()) for _ in range(8)] == [1] * 8
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


@pytest.mark.timeout(90)
def test_redis_exits_on_a_full_disk_again_and_again(small_disk, make_redis, make_stayd, row):
    """appendfsync always: the first write after each start ends the process."""
    redis = make_redis(appendonly="yes", appendfsync="always", dir=small_disk)
    stayd = make_stayd(redis.url)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    filler = fill(small_disk)
    with row.shows(stayd):
        for turn in range(3):
            if turn > 0:
                redis.start(ready=False)
            users.go_on()
            wait_until(lambda: write_big(redis), 10, "Redis ends")
            users.go_on()
    filler.unlink()
    redis.start()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(redis)


def write_big(redis):
    """Writes past stayd until the process has ended."""
    try:
        redis.call("SET", "big", "x" * 100_000)
    except Exception:  # noqa: BLE001 - however its end shows
        pass
    return not redis.process.alive


# -- another Redis behind the same address --------------------------------------------------------------------


@pytest.fixture
def pair(proxied, redis, make_redis):
    """(stayd, proxy, primary, replica in step with it); stayd reaches the primary."""
    stayd, proxy = proxied
    replica = make_redis(repl_diskless_sync_delay=0)
    redis.config_set(repl_diskless_sync_delay=0)
    assert replica.call("REPLICAOF", "127.0.0.1", redis.port) == "OK"
    wait_until(
        lambda: "state=online" in redis.info("replication").get("slave0", ""), 15, "in step"
    )
    return stayd, proxy, redis, replica


def test_planned_failover_behind_one_address(pair, row):
    """FAILOVER: writes pause, the replica takes over, the old primary says READONLY."""
    stayd, proxy, primary, replica = pair
    users = Users(stayd)
    users.login(20)
    with row.shows(stayd):
        assert primary.call("FAILOVER", "TO", "127.0.0.1", replica.port) == "OK"
        wait_until(lambda: replica.info("replication")["role"] == "master", 10, "promoted")
        users.go_on()
        proxy.retarget(replica.port)
        users.go_on()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(replica)


def test_failover_that_loses_writes(pair, row):
    """The replica is promoted while the old primary still takes writes: a logout, a login and a change
    are missing in the new one, as with every asynchronous failover."""
    stayd, proxy, primary, replica = pair
    users = Users(stayd)
    users.login(20)
    wait_until(lambda: not users.problems_in(replica), 5, "the replica has all")
    with row.shows(stayd):
        assert replica.call("REPLICAOF", "NO", "ONE") == "OK"
        users.go_on()
        assert users.problems_in(replica), "nothing was lost"
        proxy.retarget(replica.port)
        users.go_on()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(replica)


def test_old_primary_returns_empty(pair, row):
    """After the failover the address points at the old primary again, which has lost everything."""
    stayd, proxy, primary, replica = pair
    users = Users(stayd)
    users.login(20)
    replica.call("REPLICAOF", "NO", "ONE")
    proxy.retarget(replica.port)
    stayd.wait_trusted(timeout=15)
    users.go_on()
    with row.shows(stayd):
        primary.restart_empty()
        proxy.retarget(primary.port)
        users.go_on()
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(primary)


# -- the way to Redis -------------------------------------------------------------------------------------------


def test_idle_connections_are_dropped(proxied, proxied_users, redis, row):
    """Heartbeats keep the data connection; what has long been idle is made again when it is needed."""
    stayd, proxy = proxied
    outages = stayd.metric("stayd_shard_out_total")
    with row.shows(stayd):
        proxy.drop_idle(1.2 * SLACK)
        time.sleep(3 * SLACK)  # nobody sends anything for longer than the device waits
    proxied_users.read_all()
    assert stayd.metric("stayd_shard_out_total") == outages
    keys = len(proxied_users.live)
    wait_until(lambda: stayd.call("DBSIZE") == keys, 5, "the idle connection is there again")


def test_late_replies_reach_nobody_else(proxied, row):
    """Commands go through, replies come after their deadline, when other users' commands wait."""
    stayd, proxy = proxied
    with stayd.client() as client:
        for number in range(50):
            assert client.call("SET", f"sess:{number}", f"user-{number}", "EX", 3600) == "OK"
        with row.shows(stayd):
            proxy.blackhole("to_client")
            for number in range(25):
                assert client.call("GET", f"sess:{number}") == b"user-%d" % number
            healer = threading.Timer(0.02, proxy.heal)
            healer.start()
            for number in range(50):
                assert client.call("GET", f"sess:{number}") == b"user-%d" % number
            healer.join()
        stayd.wait_trusted(timeout=15)
        for number in range(50):
            assert client.call("GET", f"sess:{number}") == b"user-%d" % number


def test_a_reply_that_nobody_asked_for(proxied, row):
    """It must not become the answer to the next command."""
    stayd, proxy = proxied
    with stayd.client() as client:
        assert client.call("SET", "sess:1", "mine") == "OK"
        with row.shows(stayd):
            proxy.inject(b"$7\r\nforeign\r\n")
            wait_until(lambda: stayd.trust() != "trusted", 5, "the connection is given up")
            assert client.call("GET", "sess:1") == b"mine"
        stayd.wait_trusted(timeout=15)
        assert client.call("GET", "sess:1") == b"mine"
