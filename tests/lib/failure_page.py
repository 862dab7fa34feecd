"""docs/failure_modes.md as data: its rows, and the promise that a row's metric and log event show.

At the end of each test of the page its row's counters must be above 0 and its log events logged
(tests/conftest.py). A test that wants to say when takes its row through the fixture `row`:

    with row.shows(stayd):
        redis.kill()
"""

import json
import re
from contextlib import contextmanager
from pathlib import Path

from .processes import wait_until
from .users import SLACK

PAGE = Path(__file__).resolve().parents[2] / "docs/failure_modes.md"
TEST = re.compile(r"`((?:clients/)?test_\w+\.py::test_\w+(?:\[[\w-]+\])?)`")


def rows():
    """The cells of every row of every table that names a test."""
    lines = PAGE.read_text().splitlines()
    tables = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in tables if TEST.search(row[-1])]


def row_of(test):
    """The row of "test_x.py::test_y[z]": its own, or that of all parameters; None without one."""
    named = {TEST.search(cells[-1])[1]: cells for cells in rows()}
    cells = named.get(test) or named.get(test.split("[")[0])
    return Row(cells) if cells else None


class Row:
    """A row of a table that ends in metric, log and test; in metric and test; or in neither."""

    def __init__(self, cells):
        metric, log = {6: (-3, -2), 7: (-3, -2), 5: (-2, None)}.get(len(cells), (None, None))
        self.metrics = re.findall(r"`(stayd_\w+)`", cells[metric]) if metric else []
        self.events = re.findall(r"`([a-z_]+)`", cells[log]) if log else []

    @contextmanager
    def shows(self, stayd):
        """What happens inside moves every metric of the row and logs every event of it."""
        before = {name: stayd.metric(name) if stayd.process.alive else 0 for name in self.metrics}
        lines = len(stayd.log_lines())
        yield
        for name in self.metrics:
            wait_until(lambda n=name: stayd.metric(n) != before[n], 5 * SLACK, f"{name} moves")
        for event in self.events:
            wait_until(lambda e=event: e in events(stayd, lines), 5 * SLACK, f"{event} is logged")

    def unseen(self, stayds):
        """Counters that are 0 in all of these, and events that none has logged."""
        running = [stayd for stayd in stayds if stayd.process.alive]
        counters = [name for name in self.metrics if name.endswith(("_total", "_epoch"))]
        zero = [name for name in counters if running and not any(s.metric(name) for s in running)]
        logged = set().union(*[events(stayd) for stayd in stayds])
        return zero + [event for event in self.events if event not in logged]


def events(stayd, first_line=0):
    """The names of the events in stayd's log from that line on."""
    lines = [line for line in stayd.log_lines()[first_line:] if line.startswith("{")]
    return {json.loads(line).get("event") for line in lines if line.endswith("}")}
