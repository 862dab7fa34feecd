"""Three stayds, each with a ledger of its own, share a database and a Redis: every command goes to any of them."""

import random
import time

import pytest

from lib.backups import wait_shipped
from lib.postgres import PostgresServer
from lib.processes import wait_until

LAG_S = 1  # what a stayd hears of another by the database alone
NOTICE_S = 3  # until each knows that the others trust Redis


@pytest.fixture
def database(start_database):
    return start_database(PostgresServer, **PostgresServer.keeps_commits)


@pytest.fixture
def stayds(make_sharer):
    stayds = [make_sharer() for _ in range(3)]
    for one in stayds:
        one.wait_adopted()
        wait_until(lambda s=one: s.metric("stayd_backup_hosts_at_work") == 2, 10, "each sees the others work")
    return stayds


class Site:
    """Sessions whose requests a load balancer spreads over all hosts, from a seed."""

    def __init__(self, stayds, seed=1):
        self.random, self.stayds, self.number = random.Random(seed), list(stayds), 0
        self.clients = [one.client() for one in stayds]
        self.live, self.ended = {}, set()

    def call(self, *command):
        return self.random.choice(self.clients).call(*command)

    def login(self):
        self.number += 1
        key = f"sess:{self.number}"
        assert self.call("SET", key, f"{key} v0", "EX", 3600) == "OK"
        self.live[key] = f"{key} v0"
        return key

    def logout(self, key):
        assert self.call("DEL", key) == 1, key
        self.ended.add(key)
        del self.live[key]

    def is_in(self, key):
        """Whether each host has the session."""
        return [client.call("GET", key) is not None for client in self.clients]

    def lose(self, stayd):
        at = self.stayds.index(stayd)
        stayd.kill()
        del self.stayds[at], self.clients[at]

    def check(self):
        for client in self.clients:
            for key, value in self.live.items():
                assert client.call("GET", key) == value.encode(), key
            for key in self.ended:
                assert client.call("GET", key) is None, key


@pytest.fixture
def site(stayds):
    return Site(stayds)


def all_out(site):
    for one in site.stayds:
        wait_until(lambda s=one: s.trust() == "out", 10, "Redis is out")


def all_trusted(site):
    for one in site.stayds:
        one.wait_trusted(timeout=30)


def use_without_redis(site, rounds):
    """Logins are known to all when they are told, logouts within the lag."""
    for i in range(rounds):
        key = site.login()
        assert site.is_in(key) == [True] * len(site.clients), key
        if i % 2:
            site.logout(key)
            wait_until(lambda k=key: not any(site.is_in(k)), LAG_S, "each host has heard of the logout")


def test_beside_a_healthy_redis_they_are_one(site, redis):
    for i in range(200):
        key = site.login()
        assert site.is_in(key) == [True] * 3, key
        assert site.call("SET", key, f"{key} v1", "EX", 3600) == "OK"
        site.live[key] = f"{key} v1"
        assert site.call("GET", key) == f"{key} v1".encode()
        if i % 2:
            site.logout(key)
            assert site.is_in(key) == [False] * 3, key
    site.check()
    assert redis.call("DBSIZE") >= len(site.live)


def test_while_redis_is_out_the_database_tells(site, redis):
    for _ in range(50):
        site.login()
    time.sleep(LAG_S)  # values are shipped by then
    redis.kill()
    all_out(site)
    site.check()
    use_without_redis(site, 40)
    for key in list(site.live)[:20]:
        site.logout(key)
    time.sleep(LAG_S)
    site.check()
    redis.start()
    all_trusted(site)
    site.check()
    wait_until(lambda: all(redis.call("GET", k) for k in site.live), 20, "Redis has every session")
    assert [k for k in site.ended if redis.call("GET", k)] == []


def test_a_redis_that_comes_back_empty_logs_nobody_out(site, redis):
    for _ in range(200):
        site.login()
    for key in list(site.live)[:50]:
        site.logout(key)
    for one in site.stayds:
        wait_shipped(one)
    redis.restart_empty()
    site.check()
    all_trusted(site)
    site.check()
    wait_until(lambda: all(redis.call("GET", k) for k in site.live), 20, "Redis has every session")
    assert [k for k in site.ended if redis.call("GET", k)] == []


def test_a_host_that_is_lost_beside_redis(site, redis):
    redis.kill()
    all_out(site)
    use_without_redis(site, 20)
    site.lose(site.stayds[1])
    site.check()
    use_without_redis(site, 10)
    redis.restart_empty()
    all_trusted(site)
    site.check()


def test_one_is_cut_off_from_redis(redis, make_stayd, make_proxy, backup_options):
    way = make_proxy(redis.port)
    urls = [redis.url, redis.url, redis.url.replace(f":{redis.port}", f":{way.port}")]
    stayds = [make_stayd(url, options=backup_options) for url in urls]
    for one in stayds:
        one.wait_trusted()
        one.wait_adopted()
    site = Site(stayds)
    early = [site.login() for _ in range(30)]
    time.sleep(LAG_S)
    way.blackhole()
    wait_until(lambda: stayds[2].trust() == "out", 10, "Redis is out for one of them")
    for key in early[:15]:
        site.logout(key)
    for _ in range(20):
        site.login()
    time.sleep(LAG_S)
    site.check()
    way.heal()
    all_trusted(site)
    time.sleep(NOTICE_S)
    site.check()


def test_one_is_cut_off_from_the_database(redis, database, make_stayd, make_proxy, backup_options):
    way = make_proxy(database.port)
    url = backup_options["backup.url"].replace(f":{database.port}/", f":{way.port}/")
    stayds = [make_stayd(redis.url, options={**backup_options, "backup.url": u}) for u in (backup_options["backup.url"], url)]
    for one in stayds:
        one.wait_trusted()
        one.wait_adopted()
    site = Site(stayds)
    early = [site.login() for _ in range(30)]
    way.blackhole()
    wait_until(lambda: not stayds[1].status()["backup"]["writable"], 15, "the database is out for one of them")
    for key in early[:15]:
        site.logout(key)
    for _ in range(20):
        site.login()
    site.check()
    way.heal()
    for one in stayds:
        wait_shipped(one)
    site.check()
    redis.kill()
    all_out(site)
    time.sleep(LAG_S)
    site.check()
