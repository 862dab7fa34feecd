"""Users of an application behind stayd, on the raw protocol: they log in, click, change, log out.

`Users` remembers what each session must hold and says in words what was wrong with an answer. Keys are
"sess:N" strings as connect-redis writes them.
"""

import os
import threading
import time

from .processes import wait_until
from .resp import Closed, ErrorReply

# Sanitizer builds and busy machines answer later; the figures in the tests are for a release build.
SLACK = float(os.environ.get("TESTS_SLACK", "1"))
# For answers while Redis is silent: its deadline is 50 to 100 ms, the rest is for a busy machine's disk.
# How long they take is measured by ./dev bench.
SILENT_LIMIT_S = 0.3
LIFETIME_S = 3600


class Users:
    def __init__(self, stayd, prefix="sess:"):
        self.stayd, self.prefix = stayd, prefix
        self.client = stayd.client()
        self.live = {}  # key -> value
        self.dead = set()
        self.slowest = 0.0
        self.count = 0

    def call(self, *args):
        start = time.monotonic()
        try:
            return self.client.call(*args)
        finally:
            took = time.monotonic() - start
            if took > self.slowest:
                self.slowest, self.slowest_command = took, " ".join(map(str, args[:2]))

    def _expect(self, expected, *args):
        text = " ".join(map(str, args))
        try:
            reply = self.call(*args)
        except (Closed, OSError) as error:
            problem = f"{type(error).__name__} {error}".strip()
            raise AssertionError(f"no answer: {text} -> {problem}") from None
        if reply != expected:
            kind = "an error" if isinstance(reply, ErrorReply) else "a wrong answer"
            raise AssertionError(f"{kind}: {text} -> {reply!r}, expected {expected!r}")

    # -- what users do -----------------------------------------------------------------------------

    def login(self, count=1):
        """New sessions; returns the last key."""
        for _ in range(count):
            self.count += 1
            key, value = f"{self.prefix}{self.count}", f"user-{self.count}".encode()
            self._expect("OK", "SET", key, value, "EX", LIFETIME_S)
            self.live[key] = value
        return key

    def update(self, key):
        value = self.live[key] + b"+"
        self._expect("OK", "SET", key, value, "EX", LIFETIME_S)
        self.live[key] = value

    def touch(self, key):
        self._expect(1, "EXPIRE", key, LIFETIME_S)

    def logout(self, key):
        self._expect(1, "DEL", key)
        self.forget(key)

    def forget(self, key):
        """From now on `key` must be absent."""
        del self.live[key]
        self.dead.add(key)

    def read_all(self):
        """Everybody who is logged in is, everybody who is not is not."""
        for key, value in self.live.items():
            self._expect(value, "GET", key)
        for key in self.dead:
            self._expect(None, "GET", key)

    def go_on(self, limit_s=1.0):
        """A bit of everything. No answer may take longer than `limit_s`."""
        self.slowest = 0.0
        self.read_all()
        keys = list(self.live)
        self.update(keys[0])
        self.touch(keys[1])
        self.logout(keys[-1])
        self.login()
        self.read_all()
        limit_s *= SLACK
        assert self.slowest <= limit_s, (
            f"{self.slowest_command} took {self.slowest * 1000:.0f} ms, "
            f"at most {limit_s * 1000:.0f} ms are allowed"
        )

    # -- what must be true of Redis afterwards --------------------------------------------------------

    def problems_in(self, redis):
        """What Redis itself holds that it should not, and the other way round."""
        with redis.client() as direct:
            problems = []
            for key, value in self.live.items():
                found, ttl = direct.pipeline(["GET", key], ["TTL", key])
                if found != value:
                    problems.append(f"{key} holds {found!r} instead of {value!r}")
                elif not 0 < ttl <= LIFETIME_S:
                    problems.append(f"{key} expires in {ttl} s")
            for key in self.dead:
                if (found := direct.call("GET", key)) is not None:
                    problems.append(f"{key} was logged out and holds {found!r}")
            return problems

    def wait_in_redis(self, redis, timeout=5):
        """Redis holds exactly what it must, within `timeout` seconds."""
        problems = ["not looked yet"]

        def clean():
            problems[:] = self.problems_in(redis)
            return not problems

        try:
            wait_until(clean, timeout * SLACK, "Redis holds every session and no other")
        except AssertionError:
            shown = "\n  ".join(problems[:10])
            raise AssertionError(
                f"{timeout} s after its return, Redis is wrong about {len(problems)} sessions:\n"
                f"  {shown}"
            ) from None


class BusyUsers(threading.Thread):
    """Users who go on all the time; end() raises what went wrong for them."""

    def __init__(self, users, limit_s):
        super().__init__(daemon=True)
        self.users, self.limit_s = users, limit_s
        self.rounds, self.slowest, self.problem = 0, 0.0, None
        self.ending = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.users.go_on(self.limit_s)
                self.rounds += 1
                self.slowest = max(self.slowest, self.users.slowest)
        except AssertionError as problem:
            self.problem = problem

    def end(self):
        self.ending.set()
        self.join()
        if self.problem:
            raise self.problem
