"""What the parts of `./dev bench` share: the load's process and its result, times of stayd's log
events, tables with bars."""

import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lib.processes import Process, wait_until  # noqa: E402
from lib.servers import RedisServer, StaydServer  # noqa: E402

SLICE_MS = 100
BYTES = 500


def session_load():
    path = ROOT / "build/release/bench/load/session_load"
    assert path.exists(), f"{path} is missing: run ./dev build"
    return path


class Load(Process):
    """bench/load's process. `started`: unix time of its first request."""

    def __init__(self, folder, port, seconds, sessions, rate=2000):
        self.out = Path(folder) / "load.json"
        self.out.unlink(missing_ok=True)
        argv = [session_load(), "--port", port, "--seconds", seconds, "--sessions", sessions]
        argv += ["--rate", rate, "--bytes", BYTES, "--slice-ms", SLICE_MS]
        super().__init__("session_load", argv, self.out)
        self.start()
        self.started = self._line(0)["started_ms"] / 1000 if seconds else None

    def _line(self, number):
        def complete():
            self.must_be_alive() if not self.out.exists() else None
            lines = self.log().split("\n")[:-1]
            return len(lines) > number and lines[number]

        return json.loads(wait_until(complete, 300, "the load says how it goes"))

    def wait_for(self, seconds):
        """Sleeps until so many seconds after its first request."""
        time.sleep(max(0.0, self.started + seconds - time.time()))

    def end(self):
        """No more requests; result() has what was asked until now."""
        self.signal(signal.SIGTERM)

    def result(self):
        assert self.child.wait(300) == 0, self.log_tail()
        return Result(self._line(1 if self.started else 0))


class Result:
    """Answers by the time at which their requests were due."""

    def __init__(self, answer):
        self.errors, self.wrong = answer["errors"], answer["wrong"]
        self.slices = answer["slices"]
        self.slice_s = answer["slice_ms"] / 1000

    def between(self, first_s, end_s):
        """The slices from `first_s` (rounded down) to `end_s` (rounded up) as one."""
        first, end = int(first_s / self.slice_s + 1e-6), -int(-end_s / self.slice_s + 1e-6)
        return Window(self.slices[first:end])


KINDS = ("read", "write", "logout")


class Window:
    """Some slices taken together; `kinds`: only these requests."""

    def __init__(self, slices, kinds=KINDS):
        self.slices = slices
        self.max_ms = max((s["max_us"] for s in slices), default=0) / 1000
        self._buckets = {}
        for piece in slices:
            for upper_us, count in (pair for kind in kinds for pair in piece["buckets"][kind]):
                self._buckets[upper_us] = self._buckets.get(upper_us, 0) + count
        self.count = sum(self._buckets.values())

    def only(self, kind):
        return Window(self.slices, (kind,))

    def percentile_ms(self, share):
        seen = 0
        for upper_us in sorted(self._buckets):
            seen += self._buckets[upper_us]
            if seen >= share * self.count:
                return min(upper_us / 1000, self.max_ms)
        return 0.0


def event_time(stayd, name, since, timeout=20):
    """Unix time of stayd's first log event of this name at or after `since`."""

    def found():
        for line in stayd.log_lines(f'"{name}"'):
            at = datetime.fromisoformat(json.loads(line)["ts"]).timestamp()
            if at >= since - 0.001:  # the log knows milliseconds
                return at
        return None

    return wait_until(found, timeout, f"stayd logs {name}")


def resident_mb(server):
    text = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", text)[1]) / 1024


class Servers:
    """redis-server and stayd in a folder of their own, until the end of the with block."""

    def __init__(self, folder, **options):
        folder.mkdir()
        self.redis = RedisServer(folder / "redis")
        self.stayd = StaydServer(folder / "stayd", self.redis.url, options)

    def __enter__(self):
        self.redis.start()
        self.stayd.start()
        self.stayd.wait_trusted()
        self.stayd.wait_adopted()
        return self.redis, self.stayd

    def __exit__(self, *exc):
        self.stayd.kill()
        self.redis.kill()


class Table:
    """One column of figures per run; printed as median, worst and bar."""

    def __init__(self, title):
        self.title, self.rows = title, {}

    def add(self, name, value, unit="", bar=None):
        self.rows.setdefault(name, (unit, bar, []))[2].append(value)

    def print(self):
        print(f"\n{self.title}\n  {'':44}{'median':>10}{'worst':>10}{'bar':>8}")
        for name, (unit, bar, values) in self.rows.items():
            median = statistics.median(values)
            verdict = "" if bar is None else "  met" if median <= bar else "  MISSED"
            label = f"{name}, {unit}" if unit else name
            limit = "" if bar is None else f"{bar:g}"
            print(f"  {label:44}{figure(median):>10}{figure(max(values)):>10}{limit:>8}{verdict}")
        sys.stdout.flush()


def figure(value):
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def heading():
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    return (
        f"{time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores ({cpu_model()}), "
        f"Linux {platform.release()}, load average {os.getloadavg()[0]:.1f}"
    )


def cpu_model():
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else platform.machine()
