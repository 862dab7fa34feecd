"""A primary that Sentinels watch fails in every way they know: users go on, nobody is logged out or
back in, and what the failover lost is in the new primary within 3 s of the promotion.

Real redis-servers: one primary, two replicas, three Sentinels, of which the URL names two.
"""

import pytest

from lib.failovers import fail_over, users_at
from lib.processes import wait_until
from lib.sentinels import FAULTS, Killed, SentinelSet
from lib.users import SLACK, Users


@pytest.fixture
def make_set(folder, make_redis):
    sets = []

    def make(**options):
        sets.append(SentinelSet(folder, make_redis, **options))
        return sets[-1]

    yield make
    for each in sets:
        each.end()


def stayd_at(servers, make_stayd, **options):
    stayd = make_stayd(servers.url, options={**servers.options, **options})
    stayd.wait_trusted()
    stayd.wait_adopted()
    wait_until(lambda: stayd.metric("stayd_sentinels_answering") == 3, 5, "all Sentinels answer")
    return stayd


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", [*FAULTS, "killed_over_tls"])
def test_failover(name, make_set, make_stayd):
    fault, down_after_ms = FAULTS[name.removesuffix("_over_tls")]
    tls = name.endswith("tls")  # Sentinels that shake hands find each other dead sooner
    servers = make_set(down_after_ms=2_000 if tls else down_after_ms, tls=tls)
    stayd = stayd_at(servers, make_stayd)
    fail_over(name, fault, servers, users_at(stayd, 12))
    assert stayd.metric("stayd_primary_switches_total") == 1


@pytest.mark.timeout(60)
def test_primary_returns_empty_before_the_failover(make_set, make_stayd):
    servers = make_set(down_after_ms=5_000)
    stayd = stayd_at(servers, make_stayd)
    users = users_at(stayd, 12)
    Killed().put_in(servers)
    users.go_on()
    Killed().take_out(servers)
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(servers.primary)
    users.go_on()
    assert stayd.metric("stayd_primary_switches_total") == 0


@pytest.mark.timeout(60)
def test_all_sentinels_are_down(make_set, make_stayd):
    """The last known primary is used on, through an outage of its own too."""
    servers = make_set()
    stayd = stayd_at(servers, make_stayd)
    users = Users(stayd)
    users.login(6)
    for sentinel in servers.sentinels:
        sentinel.process.kill()
    wait_until(lambda: stayd.log_lines("sentinels_lost"), 15 * SLACK, "stayd tells of it")
    assert stayd.trust() == "trusted"
    assert "no Sentinel names a primary" in stayd.http("/readyz")[1]
    users.go_on()
    Killed().put_in(servers)
    users.go_on()
    Killed().take_out(servers)
    stayd.wait_trusted()
    users.wait_in_redis(servers.primary)
    for sentinel in servers.sentinels:
        sentinel.start()
    wait_until(lambda: stayd.log_lines("sentinels_back"), 10 * SLACK, "stayd tells of it")
    users.go_on()


@pytest.mark.timeout(60)
def test_sentinels_with_a_password_and_a_wrong_name(make_set, make_stayd):
    """A name that no Sentinel knows is said; the right one works, with the Sentinels' own password."""
    servers = make_set(password="hidden")
    wrong = make_stayd(
        servers.url.replace("/main", "/mian"), options={"redis.sentinel_password": "hidden"}
    )
    said = wait_until(lambda: wrong.log_lines("sentinels_lost"), 10 * SLACK, "it is said")[0]
    assert "mian" in said and "No such master with that name" in said
    code, output = wrong.check()
    assert code == 1 and "SENTINEL MASTER mian" in output, output
    assert "no Sentinel names a primary" in output, output
    stayd = stayd_at(servers, make_stayd, **{"redis.sentinel_password": "hidden"})
    output = stayd.check()[1]
    for sentinel in servers.sentinels[:2]:
        named = f"127.0.0.1:{sentinel.port} names 127.0.0.1:{servers.primary.port}, epoch 0"
        assert named in output, output
    assert f"127.0.0.1:{servers.primary.port} answers" in output, output
    assert "hidden" not in output and "secret" not in output
    users = Users(stayd)
    users.login(3)
    users.wait_in_redis(servers.primary)
