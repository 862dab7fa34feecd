"""Real session libraries on stayd: whatever happens to Redis, nobody is logged out and nobody who
logged out gets back in. `TESTS_CLIENTS_DIRECT=1` plays only the tests on plain Redis."""

import os
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from clients.apps import APPS, App, Browser
from clients.scenario import STEPS, Life
from lib.processes import wait_until
from lib.servers import RedisServer, StaydServer

DIRECT_ONLY = os.environ.get("TESTS_CLIENTS_DIRECT") == "1"
behind_stayd = pytest.mark.skipif(DIRECT_ONLY, reason="TESTS_CLIENTS_DIRECT=1")


# One worker per application: each is started once.
NAMES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in APPS]


@pytest.fixture(scope="module", params=NAMES)
def app_name(request):
    return request.param


@pytest.fixture(scope="module")
def direct(app_name, module_folder):
    """The application on Redis directly."""
    redis = RedisServer(module_folder / f"direct-{app_name}").start()
    app = App(app_name, redis.port, module_folder).start()
    yield app
    app.kill()
    redis.kill()


class Pair:
    """An application on stayd on Redis; the Redis is broken and mended around it."""

    def __init__(self, app_name, folder):
        self.redis = RedisServer(folder / f"redis-{app_name}").start()
        # Outages come within seconds here, which is taken for flapping.
        options = {"redis.retry_max": "1s"}
        self.stayd = StaydServer(folder / f"stayd-{app_name}", self.redis.url, options).start()
        self.app = App(app_name, self.stayd.port, folder).start()
        self.stayd.wait_trusted()
        self.stayd.wait_adopted()

    def revive(self):
        """Redis is up and writable again."""
        if not self.redis.process.alive:
            self.redis.start()
        self.redis.thaw()
        self.redis.call("REPLICAOF", "NO", "ONE")
        self.redis.config_set(replica_serve_stale_data="yes")

    def mend(self):
        """... and trusted."""
        self.revive()
        self.stayd.process.must_be_alive()
        self.stayd.wait_trusted(timeout=20)

    def close(self):
        self.app.kill()
        self.stayd.kill()
        self.redis.kill()


@pytest.fixture(scope="module")
def pair_of_module(app_name, module_folder):
    pair = Pair(app_name, module_folder)
    yield pair
    pair.close()


@pytest.fixture
def pair(pair_of_module):
    pair_of_module.mend()
    yield pair_of_module
    pair_of_module.redis.thaw()


def test_on_plain_redis(direct):
    Life(direct).play()


@behind_stayd
def test_on_stayd(pair):
    Life(pair.app).play().assert_dead()


# -- faults: put in when, for each step, somebody is just before it; then all live on -----------------


def kill(pair):
    pair.redis.kill()


def restart_empty(pair):
    pair.redis.restart_empty()


def freeze(pair):
    pair.redis.freeze()


def stop(pair):
    pair.redis.stop()


def readonly(pair):
    # A primary that is not there: writes are refused with READONLY, reads go on.
    pair.redis.call("REPLICAOF", "127.0.0.1", "1")


def masterdown(pair):
    pair.redis.call("CONFIG", "SET", "replica-serve-stale-data", "no")
    readonly(pair)


def loading(pair):
    pair.redis.start_loading(delay_us=4000)  # outlasts the rest of the session's life


FAULTS = [kill, restart_empty, freeze, stop, readonly, masterdown, loading]


@behind_stayd
@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_before_each_step(pair, fault):
    lives = [Life(pair.app, user=f"before-{step}").play(until=step) for step in STEPS]
    fault(pair)
    try:
        for life in lives:
            life.play()
    finally:
        if fault is loading:
            pair.redis.kill()
            pair.redis.wipe()
    pair.mend()
    for life in lives:
        life.assert_dead()


# 40 times: two faults in one life, each before a step, Redis trusted again in between or not yet.
PAIRS = [
    pytest.param(name, seed, marks=pytest.mark.xdist_group(name))
    for seed in range(40)
    for name in [list(APPS)[seed % len(APPS)]]
]


@behind_stayd
@pytest.mark.timeout(60)
@pytest.mark.parametrize("app_name, seed", PAIRS, indirect=["app_name"], scope="module")
def test_two_faults_in_one_life(pair, seed):
    random = Random(seed)
    first, second = sorted(random.sample(STEPS[1:], 2), key=STEPS.index)
    faults = random.choices([kill, restart_empty, freeze, stop, readonly, masterdown], k=2)
    trusted_between = random.random() < 0.5
    print(f"{faults[0].__name__} before {first}, {faults[1].__name__} before {second}")
    life = Life(pair.app, user=f"pair-{seed}").play(until=first)
    faults[0](pair)
    life.play(until=second)
    pair.revive()
    if trusted_between:
        pair.mend()
    faults[1](pair)
    life.play()
    pair.mend()
    life.assert_dead()


@behind_stayd
@pytest.mark.timeout(120)
def test_restarted_empty_before_every_step(pair):
    """Redis is lost once per click: the session survives each time."""
    life = Life(pair.app)
    for step in [*STEPS[1:], None]:
        pair.redis.restart_empty()
        life.play(until=step)


@behind_stayd
@pytest.mark.timeout(180)
def test_old_snapshot(pair):
    """Redis comes back with an hour-old data set: a logout since then stays a logout, a value written
    since then is still there."""
    leaver = Life(pair.app, "leaver").play(until="logout")
    stayer = Life(pair.app, "stayer").play(until="update")
    snapshot = pair.redis.snapshot()
    leaver.play()
    stayer.play(until="regenerate")
    pair.redis.restart_from(snapshot)
    leaver.assert_dead()
    stayer.read()
    pair.mend()
    leaver.assert_dead()
    stayer.read()


PRESETS = {"express": "express", "php": "php", "django": "django", "flask": "flask"}
HOLDS = ("php", "django")  # take any error for a logout: their presets say `unknown = "hold"`


@pytest.fixture
def newcomer(app_name, folder):
    """The application on Redis, and again on a new stayd whose backfill does not end: SCAN is
    forbidden."""
    redis = RedisServer(folder / "redis").start()
    redis.call("ACL", "SETUSER", "default", "-scan")
    first = App(app_name, redis.port, folder).start()
    preset = PRESETS[app_name.split("-")[0]]
    sessions = f'[[sessions]]\npreset = "{preset}"\n'
    stayd = StaydServer(folder / "stayd", redis.url, config_text=sessions).start()
    second = App(app_name, stayd.port, folder).start()
    stayd.wait_trusted()
    yield redis, stayd, first, second
    for server in (first, second, stayd, redis):
        server.kill()


@behind_stayd
@pytest.mark.timeout(60)
def test_unknown_logs_nobody_out(app_name, newcomer):
    """Redis is lost with a session in it that stayd has never seen: an error, at once, or a page that
    waits for Redis. The cookie stays, and is good again afterwards."""
    redis, stayd, before, behind = newcomer
    early = before.browser()
    early.login("anna")
    user = Browser(behind, 10).with_cookies(early.cookies)
    assert redis.call("SAVE") == "OK"
    redis.kill()
    if app_name.startswith(HOLDS):
        with ThreadPoolExecutor(1) as page:
            read = page.submit(user.read)
            wait_until(lambda: stayd.status()["calls_under_way"], 5, "the page waits")
            redis.start()
            assert read.result()["user"] == "anna"
    else:
        for _ in range(5):
            with pytest.raises(AssertionError, match=": 500 after"):
                user.read()
        assert user.slowest < 1.0
        assert user.cookies == early.cookies
        assert stayd.metric("stayd_unknown_replies_total") >= 5
        redis.start()
    stayd.wait_trusted()
    assert user.read()["user"] == "anna"


@behind_stayd
@pytest.mark.timeout(120)
def test_no_page_is_slow_while_redis_is_frozen(pair):
    browser = pair.app.browser()
    browser.login("anna")
    browser.slowest = 0
    pair.redis.freeze()
    for _ in range(20):
        assert browser.read()["user"] == "anna"
    assert browser.slowest < 1.0, f"slowest page: {browser.slowest:.2f} s"
