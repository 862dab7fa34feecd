"""How a test sees a Redis Cluster: the slot of a key, what CLUSTER NODES says, and a client that sends
each command to the primary of its first key."""

import binascii
from dataclasses import dataclass

from .processes import wait_until
from .resp import Closed, ErrorReply

SLOTS = 16384


def slot_of(key):
    """As Redis: of what stands between the first { and the next }, if that is something."""
    key = key if isinstance(key, bytes) else str(key).encode()
    _, brace, rest = key.partition(b"{")
    tag, end, _ = rest.partition(b"}")
    return binascii.crc_hqx(tag if brace and end and tag else key, 0) % SLOTS


@dataclass(frozen=True)
class Entry:
    """One line of CLUSTER NODES."""

    id: str
    port: int
    flags: tuple
    primary_id: str  # "-" of a primary
    slots: frozenset

    @property
    def serves(self):
        return "master" in self.flags and bool(self.slots)


def entries_of(text):
    return [entry_of(line) for line in text.decode().splitlines()]


def entry_of(line):
    id, address, flags, primary_id, _, _, _, _, *ranges = line.split()
    slots = set()
    for piece in ranges:
        if not piece.startswith("["):  # those on their way
            first, _, last = piece.partition("-")
            slots.update(range(int(first), int(last or first) + 1))
    port = int(address.split("@")[0].rsplit(":", 1)[1])
    return Entry(id, port, tuple(flags.split(",")), primary_id, frozenset(slots))


class ClusterClient:
    """On the plain ports of a ClusterSet's nodes. Follows redirections; other errors are values."""

    def __init__(self, cluster, **options):
        self.cluster, self.options, self.clients = cluster, options, {}
        self.primaries = {}  # slot -> node

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}

    def call(self, *args):
        slot = slot_of(args[1])
        for _ in range(5):
            node = self._primary_of(slot)
            try:
                reply = self._to(node).call(*args)
            except (Closed, OSError):
                self.close()
                self.primaries = {}
                raise
            if not isinstance(reply, ErrorReply) or not reply.startswith(("MOVED ", "ASK ")):
                return reply
            node = self.cluster.redis_named(reply.rsplit(" ", 1)[1])
            if reply.startswith("ASK "):
                return self._to(node).pipeline(["ASKING"], [*args])[1]
            self.primaries[slot] = node
        return reply

    def pipeline(self, *commands, timeout=None):
        """One after the other; the replies in order."""
        return [self.call(*command) for command in commands]

    def _primary_of(self, slot):
        if slot not in self.primaries:
            self.primaries = wait_until(self.cluster.primaries, 5, "a node knows the slots")
        return self.primaries[slot]

    def _to(self, node):
        if node not in self.clients:
            self.clients[node] = node.client(**self.options)
        return self.clients[node]
