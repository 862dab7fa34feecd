"""What a run shows: violations (by stayd_history), errors that nothing excuses, latencies.

Excuses are windows of time, with who and which texts they cover. An error in a window is still "not done"
or "in doubt" for the checker; nothing excuses a wrong answer, but what a library's page says while the library
got errors (stayd itself is gone, or W14).
"""

import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field

from lib.cluster_client import slot_of
from lib.servers import ROOT

from .record import lines_of
from .scripts import READS

SECOND_US = 1_000_000
UNREACHABLE = r"connect|Connection|closed|reset|no answer|BrokenPipe"
LIBRARIES_RETRY_US = 3 * SECOND_US  # a driver's pause before it dials again, and phpredis' timeout
# Both are gone, the ledger and Redis: the next outage is unprotected (W3, W14).
LEDGER_FAULTS = (
    "stayd_disk_full",
    "stayd_disk_errors",
    "stayd_sync_errors",
    "stayd_no_descriptors",
)
# Beside one of these Redis is there, and has what it was told: they excuse nothing of the ledger's.
HARMLESS = (
    "replica_killed",
    "replica_cut_off",
    "replicas_behind",
    "sentinel_killed",
    "sentinels_killed",
    "sentinels_frozen",
    "port_certificate_renewed",
    "database_killed",
    "database_restarted",
    "database_frozen",
    "database_read_only",
    "database_cut_off",
)
UNKNOWN = "-TRYAGAIN stayd"
LEDGERLESS = UNKNOWN + "|-ERR stayd: (Redis is out and the ledger cannot be written|outcome unknown)"
RETURNED_US = 17 * SECOND_US
OLD = ("old_value", "resurrection")
STANDBY_US = 300_000  # between stayd's end and the supervisor's notice, and back


@dataclass
class Excuse:
    from_us: int
    to_us: int
    raw: str = ""  # texts of errors to the raw client; none: not excused
    pages: str = ""
    loses_pages: bool = False  # what a page says proves nothing
    unprotected: bool = False  # W14: what is written now may be lost with Redis

    def covers(self, line):
        return line["ask_us"] <= self.to_us and line["end_us"] >= self.from_us


@dataclass
class Occurrence:
    """One fault of the run. `out_us` is None when it could not be put in. `healed_us`: everything was as at
    the start again after it and its companion."""

    fault: str
    in_us: int
    out_us: int | None = None
    healed_us: int | None = None
    companion: str = ""
    problem: str = ""


@dataclass
class Return:
    """A slot's move was given up, and old keys were brought back meanwhile: they are read as they were until stayd
    has looked again, 15 s later at the latest."""

    slot: int
    from_us: int
    to_us: int

    @property
    def over_us(self):
        return self.to_us + RETURNED_US

    def explains(self, violation):
        raw = violation["key"].startswith("raw:")
        if raw and slot_of(violation["key"]) != self.slot:
            return False
        return (raw or violation["kind"] in OLD) and self.from_us <= violation["at_us"] <= self.over_us


def companion_of(others):
    """Of the faults beside one, that which matters to it."""
    return next((name for name in others if name not in HARMLESS), "")


def excuses_of(occurrences, downs):
    """`downs`: times without a stayd that serves."""
    found = []
    for from_us, to_us in downs:
        from_us, to_us = from_us - STANDBY_US, to_us + STANDBY_US
        found.append(Excuse(from_us, to_us, raw=UNREACHABLE))
        found.append(Excuse(from_us, to_us + LIBRARIES_RETRY_US, pages=".", loses_pages=True))
    for one in occurrences:
        if one.out_us is None:
            continue
        late_us = one.out_us + LIBRARIES_RETRY_US
        if one.fault in ("stayd_frozen", "stayd_no_descriptors"):
            # Connections wait, or are not accepted: phpredis gives up after 2 s.
            found.append(Excuse(one.in_us, late_us, pages=".", loses_pages=True))
        if one.fault in LEDGER_FAULTS:
            healed_us = one.healed_us or late_us
            if one.companion:
                found.append(Excuse(one.in_us, healed_us, LEDGERLESS, ".", True, unprotected=True))
            elif any(o.fault == "evicting" and o.in_us < one.in_us for o in occurrences):
                # W3: what Redis does not hold it may have evicted, and only the ledger knows.
                found.append(Excuse(one.in_us, healed_us, UNKNOWN, ".", True))
        if one.fault == "acl_denied":
            # Until the next heartbeat a denied command is the client's own affair (F19).
            found.append(Excuse(one.in_us, one.in_us + 2 * SECOND_US, "NOPERM", ".", True))
    return found


def is_raw(line):
    return line["key"].startswith("raw:")


def excused_error(line, excuses):
    for excuse in excuses:
        texts = excuse.raw if is_raw(line) else excuse.pages
        if texts and excuse.covers(line) and re.search(texts, line["note"]):
            return True
    return False


def excuse_page(line, excuses):
    """A page of a library that got errors says nothing about the session: Django and PHP show nobody,
    express-session sends the page before it has saved."""
    if is_raw(line) or not any(excuse.loses_pages and excuse.covers(line) for excuse in excuses):
        return
    read = line["commands"][0][0] == "GET"
    if line.get("reply") == "nil" or (not read and line["outcome"] in ("told", "done")):
        line.pop("reply", None)
        line |= {"outcome": "refused" if read else "doubt", "note": "the library got errors"}


@dataclass
class Verdict:
    counts: dict = field(default_factory=dict)  # the last line of stayd_history
    violations: list = field(default_factory=list)  # of its violations those that nothing excuses
    unprotected: int = 0  # and how many a window explains
    errors: Counter = field(default_factory=Counter)  # by text, those that nothing excuses
    excused: int = 0
    latencies_ms: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)  # anything else that went wrong
    report: str = ""

    @property
    def good(self):
        return not (self.violations or self.errors or self.problems)


class Unprotected(dict):
    """{key: since when it may be wrong}: written while neither the ledger nor Redis could be relied on."""

    def __init__(self, excuses):
        super().__init__()
        self.windows = [excuse for excuse in excuses if excuse.unprotected]

    def note(self, line):
        if line["commands"][0][0] in READS or line["outcome"] == "refused":
            return
        for window in self.windows:
            if window.covers(line):
                self.setdefault(line["key"], window.from_us)


def judge(folder, paths, occurrences, downs, returns=()):
    excuses = excuses_of(occurrences, downs)
    verdict, unprotected = Verdict(), Unprotected(excuses)
    latencies = Latencies(occurrences)
    merged = folder / "history.jsonl"
    with open(merged, "w") as out:
        for line in (line for path in paths for line in lines_of(path)):
            if "note" in line:
                count_error(verdict, line, excuses)
            excuse_page(line, excuses)
            unprotected.note(line)
            latencies.note(line)
            out.write(json.dumps(line) + "\n")
    verdict.latencies_ms = latencies.p99_ms()
    check(verdict, merged, unprotected, returns)
    return verdict


def count_error(verdict, line, excuses):
    if excused_error(line, excuses):
        verdict.excused += 1
    else:
        where = "raw" if is_raw(line) else line["key"].split("/")[0]
        verdict.errors[f"{where}: {line['commands'][0][0]}: {line['note'][:160]}"] += 1


def check(verdict, merged, unprotected, returns):
    checker = ROOT / "build/release/sim/stayd_history"
    run = subprocess.run([checker, merged], capture_output=True, text=True, timeout=300)
    if run.returncode not in (0, 1):
        verdict.problems.append(f"the checker: {run.stderr}")
        return
    verdict.report, _, last = run.stdout.rstrip("\n").rpartition("\n")
    verdict.counts = json.loads(last)
    for one in verdict.counts.pop("violations"):
        lost = one["at_us"] >= unprotected.get(one["key"], float("inf"))
        if lost or any(each.explains(one) for each in returns):
            verdict.unprotected += 1
        else:
            verdict.violations.append(one)


# -- latencies of the raw client: measured, not judged --------------------------------------------------------


class Latencies:
    """In three groups: without a fault, in the first second of one, and after it while one is in."""

    def __init__(self, occurrences):
        self.faults = [(one.in_us, one.out_us) for one in occurrences if one.out_us is not None]
        self.groups = {"calm": [], "first": [], "later": []}

    def note(self, line):
        if not is_raw(line) or line["client"] < 0:
            return
        at = line["ask_us"]
        ages = [at - in_us for in_us, out_us in self.faults if in_us <= at <= out_us + SECOND_US]
        group = "calm" if not ages else "first" if min(ages) < SECOND_US else "later"
        self.groups[group].append(line["end_us"] - at)

    def p99_ms(self):
        return {name: percentile(values, 0.99) for name, values in self.groups.items()}


def percentile(values, share):
    values = sorted(values)
    return round(values[int(share * (len(values) - 1))] / 1000, 1) if values else 0.0
