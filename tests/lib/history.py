"""A history of what users did and saw, and the check that nobody was logged out or back in.

Record every operation with the times just before it was sent and just after its answer; a write whose
answer never came is recorded with `acked=False` (it may or may not have happened). Times are
time.monotonic(). Thread-safe.
"""

import threading
import time
from dataclasses import dataclass, field

INFINITY = float("inf")


@dataclass(frozen=True)
class Event:
    kind: str  # "write", "read", "logout"
    key: str
    value: object  # written or read; None read: absent
    start: float
    end: float  # INFINITY: never acknowledged


@dataclass
class History:
    events: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, key, value, start, acked=True):
        self._add("write", key, value, start, acked)

    def read(self, key, value, start):
        self._add("read", key, value, start, True)

    def logout(self, key, start, acked=True):
        self._add("logout", key, None, start, acked)

    def _add(self, kind, key, value, start, acked):
        event = Event(kind, key, value, start, time.monotonic() if acked else INFINITY)
        with self.lock:
            self.events.append(event)

    def violations(self, stale_is_wrong=True):
        """Sentences, one per broken promise; empty when all was well."""
        found = []
        by_key = {}
        for event in self.events:
            by_key.setdefault(event.key, []).append(event)
        for key, events in sorted(by_key.items()):
            found += _check_key(key, events, stale_is_wrong)
        return found


def _check_key(key, events, stale_is_wrong):
    writes = [e for e in events if e.kind == "write"]
    logouts = [e for e in events if e.kind == "logout"]
    found = []
    for read in (e for e in events if e.kind == "read"):
        if read.value is None:
            problem = _absent_problem(read, writes, logouts)
        else:
            problem = _present_problem(read, writes, logouts, stale_is_wrong)
        if problem:
            found.append(f"{key}: {problem}")
    return found


def _absent_problem(read, writes, logouts):
    """Absent is right if no write was acknowledged before, or a logout may be the last word."""
    before = [w for w in writes if w.end < read.start]
    if not before:
        return None
    newest = max(before, key=lambda w: w.start)
    if any(lo.start < read.end and lo.end > newest.start for lo in logouts):
        return None
    return f"FALSE LOGOUT: read at {read.start:.3f} found nothing, {newest.value!r} was acknowledged"


def _present_problem(read, writes, logouts, stale_is_wrong):
    """A value is right if it was written under this key and nothing acknowledged replaced it."""
    sources = [w for w in writes if w.value == read.value and w.start < read.end]
    if not sources:
        return f"FOREIGN VALUE: {read.value!r} was never written under this key"
    for source in sources:
        over = [e for e in logouts if e.start > source.end and e.end < read.start]
        if over:
            problem = f"RESURRECTION: {read.value!r} read at {read.start:.3f} after its logout"
            continue
        newer = [w for w in writes if w.start > source.end and w.end < read.start]
        if newer and stale_is_wrong:
            problem = f"STALE VALUE: {read.value!r} read after {newer[-1].value!r} was acknowledged"
            continue
        return None
    return problem
