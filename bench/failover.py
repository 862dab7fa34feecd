"""Sentinel fails over under 500 writes/s: what clients notice, and how many acknowledged writes the new
primary lacks afterwards. Once a client that finds the primary by Sentinel itself, once through stayd.

The client waits a second for an answer, then asks the Sentinels again, as session libraries do. The
primary is killed, frozen, or cut off from Sentinels and replicas while clients still reach it.
"""

import threading
import time

from common import StaydServer, Table

from lib.processes import wait_until
from lib.resp import Client
from lib.sentinels import FAULTS, SentinelSet
from lib.servers import RedisServer

KINDS = ("killed", "frozen", "cut_off")
BEFORE_S, AFTER_S = 2, 3
PATIENCE_S = 1.0


def add_arguments(parser):
    parser.add_argument("--rate", type=int, default=500, metavar="N", help="writes per second")
    parser.add_argument(
        "--down-after", type=float, default=5, metavar="S", help="of the Sentinels, seconds"
    )
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help="%(default)s")


class Writer(threading.Thread):
    """SET w:N N at a steady rate; `connect()` makes a client."""

    def __init__(self, connect, rate):
        super().__init__(daemon=True)
        self.connect, self.pause_s = connect, 1 / rate
        self.acknowledged, self.errors, self.slowest_s = [], 0, 0.0
        self.ending = threading.Event()
        self.start()

    def run(self):
        client, number, due = None, 0, time.monotonic()
        while not self.ending.is_set():
            due += self.pause_s
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                client = client or self.connect()
                if client.call("SET", f"w:{number}", number) != "OK":
                    raise ConnectionError("refused")
                self.acknowledged.append(number)
                self.slowest_s = max(self.slowest_s, time.monotonic() - due)
            except OSError:
                self.errors += 1
                if client:
                    client.close()
                client = None
            number += 1

    def end(self):
        self.ending.set()
        self.join()

    def lost(self, server):
        """Acknowledged writes that `server` does not hold."""
        with server.client() as client:
            held = client.pipeline(*[["EXISTS", f"w:{n}"] for n in self.acknowledged], timeout=60)
        return held.count(0)


def to_named_primary(servers):
    """As a library connects: to what the first Sentinel names, as the user of stayd."""
    client = Client(servers.sentinels[0].primary_port(), timeout=PATIENCE_S)
    client.call("AUTH", "app", "secret")
    return client


def one(kind, folder, options, through_stayd):
    """(writer, server that the writes should be in)"""
    started = []

    def make_redis(**config):
        started.append(RedisServer(folder / f"redis{len(started)}", **config).start())
        return started[-1]

    servers = SentinelSet(folder, make_redis, int(options.down_after * 1000))
    fault, old = FAULTS[kind][0], servers.primary
    try:
        if through_stayd:
            stayd = StaydServer(folder / "stayd", servers.url, options=servers.options).start()
            started.append(stayd)
            stayd.wait_trusted()
            stayd.wait_adopted()
            writer = Writer(lambda: Client(stayd.port, timeout=PATIENCE_S), options.rate)
        else:
            writer = Writer(lambda: to_named_primary(servers), options.rate)
        time.sleep(BEFORE_S)
        fault.put_in(servers)
        port = wait_until(servers.promoted_port, 60, "a replica is promoted")
        time.sleep(AFTER_S)
        fault.take_out(servers)
        wait_until(lambda: old.call("ROLE")[0] == b"slave", 60, "the old primary is a replica")
        time.sleep(AFTER_S)
        writer.end()
        if through_stayd:
            stayd.wait_trusted()
        return writer, writer.lost(servers.redis_at(port))
    finally:
        servers.end()
        for server in reversed(started):
            server.kill()


def run(options, folder):
    for kind in options.kinds.split(","):
        table = Table(f"{kind.replace('_', ' ')}, down-after {options.down_after:g} s, {options.rate} writes/s")
        for number in range(options.runs):
            for through_stayd in (False, True):
                place = folder / f"{kind}{number}{through_stayd}"
                place.mkdir()
                writer, lost = one(kind, place, options, through_stayd)
                who, bar = ("stayd", 0) if through_stayd else ("Redis alone", None)
                table.add(f"{who}: errors", writer.errors, bar=bar)
                table.add(f"{who}: acknowledged writes lost", lost, bar=bar)
                slowest = writer.slowest_s * 1000
                table.add(f"{who}: slowest answer", slowest, "ms", 150 if through_stayd else None)
        table.print()
