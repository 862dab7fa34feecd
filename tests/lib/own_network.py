"""A network of a test's own: only loopback, and packets can be dropped in it.

    with OwnNetwork() as network:      servers and clients made in here live in it
        network.drop(f"tcp dport {port}")

Needs root. The thread that enters it is in it, and what it starts; everything else stays outside.
"""

import ctypes
import os
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
        self._run("nft", "add", "rule", "inet", "test", "input", *what.split(), "drop")

    def heal(self):
        self._run("nft", "flush", "chain", "inet", "test", "input")

    @staticmethod
    def _run(*argv):
        subprocess.run(argv, check=True, capture_output=True, timeout=10)
