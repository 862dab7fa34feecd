"""A history of what users did and saw, and the check that nobody was logged out or back in.

Record every operation with the times just before it was sent and just after its answer; a write whose
answer never came is recorded with `acked=False` (it may or may not have happened). Times are
time.monotonic(). Thread-safe.
"""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from .processes import wait_until
from .resp import Closed, ErrorReply

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

    def wait_progress(self, events):
        count = len(self.events)
        wait_until(lambda: len(self.events) > count + events, 20, "users make progress")

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


@contextmanager
def recorded_users(stayd, count):
    """So many users in parallel, while what is inside happens; gives their history. At the end all of it must
    have been right, and nothing an error."""
    history, errors, stop = History(), [], threading.Event()
    threads = [
        threading.Thread(target=_run_user, args=(stayd, f"u{n}", history, stop, errors))
        for n in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield history
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
    assert history.violations() == []
    assert errors == []


def _run_user(stayd, name, history, stop, redo_errors):
    """Logs in, reads, changes and logs out, over and over, until `stop`."""
    client = stayd.client(timeout=10)
    turn = 0
    while not stop.is_set():
        turn += 1
        key, value = f"sess:{name}-{turn}", f"{name}-{turn}"
        for step in range(6):
            start = time.monotonic()
            try:
                if step in (0, 2):
                    value += "+"
                    acked = client.call("SET", key, value, "EX", 1000) == "OK"
                    history.write(key, value.encode(), start, acked)
                elif step == 4:
                    acked = client.call("DEL", key) in (0, 1)
                    history.logout(key, start, acked)
                else:
                    seen = client.call("GET", key)
                    if isinstance(seen, ErrorReply):
                        redo_errors.append(f"GET {key} -> {seen}")
                    else:
                        history.read(key, seen, start)
            except (Closed, OSError) as error:
                redo_errors.append(f"{key} step {step}: {error}")
                client = stayd.client(timeout=10)
