"""A network of a test's own: only loopback, and packets can be dropped and refused in it.

    with OwnNetwork() as network:      servers and clients made in here live in it
        network.drop(f"tcp dport {port}")

Needs root. The thread that enters it is in it, and what it starts; everything else stays outside.
"""

import ctypes
import os
import re
import subprocess

from .processes import free_port

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


class OwnNetwork:
    def __enter__(self):
        free_port()  # takes this process' slice of ports outside, where others see that it is taken
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _checked(LIBC.unshare(CLONE_NEWNET), "unshare (needs root)")
        self._run("ip", "link", "set", "lo", "up")
        self._run("nft", "add", "table", "inet", "test")
        chain = "{ type filter hook input priority 0 ; }"
        self._run("nft", "add", "chain", "inet", "test", "input", chain)
        return self

    def __exit__(self, *exc):
        _checked(LIBC.setns(self._outside, CLONE_NEWNET), "setns")
        os.close(self._outside)

    def drop(self, what):
        """Packets that nft calls `what` vanish: "tcp dport 6379", "tcp sport 6379 tcp flags syn"."""
        self._rule("add", what, "drop")

    def reject(self, what, first=False):
        """Whoever sends such a packet is told that the connection is reset. `first`: before all other
        rules."""
        self._rule("insert" if first else "add", what, "reject with tcp reset")

    def undo_first(self):
        """Takes out the rule that is looked at first."""
        listing = self._run("nft", "-a", "list", "chain", "inet", "test", "input")
        handle = re.search(r"(?:drop|reject with tcp reset) # handle (\d+)", listing)[1]
        self._run("nft", "delete", "rule", "inet", "test", "input", "handle", handle)

    def heal(self):
        self._run("nft", "flush", "chain", "inet", "test", "input")

    def _rule(self, verb, what, verdict):
        rule = ["inet", "test", "input", *what.split(), *verdict.split()]
        self._run("nft", verb, "rule", *rule)

    @staticmethod
    def _run(*argv):
        run = subprocess.run(argv, check=True, capture_output=True, timeout=10, text=True)
        return run.stdout
