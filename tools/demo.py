"""`./dev demo`: one Express application on stayd beside the same one on Redis, through three outages.

Two redis-servers, so that neither side helps the other; both suffer the same faults at the same
moments. Simulated users log in and click on both for 30 seconds. At the end: a table.
"""

import http.client
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from clients.apps import App  # noqa: E402
from lib.servers import RedisServer, StaydServer  # noqa: E402

USERS = 20  # on each side
CLICK_S = 0.2
PAGE_TIMEOUT_S = 5
# Seconds from the start, what happens to both Redis servers, and how it is told.
SCRIPT = [
    (0, None, "all is well"),
    (5, RedisServer.kill, "Redis is killed"),
    (12, RedisServer.restart_empty, "Redis is back, empty"),
    (18, RedisServer.freeze, "Redis is frozen (SIGSTOP)"),
    (25, RedisServer.thaw, "Redis thaws"),
    (30, None, "end"),
]


class Side:
    """One application with its Redis, its users, and what they lived through."""

    def __init__(self, name, folder, with_stayd):
        self.name = name
        self.redis = RedisServer(folder / f"redis-{name}").start()
        self.stayd = None
        if with_stayd:
            self.stayd = StaydServer(folder / "stayd", self.redis.url).start()
            self.stayd.wait_trusted()
        port = self.stayd.port if self.stayd else self.redis.port
        self.app = App("express-node-redis", port, folder / f"redis-{name}").start()
        self.lock = threading.Lock()
        self.served = self.failed = self.logged_out = 0
        self.slowest = 0.0

    def user(self, number, stop):
        """Logs in and clicks until `stop`; logs in again when found logged out."""
        browser = self.app.browser(timeout=PAGE_TIMEOUT_S)
        name, logged_in = f"user-{number}", False
        while not stop.is_set():
            start = time.monotonic()
            page = self._page(browser, name, logged_in)
            took = time.monotonic() - start
            with self.lock:
                self.slowest = max(self.slowest, took)
                if page is None:
                    self.failed += 1
                else:
                    self.served += 1
                    if logged_in and page["user"] != name:
                        self.logged_out += 1
                        logged_in = False
                    else:
                        logged_in = True
            stop.wait(CLICK_S)

    def _page(self, browser, name, logged_in):
        """The page's JSON, or None if there was none in time."""
        try:
            return browser.read() if logged_in else browser.login(name)
        except (AssertionError, OSError, http.client.HTTPException, json.JSONDecodeError):
            return None

    def close(self):
        self.app.kill()
        if self.stayd:
            self.stayd.kill()
        self.redis.kill()


def play(sides):
    stop = threading.Event()
    threads = [
        threading.Thread(target=side.user, args=(number, stop), daemon=True)
        for side in sides
        for number in range(USERS)
    ]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    for second, act, text in SCRIPT:
        time.sleep(max(0, start + second - time.monotonic()))
        if act:
            for side in sides:
                act(side.redis)
        show(second, text, sides)
    stop.set()
    for thread in threads:
        thread.join(PAGE_TIMEOUT_S + 1)


def show(second, text, sides):
    counts = "   ".join(
        f"{side.name}: {side.served} served, {side.failed} failed, {side.logged_out} logged out"
        for side in sides
    )
    print(f"{second:3} s  {text:27} {counts}", flush=True)


def table(sides):
    rows = [
        ("pages served", [str(side.served) for side in sides]),
        ("pages failed", [str(side.failed) for side in sides]),
        ("slowest page", [f"{side.slowest * 1000:.0f} ms" for side in sides]),
        ("users logged out", [str(side.logged_out) for side in sides]),
    ]
    print(f"\n{'':20}" + "".join(f"{side.name:>18}" for side in sides))
    for title, values in rows:
        print(f"{title:20}" + "".join(f"{value:>18}" for value in values))


def main():
    with tempfile.TemporaryDirectory(prefix="stayd-demo-") as folder:
        print(f"{USERS} users on each side, a click every {CLICK_S} s, 30 s; starting", flush=True)
        sides = []
        try:
            sides.append(Side("on stayd", Path(folder), with_stayd=True))
            sides.append(Side("on Redis directly", Path(folder), with_stayd=False))
            play(sides)
            table(sides)
        finally:
            for side in sides:
                side.close()
    return 1 if sides[0].failed or sides[0].logged_out else 0


if __name__ == "__main__":
    sys.exit(main())
