"""What takes its time: `./dev soak`, not part of `./dev test`."""

import time

import pytest

from lib.users import SILENT_LIMIT_S, Users


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seconds", [1, 5, 30])
def test_redis_frozen(seconds, stayd, redis):
    """Nobody notices, and the woken Redis is brought up to date."""
    users = Users(stayd)
    users.login(20)
    redis.freeze()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        users.go_on(SILENT_LIMIT_S)
        time.sleep(0.2)
    redis.thaw()
    users.go_on()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(redis)


@pytest.mark.timeout(150)
def test_stayd_frozen_for_a_minute(stayd, redis):
    """Awake again, it believes nothing of the Redis that was emptied meanwhile."""
    users = Users(stayd)
    users.login(20)
    users.logout("sess:20")
    stayd.freeze()
    redis.restart_empty()
    time.sleep(60)
    stayd.thaw()
    users.read_all()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(redis)
    users.go_on()


@pytest.mark.timeout(400)
def test_sixty_deaths_in_a_row(stayd, redis):
    """Redis returns empty, as it was when it ended, or with an old data set."""
    users = Users(stayd)
    users.login(20)
    old = redis.snapshot()
    for lap in range(60):
        redis.kill()
        users.go_on()
        [redis.restart_empty, redis.start, lambda: redis.restart_from(old)][lap % 3]()
        users.go_on()
        time.sleep(1)
        users.go_on()
    stayd.wait_trusted(timeout=60)
    users.wait_in_redis(redis, timeout=30)
