"""What a seed does: pure, so that `./dev chaos --seed N` is the same run again, but for its timing.

A seed's range is its topology. Seeds walk through all pairs of the topology's faults in one shuffled order: the
Nth gets the pairs from 3N on, so that successive seeds repeat no pair before every pair has been.
"""

import itertools
from dataclasses import dataclass, field
from random import Random

from .faults import BY_NAME, OF_TOPOLOGY

PAIRS_OF_A_RUN = 3
SOAK_PERIOD_S = 15
WITH_REPLICAS = ("sentinel", "cluster")
BEHIND = "replicas_behind"
FIRST_SEEDS = {
    "plain": 0,
    "tls": 200_000,
    "sentinel": 300_000,
    "cluster": 400_000,
    "backup": 500_000,
}
ENDING_STAYD = ("stayd_killed", "stayd_terminated", "stayd_no_memory")  # and all that begin so
# One framework each, three of them at once.
FRAMEWORKS = [
    ("express-node-redis", "express-ioredis"),
    ("php", "php-locking"),
    ("django",),
    ("flask",),
]


@dataclass(frozen=True)
class Step:
    at_s: float  # from the pair's beginning
    fault: str
    put_in: bool


@dataclass(frozen=True)
class Pair:
    calm_s: float  # before it, at least
    steps: tuple
    at_s: float = 0  # not sooner after the users have begun

    @property
    def faults(self):
        return tuple(step.fault for step in self.steps if step.put_in)


@dataclass
class Plan:
    seed: int
    apps: list
    presets: bool  # stayd is told which keys are sessions of which framework
    topology: str = "plain"
    settings: dict = field(default_factory=dict)  # more of stayd's
    pairs: list = field(default_factory=list)


def topology_of(seed):
    return max((first, name) for name, first in FIRST_SEEDS.items() if first <= seed)[1]


def all_pairs(topology="plain"):
    """Of a topology with faults of its own: those with one of these."""
    own, others = ([fault.name for fault in faults] for faults in OF_TOPOLOGY[topology])
    pairs = itertools.combinations([*own, *others], 2)
    pairs = [pair for pair in pairs if not own or pair[0] in own]
    Random(0).shuffle(pairs)
    return pairs


def draw(seed, faults=None):
    """The plan of a seed. `faults`: names, instead of the pairs that the seed would get."""
    random, topology = Random(f"chaos {seed}"), topology_of(seed)
    frameworks = random.sample(FRAMEWORKS, 3)
    apps = [random.choice(names) for names in frameworks]
    plan = Plan(seed, apps, random.random() < 0.5, topology, settings_of(seed, topology))
    pairs, nth = all_pairs(topology), seed - FIRST_SEEDS[topology]
    for number in range(PAIRS_OF_A_RUN):
        names = faults or pairs[(PAIRS_OF_A_RUN * nth + number) % len(pairs)]
        plan.pairs.append(draw_pair(random, list(names), patience_s(topology)))
    if topology in WITH_REPLICAS and not faults:
        plan.pairs = [with_replicas_behind(random, pair) for pair in plan.pairs]
    return plan


def with_replicas_behind(random, pair):
    """One pair in three: whoever is promoted lacks what was written since before its first fault."""
    if BEHIND in pair.faults or random.random() < 2 / 3:
        return pair
    end_s = max(step.at_s for step in pair.steps)
    steps = (Step(0, BEHIND, True), *pair.steps, Step(end_s, BEHIND, False))
    return Pair(pair.calm_s, steps, pair.at_s)


def settings_of(seed, topology):
    """What stayd can do with replicas."""
    random, found = Random(f"settings {seed}"), {}
    if topology in WITH_REPLICAS and random.random() < 0.5:
        found["redis.replica_reads"] = "true"
    if topology in WITH_REPLICAS and random.random() < 0.5:
        found["redis.logout_wait"] = "200ms"
    return found


def patience_s(topology):
    """A failover takes its time."""
    return 1.5 if topology in WITH_REPLICAS else 0.0


def draw_soak(seed, seconds):
    """One fault every 15 s, through all of them again and again; none that ends stayd, whose memory is what a
    soak looks at."""
    random, topology = Random(f"soak {seed}"), topology_of(seed)
    plan = Plan(seed, ["express-ioredis", "php", "django"], presets=True, topology=topology)
    own, others = OF_TOPOLOGY[topology]
    names = []
    for number in range(int(seconds / SOAK_PERIOD_S)):
        if not names:
            names = [fault.name for fault in own + others]
            names = [name for name in names if not name.startswith(ENDING_STAYD)]
            random.shuffle(names)
        pair = draw_pair(random, [names.pop()])
        plan.pairs.append(Pair(pair.calm_s, pair.steps, (number + 1) * SOAK_PERIOD_S))
    return plan


def draw_pair(random, names, patience_s=0.0):
    """The second fault comes while the first is in. What is put in by a command comes before what makes
    Redis silent, and is taken out after it."""
    random.shuffle(names)
    names.sort(key=lambda name: BY_NAME[name].silences)
    second_s = random.uniform(0.3, 1.5)
    out_s = second_s + random.uniform(1.0, 3.0) + patience_s
    both_out_s = out_s + random.uniform(0.0, 1.5)
    steps = [Step(0, names[0], True)]
    if len(names) == 1:
        return Pair(random.uniform(0.5, 1.5), (steps[0], Step(out_s, names[0], False)))
    first_out = random.random() < 0.5 and not BY_NAME[names[1]].silences
    steps += [
        Step(second_s, names[1], True),
        Step(out_s, names[0 if first_out else 1], False),
        Step(both_out_s, names[1 if first_out else 0], False),
    ]
    return Pair(random.uniform(0.5, 1.5), tuple(steps))
