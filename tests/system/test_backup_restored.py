"""The shared backup goes back in time beneath a running stayd: a dump of before is restored."""

import time

import pytest

from lib.backups import Shop, wait_shipped
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import wait_until


@pytest.fixture(params=[PostgresServer, MariadbServer], ids=["postgres", "mariadb"])
def database(request, start_database):
    return start_database(request.param, **request.param.keeps_commits)


@pytest.mark.parametrize("how", ["in_place", "anew", "files"])
def test_what_the_ledger_has_is_written_again(how, database, make_sharer, lose_all):
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for _ in range(40):
            shop.visit()
        assert shop.client.call("SET", "later", "v1") == "OK"
        assert shop.client.call("SET", "ended", "v1") == "OK"
        wait_shipped(stayd)
        dump = database.copy_files() if how == "files" else database.dump()
        for _ in range(40):
            shop.visit()
        assert shop.client.call("SET", "later", "v2") == "OK"
        assert shop.client.call("DEL", "ended") == 1
        wait_shipped(stayd)
        if how == "files":
            database.restore_files(dump)
        else:
            database.restore(dump, how == "anew")
        wait_until(lambda: stayd.log_lines("backup_restored"), 15, "stayd says that it has been restored")
        for _ in range(10):
            shop.visit()
    wait_until(lambda: stayd.metric("stayd_backup_restoring") == 0, 15, "every row has been looked at")
    wait_shipped(stayd)
    assert stayd.metric("stayd_backup_restores_total") > 0
    other = lose_all(stayd)
    shop.check(other)
    assert other.call("GET", "later") == b"v2"
    assert other.call("GET", "ended") is None


def test_restored_while_stayd_was_away(database, make_sharer, lose_all):
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for _ in range(10):
            shop.visit()
        wait_shipped(stayd)
        dump = database.dump()
        for _ in range(20):
            shop.visit()
        wait_shipped(stayd)
        wait_until(lambda: stayd.status()["backup"]["feed_age_ms"] < 1000, 5, "the feed is read")
        time.sleep(0.5)  # the sample of the last moment is saved by then
    assert stayd.stop() == 0
    database.restore(dump)
    stayd.start()
    stayd.wait_trusted()
    wait_until(lambda: stayd.log_lines("backup_restored"), 15, "stayd says that it has been restored")
    wait_until(lambda: stayd.metric("stayd_backup_restoring") == 0, 15, "every row has been looked at")
    wait_shipped(stayd)
    other = lose_all(stayd)
    shop.check(other)


def test_restored_table_by_table(database, make_sharer, lose_all):
    """The host table of before is there 3 s before the rows: what is written in between goes with them."""
    stayd = make_sharer()
    with Shop(stayd) as shop:
        for _ in range(40):
            shop.visit()
        assert shop.client.call("SET", "ended", "v1") == "OK"
        wait_shipped(stayd)
        dump = database.dump_tables()
        for _ in range(40):
            shop.visit()
        assert shop.client.call("DEL", "ended") == 1
        wait_shipped(stayd)
        time.sleep(1.5)  # as long as the youngest row may not be the one that is looked at
        database.load_tables(dump, "hosts")
        shop.visits(3)
        database.load_tables(dump, "rows")
        shop.visits(3)
    wait_until(lambda: stayd.log_lines("backup_restored"), 15, "stayd says that it has been restored")
    wait_until(lambda: stayd.metric("stayd_backup_restoring") == 0, 15, "every row has been looked at")
    wait_shipped(stayd)
    other = lose_all(stayd)
    shop.check(other)
    assert other.call("GET", "ended") is None
