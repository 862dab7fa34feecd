"""Redis is given by a name: the name is unknown, its server fails or is silent, or it moves."""

import json
import time

import pytest

from lib.certificates import Authority
from lib.history import recorded_users
from lib.names import NameServer
from lib.processes import free_port, wait_until
from lib.sentinels import NAME, Sentinel
from lib.users import SILENT_LIMIT_S, SLACK, BusyUsers, Users

WATCH_S = 5  # a name in use is asked so often
FAULTS = ["silent", "refused", "unknown", "empty"]


@pytest.fixture
def names():
    """redis.test is node1.test, which is 127.0.0.1; node2.test is 127.0.0.2."""
    names = NameServer()
    names.aliases["redis.test"] = "node1.test"
    names.addresses |= {"node1.test": "127.0.0.1", "node2.test": "127.0.0.2"}
    yield names
    names.close()


@pytest.fixture
def start(redis, make_stayd, folder, names):
    """A stayd that knows Redis as redis.test."""

    def start(wait="ready", **options):
        url = f"redis://redis.test:{redis.port}/0"
        return make_stayd(url, wait=wait, prefix=names.prefix(folder), **options)

    return start


@pytest.fixture
def replica(redis, make_redis):
    """Of `redis`, on 127.0.0.2 and the same port."""
    replica = make_redis(host="127.0.0.2", port=redis.port)
    for server in (redis, replica):
        server.config_set(repl_diskless_sync_delay=0)
    follow(replica, redis)
    return replica


def follow(replica, primary):
    assert replica.call("REPLICAOF", primary.host, primary.port).startswith("OK")
    in_step = lambda: replica.info("replication").get("master_link_status") == "up"  # noqa: E731
    wait_until(in_step, 10, "the replica is in step")


def connections(redis):
    """Those of stayd at this Redis, by their names."""
    clients = redis.call("CLIENT", "LIST").decode().split()
    return {word[5:] for word in clients if word.startswith("name=stayd")}


def moves(stayd):
    """What the log says of names that have moved."""
    return [json.loads(line)["message"] for line in stayd.log_lines('"name_moved"')]


def given_up(stayd):
    """Connections that ended because of the name; a busy machine has other reasons as well."""
    reasons = ("redis.test is 127", "redis.test is used at")
    outs = stayd.log_lines('"shard_out"')
    return moves(stayd) + [line for line in outs if any(reason in line for reason in reasons)]


def test_name_is_unknown(start, names, row):
    del names.aliases["redis.test"]
    stayd = start(wait="live")
    with row.shows(stayd):
        wait_until(lambda: "does not resolve" in stayd.status()["shard"]["reason"], 5, "it is said")
        assert stayd.metric("stayd_connect_failures_total") > 0
        names.addresses["redis.test"] = "127.0.0.1"
        stayd.wait_trusted(timeout=15)


@pytest.mark.parametrize("fault", FAULTS)
def test_name_server_fails(start, redis, names, row, fault):
    """Redis is back while names do not resolve: its last good address serves on."""
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    names.fault = fault
    with row.shows(stayd):
        redis.kill()
        users.go_on()
        asked = names.asked
        wait_until(lambda: names.asked > asked, 10, "the name is asked for again")
        users.go_on(limit_s=SILENT_LIMIT_S)
        redis.start()
        stayd.wait_trusted(timeout=10)
    users.wait_in_redis(redis)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", FAULTS)
def test_name_server_fails_while_all_is_well(start, names, row, fault):
    """Nobody is concerned, no connection ends, and the operator is told."""
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    with row.shows(stayd):
        busy = BusyUsers(users, 1.0)
        names.fault = fault
        wait_until(lambda: stayd.log_lines('"name_unanswered"'), 25, "it is said")
        names.fault = None
        wait_until(lambda: stayd.log_lines('"name_answered"'), 25, "it is said")
        busy.end()
    assert not given_up(stayd)


def test_stop_while_the_name_server_is_silent(start, redis, names, row):
    """The system's resolver cannot be told to give up: nobody waits for it."""
    stayd = start()
    stayd.wait_trusted()
    names.fault = "silent"
    asked = names.asked
    redis.kill()
    wait_until(lambda: names.asked > asked, 10, "the name is asked")
    began = time.monotonic()
    assert stayd.stop() == 0
    assert time.monotonic() - began < 2 * SLACK


# -- the name moves -------------------------------------------------------------------------------------------


def killed(redis):
    redis.kill()


def frozen(redis):
    redis.freeze()


def demoted(redis):
    """It lives on as a replica, and so serves stale reads."""
    assert redis.call("REPLICAOF", "127.0.0.2", redis.port) == "OK"


def as_it_was(redis):
    """It goes on as a primary, and would take writes that nobody will ever see."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("late", ["at_once", "late"])
@pytest.mark.parametrize("old", [killed, frozen, demoted, as_it_was], ids=lambda old: old.__name__)
def test_name_moves(start, redis, replica, names, row, old, late):
    """A replica is promoted, and the name's CNAME follows, at once or after 2 s."""
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    busy = BusyUsers(users, 1.0)
    with row.shows(stayd):
        assert replica.call("REPLICAOF", "NO", "ONE") == "OK"
        old(redis)
        began = time.monotonic()
        if late == "late":
            asked = names.questions["redis.test"]
            enough = asked + (1 if old is as_it_was else 2)
            wait_until(lambda: names.questions["redis.test"] >= enough, 10, "the old place is tried")
        names.aliases["redis.test"] = "node2.test"
        moved = time.monotonic()
        wait_until(lambda: moves(stayd), 10, "stayd says that it has moved")
        stayd.wait_trusted(timeout=10)
        took = time.monotonic() - moved
    busy.end()
    if old is as_it_was:
        assert stayd.log_lines("redis.test is 127.0.0.2 now, not 127.0.0.1 any more")
    print(f"{old.__name__}, {late}: trusted {took:.2f} s after the name has moved")
    questions = names.questions["redis.test"]
    assert questions <= time.monotonic() - began + 3, "more than one question a second"
    assert took <= (WATCH_S + 3 if old is as_it_was else 3) * SLACK
    assert len(moves(stayd)) == stayd.metric("stayd_name_moves_total") == 1
    assert "from 127.0.0.1 to 127.0.0.2" in moves(stayd)[0]
    users.wait_in_redis(replica)
    both = {"stayd-data", "stayd-aux"}
    wait_until(lambda: both <= connections(replica), 5, "all connections are to the new place")
    if old is frozen:
        redis.thaw()
    if old is not killed:
        wait_until(lambda: not connections(redis), 5, "no connection to the old place is left")
    users.go_on()


def test_name_moves_to_an_empty_redis(start, redis, make_redis, names, row):
    """Another one than before, without its data."""
    other = make_redis(host="127.0.0.2", port=redis.port)
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    with row.shows(stayd):
        names.aliases["redis.test"] = "node2.test"
        redis.kill()
        users.go_on()
        stayd.wait_trusted(timeout=15)
    users.wait_in_redis(other)


@pytest.mark.timeout(120)
def test_name_moves_back_and_forth(start, redis, replica, names, row):
    """Planned failovers, one after the other: each time the old primary becomes a replica."""
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    old, new = redis, replica
    with recorded_users(stayd, 4) as history:
        for count in range(1, 5):
            history.wait_progress(300)
            assert new.call("REPLICAOF", "NO", "ONE") == "OK"
            names.aliases["redis.test"] = "node2.test" if new is replica else "node1.test"
            assert old.call("REPLICAOF", new.host, new.port) == "OK"
            moved = lambda n=count: stayd.metric("stayd_name_moves_total") == n  # noqa: E731
            wait_until(moved, 20, "it has moved")
            history.wait_progress(300)
            stayd.wait_trusted(timeout=30)  # so soon after one another, they count as flapping
            follow(old, new)
            old, new = new, old
    users.go_on()
    users.wait_in_redis(old)


class Watchers:
    """Clients that stay, and whose WATCH needs a connection to Redis each."""

    def __init__(self, stayd):
        self.stayd, self.clients = stayd, []

    def add(self):
        """The values that the last one sees in EXEC; None: it has to try again."""
        if len(self.clients) == 40:
            self.end()
        client = self.stayd.client()
        self.clients.append(client)
        watched, _, _, seen = client.pipeline(
            ["WATCH", "sess:1"], ["MULTI"], ["GET", "sess:1"], ["EXEC"]
        )
        client.call("WATCH", "sess:1")
        return seen if watched == "OK" else None

    def end(self):
        for client in self.clients:
            client.close()
        self.clients = []


@pytest.mark.timeout(60)
def test_one_name_one_redis(start, redis, make_redis, names, row):
    """A second Redis has taken the name over, and the first lives on: as long as one connection is to the
    first, none is to the second. Otherwise WATCH and EXEC would ask what the other commands do not."""
    other = make_redis(host="127.0.0.2", port=redis.port)
    stayd = start()
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    names.aliases["redis.test"] = "node2.test"
    ended = time.monotonic() + WATCH_S + 5
    watchers = Watchers(stayd)
    while not moves(stayd) and time.monotonic() < ended:
        assert watchers.add() in ([users.live["sess:1"]], None)
        at_first, at_second = connections(redis), connections(other)
        assert not (at_first and at_second) or moves(stayd), (at_first, at_second)
        users.go_on()
    watchers.end()
    stayd.wait_trusted()
    assert not connections(redis)
    users.wait_in_redis(other)


@pytest.mark.timeout(60)
def test_name_moves_over_tls(make_redis, make_stayd, folder, names, row):
    """Redis' certificate bears the name, as that is what is asked for wherever it leads."""
    authority = Authority(folder / "authority")
    cert, key = authority.issue("redis", "DNS:redis.test")
    settings = {
        "tls-port": free_port(), "tls-cert-file": cert, "tls-key-file": key,
        "tls-ca-cert-file": authority.ca_file, "tls-auth-clients": "no",
    }  # fmt: skip
    make_redis(**settings)
    other = make_redis(host="127.0.0.2", **settings)
    options = {"redis.tls_ca_file": authority.ca_file}
    url = f"rediss://redis.test:{settings['tls-port']}/0"
    stayd = make_stayd(url, options=options, prefix=names.prefix(folder))
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    names.aliases["redis.test"] = "node2.test"
    wait_until(lambda: moves(stayd), (WATCH_S + 3) * SLACK, "it has moved")
    stayd.wait_trusted()
    users.wait_in_redis(other)
    users.go_on()


# -- several addresses ----------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_addresses_in_any_order(start, make_redis, redis, names, row):
    """Of several addresses, in another order each time, the one that is used is used on."""
    servers = [redis] + [make_redis(host=f"127.0.0.{n}", port=redis.port) for n in (2, 3)]
    del names.aliases["redis.test"]
    names.addresses["redis.test"] = "127.0.0.3"  # that the resolver puts last
    stayd = start()
    stayd.wait_trusted()
    names.addresses["redis.test"] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    users = Users(stayd)
    users.login(10)
    asked = names.questions["redis.test"]
    ended = time.monotonic() + 15
    watchers = Watchers(stayd)
    while time.monotonic() < ended:
        users.go_on(SILENT_LIMIT_S)
        assert watchers.add()[0] is not None
        assert [server.host for server in servers if connections(server)] == ["127.0.0.3"]
    watchers.end()
    assert names.questions["redis.test"] - asked >= 2
    assert not given_up(stayd)
    users.wait_in_redis(servers[2])


@pytest.mark.timeout(60)
def test_all_addresses_are_tried(network, start, redis, replica, make_redis, names, row):
    """One is a black hole, nobody listens at another, one is a replica: the primary is found."""
    del names.aliases["redis.test"]
    network.drop(f"ip daddr 127.0.0.4 tcp dport {redis.port}")
    names.addresses["redis.test"] = [f"127.0.0.{n}" for n in (1, 2, 3, 4)] + ["::1"]
    stayd = start()
    users = Users(stayd)
    stayd.wait_trusted(timeout=15)
    users.login(10)
    for _ in range(3):
        redis.kill()
        users.go_on()
        redis.start()
        stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)
    assert not stayd.metric("stayd_name_moves_total")


# -- Sentinels ------------------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_sentinels_by_name(make_redis, make_stayd, folder, names, row):
    """One name for all Sentinels, on one port; the first one dies and the name leads to another."""
    primary = make_redis()
    replica = make_redis(repl_diskless_sync_delay=0)
    primary.config_set(repl_diskless_sync_delay=0)
    follow(replica, primary)
    port = free_port()
    sentinels = [
        Sentinel(folder / f"sentinel{n}", primary, 2, 600, host=f"127.0.0.{n}", port=port).start()
        for n in (1, 2, 3)
    ]
    try:
        wait_until(lambda: all(s.knows()[1] == 2 for s in sentinels), 15, "they know each other")
        names.addresses["sentinel.test"] = "127.0.0.1"
        url = f"redis+sentinel://sentinel.test:{port}/{NAME}"
        stayd = make_stayd(url, prefix=names.prefix(folder))
        stayd.wait_trusted()
        users = Users(stayd)
        users.login(10)
        sentinels[0].process.kill()
        names.addresses["sentinel.test"] = "127.0.0.2"
        wait_until(lambda: moves(stayd), 10, "it has moved")
        primary.kill()
        wait_until(
            lambda: users.go_on() or sentinels[1].primary_port() == replica.port, 20, "promoted"
        )
        stayd.wait_trusted(timeout=20)
        users.wait_in_redis(replica)
    finally:
        for sentinel in sentinels:
            sentinel.process.kill()
