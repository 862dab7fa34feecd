"""Redis' own tests pass through stayd: every test that passes on a redis-server passes through a
stayd in front of one, except those of exceptions.txt. docs/compatibility.md says why.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .redis_suite import SuiteMissing, run_file, suite_sources, work_tree

HERE = Path(__file__).parent
LIMIT_S = 240
PATIENCE = {
    "redis.command_deadline": "5s",
    "redis.command_deadline_max": "5s",
    "redis.slow_deadline": "20s",
    "redis.heartbeat_interval": "1500ms",
    "redis.heartbeat_deadline": "1400ms",
}
FILES = """
unit/type/string unit/type/incr unit/type/hash unit/type/set unit/type/zset unit/type/list
unit/type/stream unit/type/stream-cgroups unit/expire unit/keyspace unit/scan unit/multi
unit/pubsub unit/scripting unit/functions unit/protocol unit/dump unit/bitops unit/bitfield
unit/geo unit/hyperloglog unit/sort unit/other unit/quit unit/introspection unit/introspection-2
unit/info-command unit/slowlog unit/latency-monitor unit/lazyfree
""".split()


def exceptions():
    """{"file: test": whether it is run at all} of exceptions.txt."""
    lines = (HERE / "exceptions.txt").read_text().splitlines()
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    return {row.removeprefix("! ").strip(): not row.startswith("!") for row in rows}


def exceptions_of(name):
    """(tests that may fail, tests that are not run) of one file."""
    mine = {r.split(": ", 1)[1]: run for r, run in exceptions().items() if r.startswith(name + ":")}
    return set(mine), {test for test, run in mine.items() if not run}


@pytest.fixture(scope="session")
def sources():
    try:
        return suite_sources()
    except SuiteMissing as error:
        pytest.fail(f"no source package of Redis; TESTS_REDIS_SUITE may name its tree: {error}")


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("name", FILES)
def test_file(name, sources, folder, make_redis, make_stayd):
    allowed, not_run = exceptions_of(name)
    direct_redis, redis = make_redis(), make_redis()
    # What is compared are answers, not times: a busy machine is not a fault of Redis.
    stayd = make_stayd(redis.url, options=PATIENCE)
    stayd.wait_trusted()
    stayd.wait_adopted()
    trees = [work_tree(sources, folder / which) for which in ("direct", "through")]
    with ThreadPoolExecutor() as pool:
        on_redis = pool.submit(run_file, trees[0], direct_redis.port, name, LIMIT_S)
        on_stayd = pool.submit(run_file, trees[1], stayd.port, name, LIMIT_S, not_run)
        direct, through = on_redis.result(), on_stayd.result()
    print(f"{name}: {len(direct.passed)} pass directly, {len(through.passed)} through stayd")
    assert direct.passed and not direct.crashed, direct.text[-2000:]
    stayd.process.must_be_alive()
    assert not through.crashed, through.text[-2000:]
    missing = direct.passed - through.passed
    wrong = "\n".join(f"{test}: {through.why(test)}" for test in sorted(missing - allowed))
    assert missing <= allowed, f"pass directly, not through stayd:\n{wrong}"
    stale = allowed & through.passed
    assert not stale, f"exceptions that pass by now: {sorted(stale)}"


def test_every_exception_stands_in_the_docs():
    text = (HERE.parents[1] / "docs/compatibility.md").read_text()
    named = set(re.findall(r"`(unit/[^`]+: [^`]+)`", text))
    assert named == set(exceptions())
