"""stayd's own memory is old: its ledger is a copy of before, or it was away for too long."""

import shutil
import time

from lib.processes import wait_until
from lib.users import Users


def wait_heartbeats(stayd):
    """Redis holds how far the ledger has come."""
    before = stayd.metric("stayd_canary_writes_total")
    wait_until(lambda: stayd.metric("stayd_canary_writes_total") > before + 1, 5, "heartbeats")


def test_older_ledger(stayd, redis, row):
    """A power cut took the ledger's last writes, or a backup was put in place: what Redis holds is the
    truth. Logouts and changes that the ledger does not know are not undone."""
    users = Users(stayd)
    users.login(20)
    assert stayd.stop() == 0
    ledger, copy = stayd.folder / "ledger", stayd.folder / "older"
    shutil.copytree(ledger, copy)
    stayd.start()
    stayd.wait_trusted()
    users.client = stayd.client()
    users.logout("sess:1")
    users.update("sess:2")
    users.login(3)
    wait_heartbeats(stayd)
    stayd.kill()
    shutil.rmtree(ledger)
    copy.rename(ledger)
    with row.shows(stayd):
        stayd.start()
        stayd.wait_trusted(timeout=15)
        stayd.wait_adopted()
        users.client = stayd.client()
        users.go_on()
    users.wait_in_redis(redis)
    redis.kill()
    users.go_on()


def test_away_for_longer_than_max_island(redis, make_stayd, row):
    """What others have done to Redis meanwhile counts: a login past stayd stands, and a deletion."""
    stayd = make_stayd(redis.url, options={"max_island": "1s"})
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(10)
    wait_heartbeats(stayd)
    stayd.kill()
    redis.call("DEL", "sess:1")
    users.forget("sess:1")
    redis.call("SET", "sess:2", "direct", "EX", 3600)
    users.live["sess:2"] = b"direct"
    time.sleep(1.5)  # the absence itself, not a wait for something
    with row.shows(stayd):
        stayd.start()
        stayd.wait_trusted()
        stayd.wait_adopted()
        users.client = stayd.client()
        users.read_all()
    redis.kill()
    users.read_all()
