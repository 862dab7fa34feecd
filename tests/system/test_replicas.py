"""What replicas are for: what `stayd check` says of them, and what they answer while Redis is out."""

import time

import pytest

from lib.processes import wait_until
from lib.replication import make_pair, make_replica
from lib.sentinels import SentinelSet
from lib.servers import StaydServer
from lib.users import SLACK

# -- `stayd check` -------------------------------------------------------------------------------------


def check(folder, url, **options):
    return StaydServer(folder / "checker", url, options=options).check()[1]


def test_check_says_what_replicas_are_worth(make_redis, folder):
    primary, replica = make_pair(make_redis)
    assert "1 connected, but min-replicas-to-write is 0" in check(folder, primary.url)
    primary.config_set(min_replicas_to_write=1)
    assert "when one of them fails, Redis refuses every write" in check(folder, primary.url)
    make_replica(make_redis, primary.port)
    assert "2 connected, min-replicas-to-write is 1" in check(folder, primary.url)
    primary.config_set(min_replicas_max_lag=300)
    assert "min-replicas-max-lag is 300" in check(folder, primary.url)
    replica.freeze()
    silent = f"127.0.0.1:{replica.port} has been silent for"
    wait_until(lambda: silent in check(folder, primary.url), 10, "its silence is told")
    replica.thaw()
    user = ["SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config"]
    assert primary.call("ACL", *user) == "OK"
    as_app = {"redis.user": "app", "redis.password": "secret"}
    assert "2 connected, min-replicas-to-write is set" in check(folder, primary.url, **as_app)


def test_check_asks_the_replicas(make_redis, folder):
    primary, replica = make_pair(make_redis)
    dead = make_redis()
    dead.kill()
    reads = {"redis.replica_reads": "true", "redis.replicas": f"localhost:{dead.port}"}
    found = check(folder, primary.url, **reads)
    assert f"PROBLEM replica     localhost:{dead.port} (" in found
    assert f"ok      replica     127.0.0.1:{replica.port} answers, in step" in found
    replica.config_set(requirepass="another")
    found = check(folder, primary.url, **{**reads, "redis.replicas": ""})
    assert f"PROBLEM replica     127.0.0.1:{replica.port} (INFO: NOAUTH" in found


@pytest.mark.timeout(60)
def test_check_says_that_nothing_can_be_promoted(make_redis, folder, make_cluster):
    servers = SentinelSet(folder, make_redis)
    try:
        for replica in servers.replicas:
            replica.kill()
        said = "no replica: the Sentinels can promote none"
        wait_until(lambda: said in check(folder, servers.url), 10, "it is told")
    finally:
        servers.end()
    cluster = make_cluster(replicas=0)
    assert check(folder, cluster.url).count("no replica: the Cluster can promote none") == 3


# -- reads while the primary is out ------------------------------------------------------------------------

UNKNOWN = "TRYAGAIN stayd: session state temporarily unknown"
READS = {"redis.replica_reads": "true"}
ASKED = "stayd_replies_from_replicas_total"
# Without SCAN the backfill never ends: what stayd has not been asked for, only Redis knows.
BLIND = ["app", "on", ">secret", "~*", "&*", "+@all", "-scan"]
AS_APP = {"redis.user": "app", "redis.password": "secret"}


def trusted(make_stayd, url, wait="ready", **options):
    stayd = make_stayd(url, wait=wait, options={**READS, **AS_APP, **options})
    stayd.wait_trusted()
    assert stayd.metric("stayd_adoption_complete") == 0
    return stayd


def fill(primary, replicas, first=0):
    """Sessions that stayd does not hear of."""
    with primary.client() as client:
        for number in range(first, first + 10):
            assert client.call("SET", f"sess:{number}", f"user-{number}", "EX", 3600) == "OK"
        assert client.call("HSET", f"hash:{first}", "a", 1, "b", 2) == 2
        last = f"hash:{first}"
    for replica in replicas:
        wait_until(lambda r=replica: r.call("EXISTS", last) == 1, 5, "the replica has them")


def wait_named(stayd, count=1):
    named = lambda: stayd.metric("stayd_replicas_known") == count  # noqa: E731
    wait_until(named, 15, f"stayd knows {count} replicas")


def wait_beats(stayd, replica):
    """The replica has a heartbeat of stayd's."""
    wait_until(lambda: replica.call("KEYS", "stayd:{*canary*"), 5, "the replica has a heartbeat")


def kill(primary, stayd):
    primary.kill()
    wait_until(lambda: stayd.trust() == "out", 5, "stayd knows that Redis is out")


def asks(replica):
    """Whether stayd is connected to it."""
    return b"name=stayd-replica" in replica.call("CLIENT", "LIST")


@pytest.fixture
def pair(make_redis):
    return make_pair(make_redis, user=BLIND)


@pytest.fixture
def known(pair, make_stayd):
    """(stayd, primary, replica): each knows the other, and Redis holds sessions that stayd does not know."""
    primary, replica = pair
    fill(primary, [replica])
    stayd = trusted(make_stayd, primary.url)
    wait_named(stayd)
    wait_beats(stayd, replica)
    return stayd, primary, replica


def test_a_replica_answers_what_the_ledger_does_not_know(known, row):
    stayd, primary, replica = known
    with stayd.client() as client:
        assert not asks(replica)
        kill(primary, stayd)
        with row.shows(stayd):
            assert client.call("GET", "sess:1") == b"user-1"
        assert client.call("HGETALL", "hash:0") == [b"a", b"1", b"b", b"2"]
        assert client.call("HMGET", "hash:0", "b", "a") == [b"2", b"1"]
        assert client.call("EXISTS", "sess:2") == 1
        assert 3500 < client.call("TTL", "sess:2") <= 3600
        # What it lacks may have been on its way to it.
        for command in (["GET", "nobody"], ["EXISTS", "nobody"], ["HGET", "hash:0", "c"]):
            assert client.call(*command) == UNKNOWN
        assert client.call("HMGET", "hash:0", "a", "c") == UNKNOWN
        # Writes are not guessed at.
        assert client.call("EXPIRE", "sess:2", 60) == UNKNOWN
        assert asks(replica)
        primary.start()
        stayd.wait_trusted(timeout=15)
        wait_until(lambda: not asks(replica), 5, "the replica is left alone")


def test_the_ledger_comes_first(make_redis, make_proxy, make_stayd):
    """Logouts and writes that never reached the replica hold."""
    primary, replica, way = make_pair(make_redis, make_proxy, user=BLIND)
    fill(primary, [replica])
    stayd = trusted(make_stayd, primary.url)
    wait_named(stayd)
    wait_beats(stayd, replica)
    with stayd.client() as client:
        way.blackhole()
        assert client.call("DEL", "sess:1") == 1
        assert client.call("SET", "sess:2", "new") == "OK"
        kill(primary, stayd)
        assert client.call("DEL", "sess:3") == 1
        assert client.call("SET", "sess:4", "newer") == "OK"
        assert replica.call("EXISTS", "sess:1", "sess:2", "sess:3", "sess:4") == 4
        assert client.call("GET", "sess:1") is None
        assert client.call("GET", "sess:2") == b"new"
        assert client.call("GET", "sess:3") is None
        assert client.call("GET", "sess:4") == b"newer"
        assert client.call("GET", "sess:5") == b"user-5"
        assert stayd.metric(ASKED) == 1


def test_a_flush_that_the_replica_has_not_heard_of(make_redis, make_proxy, make_stayd):
    primary, replica, way = make_pair(make_redis, make_proxy, user=BLIND)
    fill(primary, [replica])
    stayd = trusted(make_stayd, primary.url)
    wait_named(stayd)
    wait_beats(stayd, replica)
    with stayd.client() as client:
        way.blackhole()
        assert client.call("FLUSHALL") == "OK"
        kill(primary, stayd)
        assert replica.call("EXISTS", "sess:1") == 1
        assert client.call("GET", "sess:1") == UNKNOWN
        assert stayd.metric("stayd_replica_misses_total") == 1


def test_replicas_are_not_asked_unless_told(pair, make_stayd):
    primary, replica = pair
    fill(primary, [replica])
    stayd = trusted(make_stayd, primary.url, **{"redis.replica_reads": "false"})
    kill(primary, stayd)
    assert stayd.call("GET", "sess:1") == UNKNOWN
    assert not asks(replica)
    assert stayd.metric("stayd_replicas_known") == 0


class Dead:
    def put_in(self, replica):
        replica.kill()


class Hanging:
    def put_in(self, replica):
        replica.freeze()


class Refusing:
    """-MASTERDOWN"""

    def put_in(self, replica):
        replica.config_set(replica_serve_stale_data="no")


class Restarted:
    """It has nothing: it held all in memory."""

    def put_in(self, replica):
        replica.restart_empty()


FAULTS = {"dead": Dead(), "hanging": Hanging(), "refusing": Refusing(), "restarted": Restarted()}


def took(client, *command):
    """(seconds, reply)"""
    start = time.monotonic()
    reply = client.call(*command)
    return time.monotonic() - start, reply


@pytest.mark.parametrize("name", FAULTS)
def test_a_replica_that_cannot_answer(known, row, name):
    stayd, primary, replica = known
    with stayd.client() as client:
        kill(primary, stayd)
        with row.shows(stayd):
            FAULTS[name].put_in(replica)
            seconds = [took(client, "GET", f"sess:{number}") for number in range(10)]
        assert {reply for _, reply in seconds} == {UNKNOWN}
        slow = [second for second, _ in seconds if second > 0.02 * SLACK]
        assert max(seconds)[0] < 0.15 * SLACK and len(slow) <= 2, seconds
        assert client.call("SET", "sess:1", "v") == "OK"
        assert client.call("GET", "sess:1") == b"v"
        if name == "hanging":  # found again
            replica.thaw()
            wait_until(lambda: client.call("GET", "sess:2") == b"user-2", 5, "it answers again")


def test_who_waits_is_told_by_a_replica(known, make_stayd, row):
    """`unknown = "hold"`: the replica hangs first, and is thawed."""
    _, primary, replica = known
    config = '[[sessions]]\nmatch = "sess:*"\nunknown = "hold"\n'
    options = {**READS, **AS_APP}
    stayd = make_stayd(primary.url, config_text=config, options=options)
    stayd.wait_trusted()
    wait_named(stayd)
    instances = lambda: replica.call("KEYS", "stayd:{*canary*")  # noqa: E731
    wait_until(lambda: len(instances()) == 2, 5, "the replica has its heartbeat")
    with stayd.client(timeout=10) as client:
        kill(primary, stayd)
        with row.shows(stayd):
            replica.freeze()
            client.send("GET", "sess:1")
            wait_until(lambda: stayd.log_lines("replica_failed"), 5, "it is in vain")
            assert stayd.status()["calls_under_way"] == 1
            replica.thaw()
            assert client.read() == b"user-1"
        assert stayd.metric("stayd_unknown_replies_total") == 0


def test_the_next_replica_is_asked(pair, make_redis, make_stayd):
    primary, first = pair
    second = make_replica(make_redis, primary.port, user=BLIND)
    fill(primary, [first, second])
    stayd = trusted(make_stayd, primary.url)
    wait_named(stayd, 2)
    wait_beats(stayd, second)
    with stayd.client() as client:
        kill(primary, stayd)
        assert client.call("GET", "sess:1") == b"user-1"
        used, other = (first, second) if asks(first) else (second, first)
        used.freeze()
        assert client.call("GET", "sess:2") == UNKNOWN
        wait_until(lambda: client.call("GET", "sess:3") == b"user-3", 5, "the other one answers")
        assert asks(other)


@pytest.mark.timeout(60)
def test_a_replica_that_is_far_behind(make_redis, make_proxy, make_stayd, row):
    primary, replica, way = make_pair(make_redis, make_proxy, user=BLIND)
    fill(primary, [replica])
    stayd = trusted(make_stayd, primary.url, **{"redis.replicas": f"127.0.0.1:{replica.port}"})
    wait_beats(stayd, replica)
    with stayd.client() as client:
        way.blackhole()
        time.sleep(4)  # it must be that old
        kill(primary, stayd)
        with row.shows(stayd):
            assert client.call("GET", "sess:1") == UNKNOWN
        assert any("older than the primary's" in line for line in stayd.log_lines("replica_failed"))


def test_replicas_are_known_after_a_restart(known, row):
    stayd, primary, replica = known
    kill(primary, stayd)
    stayd.restart(wait="live")
    with row.shows(stayd):
        assert stayd.call("GET", "sess:1") == b"user-1"
    assert stayd.call("GET", "nobody") == UNKNOWN


def test_a_first_start_in_an_outage(pair, make_stayd, row):
    primary, replica = pair
    fill(primary, [replica])
    primary.kill()
    options = {**READS, **AS_APP, "redis.replicas": f"localhost:{replica.port}"}
    stayd = make_stayd(primary.url, wait="live", options=options)
    with row.shows(stayd):
        assert stayd.call("GET", "sess:1") == b"user-1"
    assert stayd.call("GET", "nobody") == UNKNOWN


@pytest.mark.timeout(90)
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_replicas_of_a_sentinel_set(folder, make_redis, make_stayd, row, tls):
    servers = SentinelSet(folder, make_redis, down_after_ms=20_000, tls=tls)
    try:
        for redis in servers.redises:
            assert redis.call("ACL", "SETUSER", "app", "-scan") == "OK"
        fill(servers.primary, servers.replicas)
        stayd = make_stayd(servers.url, options={**READS, **servers.options})
        stayd.wait_trusted()
        wait_named(stayd, 2)
        for replica in servers.replicas:
            wait_beats(stayd, replica)
        kill(servers.primary, stayd)
        with row.shows(stayd):
            assert stayd.call("GET", "sess:1") == b"user-1"
        assert stayd.call("GET", "nobody") == UNKNOWN
    finally:
        servers.end()


@pytest.mark.timeout(90)
def test_replicas_of_a_cluster(make_cluster, make_stayd, row):
    cluster = make_cluster(node_timeout_ms=20_000)
    for node in cluster.nodes:
        assert node.call("ACL", "SETUSER", "app", "-scan") == "OK"
    keys = {shard: next(shard.keys()) for shard in cluster.shards}
    for shard, key in keys.items():
        assert shard.primary.call("SET", key, f"of {shard.primary.port}") == "OK"
    stayd = make_stayd(cluster.url, options={**READS, **cluster.options})
    stayd.wait_trusted()
    wait_named(stayd, 3)
    for shard in cluster.shards:
        wait_beats(stayd, shard.replicas[0])
    lost, *others = cluster.shards
    absent = next(lost.keys("absent:"))
    lost.primary.kill()
    wait_until(lambda: any(s["trust"] == "out" for s in stayd.shards()), 5, "a shard is out")
    with stayd.client() as client:
        with row.shows(stayd):
            assert client.call("GET", keys[lost]) == f"of {lost.primary.port}".encode()
        for shard in others:
            assert client.call("GET", keys[shard]) == f"of {shard.primary.port}".encode()
            assert not asks(shard.replicas[0])
        assert client.call("GET", absent) == UNKNOWN
        assert stayd.metric(ASKED) == 1
