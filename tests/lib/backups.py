"""stayd with a shared backup: what its tests ask of it."""

import time

from .processes import wait_until


def wait_shipped(stayd, timeout=20):
    """The backup has every row of the ledger, but for expiry that was put off."""

    def shipped():
        state = stayd.status()["backup"]
        return state["writable"] and state["unshipped"] == state["put_off"]

    wait_until(shipped, timeout, "the backup has every row")


class Shop:
    """Sessions of one client: what it wrote, what it ended, how long each command took.

    A command that is answered with an error, or with what was not written, is an AssertionError.
    """

    def __init__(self, stayd):
        self.client = stayd.client()
        self.live, self.ended, self.number = {}, set(), 0
        self.times = {"login": [], "read": [], "write": [], "logout": []}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.close()

    def timed(self, kind, *command):
        begun = time.monotonic()
        reply = self.client.call(*command)
        self.times[kind].append(time.monotonic() - begun)
        return reply

    def visit(self):
        """A login, two requests that read and write it, and the logout of every third."""
        self.number += 1
        key, value = f"sess:{self.number}", f"value {self.number}"
        assert self.timed("login", "SET", key, value, "EX", 3600) == "OK"
        assert self.timed("read", "GET", key) == value.encode()
        assert self.timed("write", "SET", key, value + " changed", "EX", 3600) == "OK"
        self.live[key] = value + " changed"
        if self.number % 3 == 0:
            assert self.timed("logout", "DEL", key) == 1
            self.ended.add(key)
            del self.live[key]
            assert self.timed("read", "GET", key) is None

    def visits(self, seconds, pause=0.01):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.visit()
            time.sleep(pause)

    def slowest(self, kind):
        """In seconds, since it was asked last."""
        times, self.times[kind] = self.times[kind], []
        return max(times, default=0.0)

    def figures(self):
        """For people: how long commands of each kind took, in milliseconds."""
        out = []
        for kind, times in self.times.items():
            times = sorted(times)
            if times:
                out.append(f"{kind} p50 {times[len(times) // 2] * 1000:.1f} max {times[-1] * 1000:.0f}")
        return ", ".join(out)

    def check(self, server):
        """That server, a stayd or a Redis, has what was written last, and nothing that was ended."""
        with server.client() as client:
            for key, value in self.live.items():
                assert client.call("GET", key) == value.encode(), key
            for key in self.ended:
                assert client.call("GET", key) is None, key
