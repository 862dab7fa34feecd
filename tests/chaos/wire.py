"""The way from stayd to Redis in a chaos run: packets that nftables drops or answers with a reset.

It has the faults of lib/faultproxy.py that need no proxy. stayd reaches a single Redis under an address of
its own, REDIS_HOST: whoever breaks things reaches it past the wire. Servers that know each other have
addresses of their own instead, and stayd's packets are those from 127.0.0.1.
"""

import subprocess
import time

REDIS_HOST = "127.0.0.2"
RESET_S = 0.6  # longer than the pause between two heartbeats: every connection has sent something


class Wire:
    """`network` is the OwnNetwork that the scenario lives in. `client`: stayd's address, if that is what
    tells its packets."""

    def __init__(self, network, port, client=None):
        self.network, self.port = network, port
        to_server = f"saddr {client}" if client else f"daddr {REDIS_HOST}"
        to_client = f"daddr {client}" if client else f"saddr {REDIS_HOST}"
        self.to_server = f"ip {to_server} tcp dport {port}"
        self.to_client = f"ip {to_client} tcp sport {port}"

    def blackhole(self, direction="both"):
        for name in ("to_server", "to_client"):
            if direction in ("both", name):
                self.network.drop(getattr(self, name))

    def lose(self, percent):
        for way in (self.to_server, self.to_client):
            self.network.drop(f"{way} numgen random mod 100 < {percent}")

    def drop_new(self):
        self.network.drop(f"{self.to_server} tcp flags & (syn | ack) == syn")

    def refuse(self):
        self.network.reject(f"{self.to_server} tcp flags & (syn | ack) == syn")

    def reset_all(self):
        """Every connection that sends something is reset; what was refused stays refused."""
        self.network.reject(f"{self.to_server} tcp flags & (syn | ack) == ack", first=True)
        time.sleep(RESET_S)
        self.network.undo_first()

    def half_open(self):
        """Redis' ends are gone, stayd's are not told, and its packets vanish."""
        self.network.reject(self.to_client)
        time.sleep(RESET_S)
        self.network.heal()
        self.blackhole()

    def heal(self):
        self.network.heal()
