"""Browsers on real session libraries, a process of its own: each page is recorded as what it did to one
session.

    pages.py --seed N --history FILE --app NAME=PORT ...

Ends at SIGTERM. A session is a key of the history, its state ("anna 7") a string: a login is a SET, a page
a GET, a logout a DEL. A session id that was given up by a login or a regeneration must stay dead.
"""

import argparse
import itertools
import signal
import sys
import threading
from pathlib import Path
from random import Random
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.record import Recorder, now_us  # noqa: E402
from clients.apps import Browser  # noqa: E402

BROWSERS = 4  # of each application
PAUSE_S = 0.6  # between two pages of a browser, on average
PATIENCE_S = 20


class User:
    """One browser that logs in, clicks and logs out, again and again."""

    def __init__(self, app, number, seed, recorder):
        self.app, self.number, self.recorder = app, number, recorder
        self.random = Random(f"{seed}/{app.name}/{number}")
        self.logins = itertools.count()
        # PHP and Django take an error for "no session": the page sets a new cookie, which is not the old one.
        self.keeps_its_session = not app.name.startswith(("php", "django"))

    def live(self, stopping):
        while not stopping.is_set():
            self.browser = Browser(self.app, PATIENCE_S)
            self.name = f"{self.app.name}/{self.number}/{next(self.logins)}"
            self.generation, self.dead = 0, []
            clicks = self.random.choices(self.CLICKS, self.WEIGHTS, k=12)
            for step in (User.login, *clicks, User.logout, User.look_at_dead):
                if stopping.wait(self.random.uniform(0.3, 1.7) * PAUSE_S):
                    return
                if not step(self):
                    break  # this session is over for us

    @property
    def key(self):
        return f"{self.name}/{self.generation}"

    # -- pages: false when the session is over -------------------------------------------------------------

    def login(self):
        shown, ask_us, problem = self.visit("login", self.name)
        self.record(["SET", self.key, state(shown)], ask_us, problem, "+OK")
        return not problem

    def read(self):
        return self.look("read")

    def touch(self):
        return self.look("touch")

    def look(self, page):
        shown, ask_us, problem = self.visit(page)
        self.record(["GET", self.key], ask_us, problem, quoted(shown))
        return self.keeps_its_session if problem else shown["user"]

    def update(self):
        value = str(self.random.randrange(1_000_000))
        shown, ask_us, problem = self.visit("update", value)
        if not problem and not shown["user"]:
            return self.record(["GET", self.key], ask_us, "", "nil")
        new = {"user": self.name, "v": value}
        self.record(["SET", self.key, state(new)], ask_us, problem, "+OK")
        return not problem or self.keeps_its_session

    def regenerate(self):
        cookies = dict(self.browser.cookies)
        shown, ask_us, problem = self.visit("regenerate")
        if not problem:
            self.record(["GET", self.key], ask_us, "", quoted(shown))
        if problem or shown["user"]:
            self.record(["DEL", self.key], ask_us, problem, None)
        if problem or not shown["user"]:
            return False
        self.dead.append((self.key, cookies))
        self.generation += 1
        self.record(["SET", self.key, state(shown)], ask_us, "", "+OK")
        return True

    def logout(self):
        self.dead.append((self.key, dict(self.browser.cookies)))
        _, ask_us, problem = self.visit("logout")
        self.record(["DEL", self.key], ask_us, problem, None)
        return not problem

    def look_at_dead(self):
        for key, cookies in self.dead:
            browser = self.browser.with_cookies(cookies)
            shown, ask_us, problem = self.visit("read", browser=browser)
            self.record(["GET", key], ask_us, problem, quoted(shown))
        return True

    CLICKS = (read, touch, update, regenerate, look_at_dead)
    WEIGHTS = (55, 15, 15, 10, 5)

    # ------------------------------------------------------------------------------------------------------

    def visit(self, page, *args, browser=None):
        """(what it shows, when it was asked for, what went wrong)"""
        ask_us = now_us()
        try:
            return getattr(browser or self.browser, page)(*args), ask_us, ""
        except (AssertionError, OSError, ValueError) as error:
            return None, ask_us, f"{page}: {error or type(error).__name__}"

    def record(self, command, ask_us, problem, reply):
        """`reply` None: what it answered does not matter."""
        where = (command[1], self.number, [command], ask_us)
        if problem:
            outcome = self.recorder.refused if command[0] == "GET" else self.recorder.doubt
            outcome(*where, problem)
        elif reply is None:
            self.recorder.done(*where)
        else:
            self.recorder.told(*where, reply)


def state(shown):
    return f"{shown['user']} {shown['v']}" if shown else "unknown"


def quoted(shown):
    return f'"{state(shown)}"' if shown and shown["user"] else "nil"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", required=True)
    parser.add_argument("--history", required=True)
    parser.add_argument("--app", action="append", required=True)
    options = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    recorder = Recorder(options.history)
    threads = []
    for app in options.app:
        name, port = app.split("=")
        for number in range(BROWSERS):
            user = User(SimpleNamespace(name=name, port=int(port)), number, options.seed, recorder)
            threads.append(threading.Thread(target=user.live, args=(stopping,)))
            threads[-1].start()
    while any(thread.is_alive() for thread in threads):
        stopping.wait(0.2)
        for thread in threads:
            thread.join(0.05)
    recorder.close()


if __name__ == "__main__":
    main()
