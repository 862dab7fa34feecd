"""The chaos runs themselves: a seed says what happens, every pair of faults comes, and a wrong answer, an
error or a hole in an excuse is not overlooked."""

import json
from collections import Counter
from itertools import combinations
from types import SimpleNamespace

import pytest

from chaos import plan, topologies
from chaos.chaos import seeds_of
from chaos.faults import BY_NAME, FAULTS, OF_TOPOLOGY
from chaos.record import Recorder
from chaos.resp_stream import Error, Incomplete, parse, text_of
from chaos.scenario import Run
from chaos.scripts import Session
from chaos.verdict import HARMLESS, Occurrence, Return, companion_of, judge
from lib import faults as lib_faults
from lib.cluster_client import slot_of

SECOND = 1_000_000


# -- what a seed says ------------------------------------------------------------------------------------------


def test_a_seed_is_a_plan():
    assert plan.draw(7) == plan.draw(7)
    assert plan.draw(7) != plan.draw(8)


def test_successive_seeds_walk_through_all_pairs():
    pairs = {tuple(sorted(pair)) for pair in plan.all_pairs()}
    seeds = -(-len(pairs) // plan.PAIRS_OF_A_RUN)
    seen = {tuple(sorted(pair.faults)) for seed in range(seeds) for pair in plan.draw(seed).pairs}
    assert seen == pairs
    assert len(pairs) == len(FAULTS) * (len(FAULTS) - 1) // 2


@pytest.mark.parametrize("topology", ["tls", "sentinel", "cluster", "backup"])
def test_each_topology_walks_through_the_pairs_with_a_fault_of_its_own(topology):
    own, others = ({fault.name for fault in faults} for faults in OF_TOPOLOGY[topology])
    pairs = {tuple(sorted(pair)) for pair in plan.all_pairs(topology)}
    assert all(own & {*pair} for pair in pairs)
    assert len(pairs) == len(own) * (len(own) - 1) // 2 + len(own) * len(others)
    first = plan.FIRST_SEEDS[topology]
    seeds = range(first, first + -(-len(pairs) // plan.PAIRS_OF_A_RUN))
    plans = [plan.draw(seed) for seed in seeds]
    assert {one.topology for one in plans} == {topology}
    seen = {names for one in plans for pair in one.pairs for names in combinations(pair.faults, 2)}
    assert {tuple(sorted(names)) for names in seen} >= pairs
    assert set(topologies.BY_NAME) == set(plan.FIRST_SEEDS) == set(OF_TOPOLOGY)


def test_scenarios_of_all_topologies():
    options = SimpleNamespace(seed=None, soak=None, first=102, topology=None, scenarios=30)
    seeds = seeds_of(options)
    assert len(set(seeds)) == 30 and {*range(102, 120)} < {*seeds}
    counts = Counter(map(plan.topology_of, seeds))
    assert counts == {"plain": 18, "tls": 4, "sentinel": 4, "cluster": 4}
    options.topology = "cluster"
    assert seeds_of(options) == [*range(400_102, 400_132)]
    options.topology, options.first = None, 300_007
    assert [*seeds_of(options)] == [*range(300_007, 300_037)]


def test_every_fault_of_the_system_tests_takes_part():
    left_out = {fault.name for fault in lib_faults.FAULTS} - set(BY_NAME)
    assert left_out == {"slow_network"}  # needs a proxy; slow_30ms and slow_150ms stand for it


def test_commands_come_before_redis_is_silenced():
    for seed in range(200):
        for pair in plan.draw(seed).pairs:
            first, second = (BY_NAME[name] for name in pair.faults)
            assert second.silences or not first.silences
            assert [step.at_s for step in pair.steps] == sorted(step.at_s for step in pair.steps)


def test_three_frameworks_at_once():
    for seed in range(50):
        assert len({name.split("-")[0] for name in plan.draw(seed).apps}) == 3


def test_a_session_does_the_same_again():
    def commands(number, client):
        script, reply, found = Session(5, number).script(client), None, []
        try:
            while True:
                found.append(script.send(reply))
                reply = "+OK"
        except StopIteration:
            return found

    for number in range(20):
        assert commands(number, 0) == commands(number, 0)
    kinds = {Session(5, number).kind for number in range(200)}
    assert kinds == {"express", "php", "hash", "block", "lock", "counter", "brief"}


# -- what is recorded ------------------------------------------------------------------------------------------


REPLIES = [
    (b"+OK\r\n", ["SET"], "+OK"),
    (b":12\r\n", ["INCR"], ":12"),
    (b"$-1\r\n", ["GET"], "nil"),
    (b"_\r\n", ["GET"], "nil"),
    (b"$2\r\nab\r\n", ["GET"], '"ab"'),
    (b"*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\n1\r\n", ["HGETALL"], "{a=1 b=2 }"),
    (b"%1\r\n$1\r\na\r\n$1\r\n1\r\n", ["HGETALL"], "{a=1 }"),
    (b"*2\r\n:3\r\n:1\r\n", [["HSET"], ["EXPIRE"]], ":3 :1"),
]


@pytest.mark.parametrize("data, command, text", REPLIES)
def test_replies_are_written_as_the_checker_writes_them(data, command, text):
    value, end = parse(data, 0)
    assert end == len(data)
    assert text_of(value, command) == text
    for size in range(len(data)):
        with pytest.raises(Incomplete):
            parse(data[:size], 0)


def test_errors_are_told_from_texts():
    assert isinstance(parse(b"-ERR no\r\n", 0)[0], Error)


# -- the verdict ------------------------------------------------------------------------------------------------


class History:
    """Lines with times of our own choice."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "load.jsonl"
        self.recorder = Recorder(self.path)

    def add(self, key, command, at_s, reply=None, note=None):
        line = {"key": key, "client": 0, "ask_us": at_s * SECOND, "end_us": at_s * SECOND + 1000}
        line |= {"commands": [command], "block": False}
        line |= {"outcome": "told", "reply": reply} if reply else {"outcome": "doubt", "note": note}
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def judge(self, occurrences=(), downs=(), returns=()):
        return judge(self.folder, [self.path], list(occurrences), list(downs), returns)


@pytest.fixture
def history(folder):
    history = History(folder)
    history.add("raw:express:1", ["SET", "raw:express:1", "a"], 10, "+OK")
    return history


def test_right_answers_are_good(history):
    history.add("raw:express:1", ["GET", "raw:express:1"], 11, '"a"')
    verdict = history.judge()
    assert verdict.good and verdict.counts["operations"] == 2


def test_a_false_logout_is_a_violation(history):
    history.add("raw:express:1", ["GET", "raw:express:1"], 11, "nil")
    verdict = history.judge()
    assert [one["kind"] for one in verdict.violations] == ["false_logout"]
    assert "raw:express:1" in verdict.report and not verdict.good


def test_an_error_counts_unless_stayd_is_down(history):
    history.add("raw:express:1", ["SET", "raw:express:1", "b"], 20, note="connection closed")
    assert history.judge().errors.total() == 1
    assert history.judge(downs=[(19 * SECOND, 21 * SECOND)]).good
    assert not history.judge(downs=[(22 * SECOND, 23 * SECOND)]).good


def test_an_error_of_stayd_is_no_lost_connection(history):
    history.add("raw:express:1", ["SET", "raw:express:1", "b"], 20, note="-ERR stayd: oops")
    assert not history.judge(downs=[(19 * SECOND, 21 * SECOND)]).good


def test_a_logged_out_page_is_excused_only_while_the_library_cannot_reach_stayd(folder):
    history = History(folder)
    history.add("django/0/0/0", ["SET", "django/0/0/0", "anna 1"], 10, "+OK")
    history.add("django/0/0/0", ["GET", "django/0/0/0"], 20, "nil")
    assert [one["kind"] for one in history.judge().violations] == ["false_logout"]
    assert history.judge(downs=[(19 * SECOND, 21 * SECOND)]).good
    assert not history.judge(downs=[(12 * SECOND, 13 * SECOND)]).good


def test_without_ledger_and_redis_only_what_was_written_then_may_be_lost(history):
    both = Occurrence("stayd_disk_full", 12 * SECOND, 14 * SECOND, 16 * SECOND, companion="killed")
    history.add("raw:express:1", ["GET", "raw:express:1"], 15, "nil")
    assert len(history.judge([both]).violations) == 1
    history.add("raw:express:2", ["SET", "raw:express:2", "b"], 13, "+OK")
    history.add("raw:express:2", ["GET", "raw:express:2"], 15, "nil")
    verdict = history.judge([both])
    assert len(verdict.violations) == 1 and verdict.unprotected == 1
    alone = Occurrence("stayd_disk_full", 12 * SECOND, 14 * SECOND, 16 * SECOND)
    assert len(history.judge([alone]).violations) == 2
    assert companion_of(["replica_killed"]) == "" and set(HARMLESS) < set(BY_NAME)
    assert companion_of(["replicas_behind", "killed"]) == "killed"


def test_without_ledger_a_redis_that_has_evicted_keys_cannot_tell_who_is_gone(history):
    history.add("raw:express:1", ["GET", "raw:express:1"], 13, note="-TRYAGAIN stayd: session ...")
    alone = Occurrence("stayd_disk_full", 12 * SECOND, 14 * SECOND, 16 * SECOND)
    assert not history.judge([alone]).good
    assert history.judge([Occurrence("evicting", 1 * SECOND, 2 * SECOND), alone]).good
    assert not history.judge([alone, Occurrence("evicting", 17 * SECOND, 18 * SECOND)]).good


def test_what_comes_back_with_a_slot_is_excused_for_that_slot_and_time(history):
    history.add("raw:express:1", ["DEL", "raw:express:1"], 11, ":1")
    history.add("raw:express:1", ["GET", "raw:express:1"], 13, '"a"')
    back = Return(slot_of("raw:express:1"), 12 * SECOND, 12 * SECOND)
    assert not history.judge().good
    assert history.judge(returns=[back]).good
    assert not history.judge(returns=[Return(back.slot + 1, back.from_us, back.to_us)]).good
    assert not history.judge(returns=[Return(back.slot, 14 * SECOND, 14 * SECOND)]).good


@pytest.mark.timeout(180)
@pytest.mark.parametrize("topology", plan.WITH_REPLICAS)
def test_what_a_failover_loses_is_seen(topology, folder):
    """By a run whose stayd only watches: the faults are real, and so is the verdict."""
    drawn = plan.draw(plan.FIRST_SEEDS[topology], [plan.BEHIND, "primary_replaced"])
    drawn.pairs, drawn.settings = drawn.pairs[:1], {"mode": "observe"}
    with Run(drawn, folder) as run:
        run.start()
        run.play()
        verdict = run.finish()
    kinds = {one["kind"] for one in verdict.violations}
    assert kinds & {"false_logout", "resurrection", "old_value"} and verdict.errors
