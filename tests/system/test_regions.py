"""Several Redises, [[redis]]: the one in use fails, comes back, or is left by hand; users go on on another
one, nobody is logged out or back in, and what each held of the others' time is brought up to date.

Real redis-servers (and Clusters) that know nothing of each other.
"""

import subprocess
import threading
import time

import pytest

from lib.certificates import Authority
from lib.processes import free_port, wait_until
from lib.sentinels import SentinelSet
from lib.servers import stayd_binary
from lib.users import SLACK, Users

FAILOVER_S, FAILBACK_S = 1, 2
SLOWEST_S = 0.3  # a switch keeps commands back for a quarter of a second at most


def blocks(*redises, **more):
    """stayd.toml with these as [[redis]], called a, b ...; `more` are lines of a block, by its name."""
    text = f'[regions]\nfailover_after = "{FAILOVER_S}s"\nfailback_after = "{FAILBACK_S}s"\n'
    for name, redis in zip("abc", redises):
        text += f'[[redis]]\nname = "{name}"\nurl = "{redis.url}"\n{more.get(name, "")}\n'
    return text


@pytest.fixture
def start(make_stayd):
    def start(*redises, options=None, **more):
        stayd = make_stayd(redises[0].url, config_text=blocks(*redises, **more), options=options)
        stayd.wait_trusted()
        stayd.wait_adopted()
        wait_until(lambda: all_well(stayd), 10, "the others are well")
        return stayd

    return start


@pytest.fixture
def two(make_redis, start):
    """Two Redises and a stayd that uses the first, with ten users."""
    a, b = make_redis(), make_redis()
    stayd = start(a, b)
    users = Users(stayd)
    users.login(10)
    return a, b, stayd, users


def regions(stayd):
    return {region["name"]: region for region in stayd.status()["regions"]}


def all_well(stayd):
    return all(region["well"] for region in regions(stayd).values() if not region["in_use"])


def in_use(stayd):
    (name,) = (name for name, region in regions(stayd).items() if region["in_use"])
    return name


def wait_in_use(stayd, name, timeout=10):
    """`name` is used, trusted, and every key of it is in the ledger."""
    wait_until(lambda: in_use(stayd) == name, timeout * SLACK, f"{name} is used")
    stayd.wait_trusted()
    wait_until(lambda: regions(stayd)[name]["known"], 10 * SLACK, f"{name} is taken over")
    stayd.wait_adopted()


def run(stayd, *args):
    """(exit code, output) of one of stayd's commands for this server."""
    argv = [stayd_binary(), *args, "--listen.http", f"127.0.0.1:{stayd.http_port}"]
    ran = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=90)
    return ran.returncode, ran.stdout + ran.stderr


def go_on_until(users, condition, what, timeout=20):
    def clicked():
        users.go_on(SLOWEST_S)
        return condition()

    wait_until(clicked, timeout * SLACK, what)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_failover_and_back(two, fault):
    """The first is back with everything it had: since then there were logouts, logins and changes."""
    a, b, stayd, users = two
    users.go_on()
    old = a.snapshot()
    a.kill() if fault == "killed" else a.freeze()
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    wait_in_use(stayd, "b")
    users.go_on(SLOWEST_S)
    users.wait_in_redis(b)
    assert "Redis b is used in place of" in stayd.http("/readyz")[1]
    a.restart_from(old) if fault == "killed" else a.thaw()
    go_on_until(users, lambda: in_use(stayd) == "a", "a is used again")
    wait_in_use(stayd, "a")
    users.go_on(SLOWEST_S)
    users.wait_in_redis(a)
    assert stayd.metric("stayd_region_switches_total") == 2


@pytest.mark.timeout(120)
def test_other_logins(make_redis, start, tmp_path):
    """The second has a password and TLS of its own; the first has neither."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("b", "IP:127.0.0.1", 365)
    a = make_redis()
    b = make_redis(
        password="only-b", tls_port=free_port(), tls_cert_file=cert, tls_key_file=key,
        tls_ca_cert_file=authority.ca_file, tls_auth_clients="no",
    )

    class AsSeen:
        url = f"rediss://127.0.0.1:{b.config['tls-port']}/0"

    stayd = start(a, AsSeen, b=f'password = "only-b"\ntls_ca_file = "{authority.ca_file}"')
    users = Users(stayd)
    users.login(10)
    a.kill()
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    wait_in_use(stayd, "b")
    users.go_on(SLOWEST_S)
    users.wait_in_redis(b)
    a.start()
    go_on_until(users, lambda: in_use(stayd) == "a", "a is used again")
    wait_in_use(stayd, "a")
    users.wait_in_redis(a)


@pytest.mark.timeout(120)
def test_switched_by_hand_under_load(two):
    """No command fails or takes long, and it stays there until it is told otherwise."""
    a, b, stayd, users = two
    ended = threading.Event()
    problems = []

    def click():
        crowd = Users(stayd, prefix="sess:crowd:")
        crowd.login(5)
        while not ended.is_set():
            try:
                crowd.go_on(SLOWEST_S)
            except AssertionError as error:
                problems.append(str(error))

    clicking = threading.Thread(target=click)
    clicking.start()
    try:
        for name in ["b", "a", "b"]:
            code, text = run(stayd, "switch", name)
            assert (code, text) == (0, f"{name} is used from now on\n{name} is trusted\n")
            users.go_on(SLOWEST_S)
        wait_until(lambda: regions(stayd)["a"]["well"], 10, "a is well")
        with pytest.raises(AssertionError):
            wait_in_use(stayd, "a", timeout=FAILBACK_S + 2)
        assert regions(stayd)["b"]["preferred"]
    finally:
        ended.set()
        clicking.join(10)
    assert problems == []
    users.wait_in_redis(b)
    code, text = run(stayd, "switch", "--auto")
    assert (code, text) == (0, "a comes first again; b is in use\n")
    wait_in_use(stayd, "a", timeout=FAILBACK_S + 10)
    users.go_on()
    users.wait_in_redis(a)


@pytest.mark.timeout(60)
def test_what_cannot_be_switched_to(two):
    a, b, stayd, users = two
    b.kill()
    wait_until(lambda: regions(stayd)["b"]["trouble"], 10, "b is not well")
    assert run(stayd, "switch", "b")[0] == 1
    assert "b is not well" in run(stayd, "switch", "b")[1]
    assert 'no [[redis]] is called "c"' in run(stayd, "switch", "c")[1]
    assert run(stayd, "switch")[0] == 2
    assert run(stayd, "switch", "b", "--auto")[0] == 2
    assert "Redis b could not be used" in stayd.http("/readyz")[1]
    a.kill()
    users.go_on()
    with pytest.raises(AssertionError):
        wait_in_use(stayd, "b", timeout=FAILOVER_S + 2)
    users.go_on()
    assert stayd.log_lines("region_ill")
    assert stayd.metrics()['stayd_region_well{region="b"}'] == 0


@pytest.mark.timeout(60)
def test_standby_that_takes_no_writes(two):
    """It answers, and even says that it is a primary: what counts is that a write is taken."""
    a, b, stayd, users = two
    b.config_set(maxmemory="1", maxmemory_policy="noeviction")
    wait_until(lambda: "OOM" in regions(stayd)["b"]["trouble"], 10, "b takes no writes")
    a.kill()
    with pytest.raises(AssertionError):
        wait_in_use(stayd, "b", timeout=FAILOVER_S + 2)
    users.go_on()
    b.config_set(maxmemory="0")
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    users.wait_in_redis(b)


@pytest.mark.timeout(60)
def test_drained(two):
    a, b, stayd, users = two
    code, text = run(stayd, "drain", "a")
    assert (code, text) == (0, "a is left as soon as another is well\n")
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    wait_in_use(stayd, "b")
    with pytest.raises(AssertionError):
        wait_in_use(stayd, "a", timeout=FAILBACK_S + 2)
    users.go_on()
    users.wait_in_redis(b)
    assert run(stayd, "undrain", "a") == (0, "a may be used again\n")
    wait_in_use(stayd, "a", timeout=FAILBACK_S + 10)
    users.wait_in_redis(a)


@pytest.mark.timeout(60)
def test_restarted_while_the_second_is_used(two):
    """kill -9: it goes on with the one that it used."""
    a, b, stayd, users = two
    a.kill()
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    stayd.wait_trusted()
    stayd.kill()
    stayd.start()
    users.client = stayd.client()
    assert in_use(stayd) == "b"
    stayd.wait_trusted()
    users.go_on()
    users.wait_in_redis(b)


@pytest.mark.timeout(60)
def test_backfill_has_not_ended(make_redis, make_stayd):
    """Who has a session only in the first would be logged out by the second: it waits."""
    a, b = make_redis(), make_redis()
    a.call("SET", "sess:old", "only-a", "EX", 3600)
    a.call("DEBUG", "POPULATE", 200_000, "ballast", 10)
    stayd = make_stayd(a.url, config_text=blocks(a, b))
    a.kill()
    assert not stayd.status()["adoption_complete"]
    wait_until(lambda: stayd.log_lines("region_switch_waits"), 10 * SLACK, "it is told")
    assert in_use(stayd) == "a"
    assert "--force" in run(stayd, "switch", "b")[1]
    assert run(stayd, "switch", "b", "--force")[0] == 0
    wait_in_use(stayd, "b")
    users = Users(stayd)
    users.login(3)
    users.go_on()
    users.wait_in_redis(b)


@pytest.mark.timeout(60)
def test_second_holds_an_old_copy(make_redis, start):
    """As a copy of the first from an hour ago: who has logged out since stays out, and who is only there
    is let in."""
    a, b = make_redis(), make_redis()
    b.call("SET", "sess:only-b", "b", "EX", 3600)
    stayd = start(a, b)
    users = Users(stayd)
    users.login(6)
    for key, value in users.live.items():
        b.call("SET", key, value + b"-old", "EX", 3600)
    users.go_on()
    a.kill()
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
    wait_in_use(stayd, "b")
    users.go_on()
    users.wait_in_redis(b)
    b.kill()
    assert stayd.call("GET", "sess:only-b") == b"b"


@pytest.mark.timeout(90)
def test_second_is_behind_sentinels(folder, make_redis, start):
    a, servers = make_redis(), SentinelSet(folder, make_redis)
    try:
        stayd = start(a, servers, options=servers.options)
        users = Users(stayd)
        users.login(10)
        a.kill()
        go_on_until(users, lambda: in_use(stayd) == "b", "b is used")
        wait_in_use(stayd, "b")
        users.go_on(SLOWEST_S)
        users.wait_in_redis(servers.primary)
        assert stayd.status()["sentinels"]["primary_name"]
    finally:
        servers.end()


@pytest.mark.timeout(150)
def test_clusters(make_cluster, start):
    a, b = make_cluster(replicas=0), make_cluster(replicas=0)
    stayd = start(a, b, options=a.options)
    users = Users(stayd)
    users.login(30)
    for shard in a.shards:
        shard.primary.kill()
    go_on_until(users, lambda: in_use(stayd) == "b", "b is used", 40)
    wait_in_use(stayd, "b", 20)
    users.go_on(SLOWEST_S)
    users.wait_in_redis(b)
    assert len(stayd.shards()) == 3


@pytest.mark.timeout(60)
def test_away_for_long_while_the_second_was_used(two, make_stayd):
    """stayd was away for longer than max_island, the second is out when it is back: the first, which is older
    than the ledger, is not the truth."""
    a, b, stayd, users = two
    users.go_on()
    assert run(stayd, "switch", "b")[0] == 0
    users.go_on()
    time.sleep(1)
    stayd.stop()
    b.kill()
    time.sleep(1.5)
    stayd.options["max_island"] = "1s"
    stayd.start()
    users.client = stayd.client()
    wait_in_use(stayd, "a")
    users.go_on()
    users.wait_in_redis(a)
    assert not stayd.log_lines("redis_is_truth")


@pytest.mark.timeout(60)
def test_ledger_started_anew(two):
    """From the second: what the first still holds of before is older than any logout that is known."""
    a, b, stayd, users = two
    assert run(stayd, "switch", "b")[0] == 0
    wait_in_use(stayd, "b")
    users.logout(list(users.live)[0])
    time.sleep(1)  # a heartbeat there vouches for all of it
    stayd.stop()
    time.sleep(1.5)
    stayd.options["max_island"] = "1s"
    stayd.start()
    users.client = stayd.client()
    wait_until(lambda: stayd.log_lines("redis_is_truth"), 10, "the ledger starts anew")
    stayd.wait_adopted()
    users.read_all()
    wait_until(lambda: "started anew" in regions(stayd)["a"]["trouble"], 10, "a is not used")
    assert "started anew" in run(stayd, "switch", "a")[1]
    b.kill()
    with pytest.raises(AssertionError):
        wait_in_use(stayd, "a", timeout=FAILOVER_S + 2)
    users.go_on()
    assert a.call("FLUSHALL") == "OK"
    assert run(stayd, "switch", "a", "--force")[0] == 0
    users.go_on()
    users.wait_in_redis(a)
