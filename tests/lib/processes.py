"""Processes and ports of tests: every process dies with its test, and no port is handed out twice.

A process is started in a session of its own (so that signals of a terminal do not reach it) and under
`setpriv --pdeathsig KILL`: it ends even if the test runner is killed.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

# Below the kernel's ephemeral range (32768..), so that no outgoing connection takes a port first.
# Test processes that run at once draw from slices of their own: a slice belongs to who listens on
# its first port.
PORT_FIRST, PORT_SLICE, PORT_SLICES = 20000, 600, 20
_slice_owner = None
_next_port = None


def _own_slice():
    """The first port of this process' slice, kept until the process ends."""
    global _slice_owner
    if _slice_owner is None:
        for number in range(PORT_SLICES):
            owner = socket.socket()
            try:
                owner.bind(("127.0.0.1", PORT_FIRST + number * PORT_SLICE))
                owner.listen(1)
                _slice_owner = owner
                break
            except OSError:
                owner.close()
        else:
            raise RuntimeError("every slice of test ports is taken")
    return _slice_owner.getsockname()[1]


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(count=1):
    """The first of `count` (at most 100) successive ports on 127.0.0.1 that nothing listens on.

    Each call gives others, until the slice has been gone through.
    """
    global _next_port
    first, end = _own_slice() + 1, _own_slice() + PORT_SLICE
    for _ in range(PORT_SLICE):
        port = _next_port or first
        if port + count > end:
            port = first
        _next_port = port + count
        if all(_is_free(port + offset) for offset in range(count)):
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

    def sanitizer_report(self):
        """The lines of its log from a sanitizer's first one on, at most 60; empty if there is none."""
        lines = self.log().splitlines()
        for i, line in enumerate(lines):
            if "Sanitizer: " in line or ": runtime error: " in line:
                return lines[i : i + 60]
        return []
