"""docs/failure_modes.md says what exists: its tests, metrics and log events, and that the faults of
the outages' table show in the metric and the log as it says."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lib.failure_page import TEST, row_of, rows
from lib.faults import FAULTS, World
from lib.users import Users

ROOT = Path(__file__).resolve().parents[2]
METRIC = re.compile(r"`(stayd_\w+)`")


def named_tests():
    return [name for row in rows() for name in TEST.findall(row[-1])]


def existing_tests():
    """Test ids below tests/, as pytest finds them: "system/test_x.py::test_y[z]"."""
    argv = [sys.executable, "-m", "pytest", "-c", ROOT / "tests/pytest.ini", "-p", "no:xdist"]
    argv += ["--collect-only", "-q", ROOT / "tests/system", ROOT / "tests/clients"]
    run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=50)
    found = [line for line in run.stdout.splitlines() if "::" in line]
    assert found, f"pytest collected nothing:\n{run.stdout}{run.stderr}"
    return [re.sub(r"^(?:tests/)?(?:system/)?", "", line) for line in found]


def names(test, found):
    """Whether the named test stands for the found one: itself, or all its parameters."""
    return found == test or found.startswith(test + "[")


def test_every_named_test_exists():
    found = existing_tests()
    missing = [test for test in named_tests() if not any(names(test, f) for f in found)]
    assert missing == []


def test_every_row_has_a_test_of_its_own():
    shared = [test for test, count in Counter(named_tests()).items() if count > 1]
    assert shared == []
    assert all(len(TEST.findall(row[-1])) == 1 for row in rows())


def test_every_system_test_has_a_row():
    named = named_tests()
    of_this_page = Path(__file__).name
    missing = [
        found
        for found in existing_tests()
        if not found.startswith((of_this_page, "clients/"))
        and not any(names(test, found) for test in named)
    ]
    assert missing == []


def sources():
    files = (ROOT / "src").rglob("*")
    return "\n".join(
        f.read_text() for f in files if f.suffix in (".h", ".cc") and "_test" not in f.stem
    )


def metric_names(text):
    """What /metrics can show, as the source spells it."""
    counters = re.findall(r"^\s*X\((\w+), \"", text, re.MULTILINE)
    return set(re.findall(r'"(stayd_\w+)"', text)) | {f"stayd_{c}_total" for c in counters}


@pytest.mark.parametrize("page", ["failure_modes.md", "operating.md"])
def test_every_named_metric_exists(page):
    named = set(METRIC.findall((ROOT / "docs" / page).read_text()))
    assert named - metric_names(sources()) == set()


def test_every_named_log_event_exists():
    text = sources()
    events = {e for row in rows() if len(row) > 4 for e in re.findall(r"^`([a-z_]+)`$", row[-2])}
    events = {event for event in events if not event.startswith("stayd_")}
    assert events, "the tables name no log events"
    assert {event for event in events if f'"{event}"' not in text} == set()


def test_operating_lists_exactly_the_log_events():
    text = sources()
    emitted = set(re.findall(r"log_?\.(?:info|warning|error)\(\s*\"(\w+)\"", text))
    emitted |= set(re.findall(r"Severity::\w+,\s*(?:\.name = )?\"(\w+)\"", text))
    emitted |= set(re.findall(r'deletes \? "(\w+)" : "(\w+)"', text)[0])
    page = (ROOT / "docs/operating.md").read_text()
    section = page.split("## Log events", 1)[1].split("\n## ", 1)[0]
    listed = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert listed == emitted


# -- the outages' table, fault by fault ---------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_shows_as_its_row_says(fault, proxied, redis, folder):
    row = row_of(f"test_outages.py::test_users_notice_nothing[{fault.name}]")
    stayd, proxy = proxied
    world = World(redis, proxy, folder)
    users = Users(stayd)
    users.login(12)
    with row.shows(stayd):
        fault.put_in(world)
        users.go_on()
    fault.take_out(world)
