"""What a seed does: pure, so that `./dev chaos --seed N` is the same run again, but for its timing.

Seeds walk through all pairs of faults in one shuffled order: seed N gets the pairs from 3N on, so that successive
seeds repeat no pair before every pair has been.
"""

import itertools
from dataclasses import dataclass, field
from random import Random

from .faults import BY_NAME, FAULTS

PAIRS_OF_A_RUN = 3
SOAK_PERIOD_S = 15
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
    pairs: list = field(default_factory=list)


def all_pairs():
    pairs = list(itertools.combinations([fault.name for fault in FAULTS], 2))
    Random(0).shuffle(pairs)
    return pairs


def draw(seed, faults=None):
    """The plan of a seed. `faults`: names, instead of the pairs that the seed would get."""
    random = Random(f"chaos {seed}")
    frameworks = random.sample(FRAMEWORKS, 3)
    plan = Plan(seed, [random.choice(names) for names in frameworks], random.random() < 0.5)
    pairs = all_pairs()
    for number in range(PAIRS_OF_A_RUN):
        names = faults or pairs[(PAIRS_OF_A_RUN * seed + number) % len(pairs)]
        plan.pairs.append(draw_pair(random, list(names)))
    return plan


def draw_soak(seed, seconds):
    """One fault every 15 s, through all of them again and again; none that ends stayd, whose memory is what a
    soak looks at."""
    random = Random(f"soak {seed}")
    plan = Plan(seed, ["express-ioredis", "php", "django"], presets=True)
    names = []
    for number in range(int(seconds / SOAK_PERIOD_S)):
        if not names:
            names = [fault.name for fault in FAULTS if not fault.name.startswith(ENDING_STAYD)]
            random.shuffle(names)
        pair = draw_pair(random, [names.pop()])
        plan.pairs.append(Pair(pair.calm_s, pair.steps, (number + 1) * SOAK_PERIOD_S))
    return plan


def draw_pair(random, names):
    """The second fault comes while the first is in. What is put in by a command comes before what makes
    Redis silent, and is taken out after it."""
    random.shuffle(names)
    names.sort(key=lambda name: BY_NAME[name].silences)
    second_s = random.uniform(0.3, 1.5)
    out_s = second_s + random.uniform(1.0, 3.0)
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
