"""stayd's shared backup fails, in every way, beside a Redis that is well and beside one that is out."""

import pytest

from lib.backups import Shop, wait_shipped
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until
from lib.users import SLACK

# What a login or a logout waits for a backup that does not answer, at most, and all that may come on
# top of it on a busy machine.
CONFIRM_S = 0.25
GENEROUS_S = 0.75 * SLACK


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=["postgres", "mariadb"])
def database(request, start_database):
    return start_database(request.param, **request.param.keeps_commits)


FAULTS = {
    "killed": (lambda d, p: d.kill(), lambda d, p: d.start()),
    "frozen": (lambda d, p: d.freeze(), lambda d, p: d.thaw()),
    "read_only": (lambda d, p: d.set_read_only(True), lambda d, p: d.set_read_only(False)),
    "black_hole": (lambda d, p: p.blackhole(), lambda d, p: p.heal()),
    "slow": (lambda d, p: p.delay(300), lambda d, p: p.heal()),
}


@pytest.fixture
def set_up(database, backup_options, redis, make_proxy, make_stayd):
    """(stayd, the way to the database)."""
    proxy = make_proxy(database.port)
    url = backup_options["backup.url"].replace(f":{database.port}/", f":{proxy.port}/")
    stayd = make_stayd(redis.url, options={**backup_options, "backup.url": url})
    stayd.wait_trusted()
    stayd.wait_adopted()
    wait_shipped(stayd)
    return stayd, proxy


@pytest.fixture
def loses_nothing(lose_all):
    """What a Shop knows outlives its host and Redis."""

    def check(shop, stayd):
        wait_shipped(stayd)
        shop.check(lose_all(stayd))

    return check


@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_notices_beside_a_healthy_redis(fault, set_up, database, loses_nothing):
    stayd, proxy = set_up
    put_in, take_out = FAULTS[fault]
    with Shop(stayd) as shop:
        shop.visits(1)
        print("before:", shop.figures())
        for kind in shop.times:
            shop.slowest(kind)
        put_in(database, proxy)
        shop.visits(4)
        print(f"{fault}:", shop.figures())
        for kind, bound in {"read": 0, "write": 0, "login": CONFIRM_S, "logout": CONFIRM_S}.items():
            assert shop.slowest(kind) < bound + GENEROUS_S, kind
        take_out(database, proxy)
        shop.visits(0.5)
    loses_nothing(shop, stayd)


@pytest.mark.parametrize("fault", FAULTS)
def test_both_are_out(fault, set_up, database, redis, loses_nothing):
    stayd, proxy = set_up
    put_in, take_out = FAULTS[fault]
    with Shop(stayd) as shop:
        shop.visits(0.5)
        redis.freeze()
        wait_until(lambda: stayd.trust() != "trusted", 10, "Redis is out")
        for kind in shop.times:
            shop.slowest(kind)
        shop.visits(1)
        print("Redis alone is out:", shop.figures())
        put_in(database, proxy)
        shop.visits(3)
        print(f"and the backup {fault}:", shop.figures())
        for kind in shop.times:
            assert shop.slowest(kind) < CONFIRM_S + GENEROUS_S, kind
        take_out(database, proxy)
        shop.visits(0.5)
        redis.thaw()
        stayd.wait_trusted()
        shop.visits(0.5)
        shop.check(stayd)
        shop.check(redis)
    loses_nothing(shop, stayd)
