"""A primary fails over under 500 writes/s: what clients notice, and how many acknowledged writes the new
primary lacks afterwards. Once with a client that finds the primary itself, once through stayd.

`--of sentinel`: the client waits a second for an answer, then asks the Sentinels again, as session
libraries do. `--of cluster`: ioredis' client of a Redis Cluster, with the same patience; one shard of
three fails. The primary is killed, frozen, asked to hand over, or cut off from Sentinels, other nodes and
replicas while clients still reach it.
"""

import contextlib
import os
import subprocess
import threading
import time

from common import ROOT, StaydServer, Table

from clients.apps import node_program
from lib import clusters, sentinels
from lib.own_network import OwnNetwork
from lib.processes import wait_until
from lib.resp import Client
from lib.servers import RedisServer

KINDS = ("killed", "frozen", "asked_for", "cut_off")
BEFORE_S, AFTER_S = 2, 3
PATIENCE_S = 1.0


def add_arguments(parser):
    parser.add_argument("--rate", type=int, default=500, metavar="N", help="writes per second")
    parser.add_argument(
        "--down-after", type=float, default=5, metavar="S",
        help="of the Sentinels, or node timeout of the Cluster, seconds",
    )  # fmt: skip
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help="%(default)s")
    parser.add_argument("--of", default="sentinel,cluster", metavar="A,B", help="%(default)s")


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


# -- what fails over: `servers` has a URL, `shard` a primary; `client()` is one that finds it itself ----------


class BySentinel:
    def __init__(self, folder, make_redis, down_after_ms):
        self.servers = self.shard = sentinels.SentinelSet(folder, make_redis, down_after_ms)
        self.faults = sentinels.FAULTS

    def client(self):
        """To what the first Sentinel names, as the user of stayd."""
        client = Client(self.servers.sentinels[0].primary_port(), timeout=PATIENCE_S)
        client.call("AUTH", "app", "secret")
        return client

    def end(self):
        self.servers.end()


class OfCluster:
    def __init__(self, folder, make_redis, down_after_ms):
        self.network = OwnNetwork().__enter__()
        self.servers = clusters.ClusterSet(
            folder, make_redis, node_timeout_ms=down_after_ms, network=self.network
        )
        self.shard, self.faults = self.servers.shards[0], clusters.FAULTS
        self.library = None

    def client(self):
        self.library = self.library or ClusterLibrary(self.servers.nodes[0].port)
        return self.library

    def end(self):
        if self.library:
            self.library.end()
        self.network.__exit__()


class ClusterLibrary:
    """ioredis' client of a Cluster. It is kept over errors, as an application keeps it."""

    def __init__(self, port):
        argv = ["setpriv", "--pdeathsig", "KILL", "--", node_program(), ROOT / "bench/cluster_writer.js"]
        argv += [port, int(PATIENCE_S * 1000)]
        modules = ROOT / "tests/clients/node/node_modules"
        self.child = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, env={**os.environ, "NODE_PATH": str(modules)},
        )  # fmt: skip

    def call(self, _, key, value):
        """Of a SET."""
        self.child.stdin.write(f"{key} {value}\n")
        return self.child.stdout.readline().rstrip("\n")

    def close(self):
        pass

    def end(self):
        self.child.kill()
        self.child.wait()


SETS = {"sentinel": BySentinel, "cluster": OfCluster}


def one(make_set, kind, folder, options, through_stayd):
    """(writer, how many of its acknowledged writes are lost)"""
    with contextlib.ExitStack() as ending:

        def start(server):
            ending.callback(server.kill)
            return server.start()

        def make_redis(**config):
            nonlocal count
            count += 1
            return start(RedisServer(folder / f"redis{count}", **config))

        count = 0
        world = make_set(folder, make_redis, int(options.down_after * 1000))
        ending.callback(world.end)
        connect = world.client
        if through_stayd:
            servers = world.servers
            stayd = start(StaydServer(folder / "stayd", servers.url, options=servers.options))
            stayd.wait_trusted()
            stayd.wait_adopted()
            connect = lambda: Client(stayd.port, timeout=PATIENCE_S)  # noqa: E731
        writer = Writer(connect, options.rate)
        port = fail_over(world, kind)
        writer.end()
        if through_stayd:
            stayd.wait_trusted()
        return writer, writer.lost(world.shard.holder_of_all(port))


def fail_over(world, kind):
    """Until all is as before; the new primary's port."""
    fault, old = world.faults[kind][0], world.shard.primary
    time.sleep(BEFORE_S)
    fault.put_in(world.shard)
    port = wait_until(world.shard.promoted_port, 60, "a replica is promoted")
    time.sleep(AFTER_S)
    fault.take_out(world.shard)
    wait_until(lambda: old.call("ROLE")[0] == b"slave", 60, "the old primary is a replica")
    time.sleep(AFTER_S)
    return port


def run(options, folder):
    for name in options.of.split(","):
        for kind in options.kinds.split(","):
            show(name, kind, options, folder)


def show(name, kind, options, folder):
    what = kind.replace("_", " ")
    table = Table(f"{name}: {what}, down-after {options.down_after:g} s, {options.rate} writes/s")
    for number in range(options.runs):
        for through_stayd in (False, True):
            place = folder / f"{name}-{kind}{number}{through_stayd}"
            place.mkdir()
            writer, lost = one(SETS[name], kind, place, options, through_stayd)
            who, bar = ("stayd", 0) if through_stayd else ("Redis alone", None)
            table.add(f"{who}: errors", writer.errors, bar=bar)
            table.add(f"{who}: acknowledged writes lost", lost, bar=bar)
            slowest = writer.slowest_s * 1000
            table.add(f"{who}: slowest answer", slowest, "ms", 150 if through_stayd else None)
    table.print()
