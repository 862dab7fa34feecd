"""Processes and ports of tests: every process dies with its test, and no port is handed out twice.

A process is started in a session of its own (so that signals of a terminal do not reach it) and under
`setpriv --pdeathsig KILL`: it ends even if the test runner is killed.
"""

import itertools
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

# Below the kernel's ephemeral range (32768..), so that no outgoing connection takes a port first.
PORT_FIRST, PORT_SPAN = 20000, 12000
_offset = itertools.count(os.getpid() * 37)


def free_port():
    """A port on 127.0.0.1 that nothing listens on; each call gives another one."""
    for _ in range(PORT_SPAN):
        port = PORT_FIRST + next(_offset) % PORT_SPAN
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def wait_until(condition, timeout, what):
    """Polls `condition` until it is truthy and returns its value; AssertionError names `what`."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = repr(value)
        except (OSError, ConnectionError, TimeoutError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s still not: {what} (last: {last})")
        time.sleep(0.02)


class Process:
    """One child process with its log file. Safe to stop or kill twice."""

    def __init__(self, name, argv, log_path, env=None, cwd=None):
        self.name, self.argv, self.log_path = name, [str(a) for a in argv], Path(log_path)
        self.env, self.cwd = env, cwd
        self.child = None

    @property
    def pid(self):
        return self.child.pid

    @property
    def alive(self):
        return self.child is not None and self.child.poll() is None

    def start(self):
        assert not self.alive, f"{self.name} is already running"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(self.env or {})},
                cwd=self.cwd,
            )
        return self

    def signal(self, number):
        if self.alive:
            self.child.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL, with everything it started; returns when it is gone."""
        if self.child is not None:
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()

    def stop(self, timeout=10):
        """SIGTERM and wait; returns the exit code. AssertionError if it does not end."""
        if self.child is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM") from None

    def must_be_alive(self):
        if not self.alive:
            raise AssertionError(
                f"{self.name} ended with code {self.child.returncode}; its log:\n{self.log_tail()}"
            )
        return True

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])
