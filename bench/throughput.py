"""Operations per second: stayd beside Redis itself, nutcracker and haproxy, in the same minutes.

redis-benchmark with 50 connections and 512-byte values over 100,000 keys, pipeline depth 1 and 16,
GET and SET. The targets are measured in turns (round robin), so that a noisy minute hits all of them;
each figure is the median of the runs. CPU time per command is read from /proc before and after each
run. At the end one client alone measures latency.

`--targets redis-tls,stayd-tls`: the same with TLS, in front of stayd and behind it.
`--targets cluster,stayd-cluster`: a Redis Cluster of three primaries, asked by `redis-benchmark
--cluster`, and one behind stayd.
"""

import os
import re
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import RedisServer, StaydServer

from lib.certificates import Authority
from lib.cluster_client import slot_of
from lib.clusters import ClusterSet
from lib.processes import Process, free_port, wait_until
from lib.resp import Client, encode

TICKS = os.sysconf("SC_CLK_TCK")
KEYS = 100_000
CASES = [("GET", 1), ("SET", 1), ("GET", 16), ("SET", 16)]
LATENCY_KEY = "key:000000000001"


class Target:
    """What redis-benchmark talks to, and the processes whose CPU time it costs: {name: [pid]}."""

    def __init__(self, name, port, pids, authority=None, flags=()):
        self.name, self.port, self.pids, self.authority = name, port, pids, authority
        self.flags = flags  # of redis-benchmark
        self.samples = {}  # (case) -> [(operations/s, {process: us/operation})]

    def client(self, timeout=5):
        if not self.authority:
            return Client(self.port, timeout=timeout)
        return Client(self.port, timeout=timeout, tls=ssl.create_default_context(
            cafile=self.authority.ca_file))

    def cpu_seconds(self):
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self.pids.items()}


def cpu_seconds(pid):
    """User and system time of a process with all its threads and children."""
    total = 0
    for child in [pid, *descendants(pid)]:
        fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [c for child in map(int, children) for c in (child, *descendants(child))]


# -- the targets -------------------------------------------------------------------------------------


def nutcracker(folder, redis):
    port = free_port()
    config = folder / "nutcracker.yml"
    config.write_text(
        f"bench:\n  listen: 127.0.0.1:{port}\n  redis: true\n  server_connections: 1\n"
        f"  servers:\n   - 127.0.0.1:{redis.port}:1\n"
    )
    argv = ["nutcracker", "-c", config, "-s", free_port(), "-a", "127.0.0.1", "-v", "0"]
    return port, Process("nutcracker", argv, folder / "nutcracker.log").start()


def haproxy(folder, redis):
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n  nbthread 1\n"
        "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1m\n  timeout server 1m\n"
        f"listen bench\n  bind 127.0.0.1:{port}\n  server redis 127.0.0.1:{redis.port}\n"
    )
    argv = ["haproxy", "-db", "-f", config]
    return port, Process("haproxy", argv, folder / "haproxy.log").start()


def start_targets(folder, wanted, started):
    """Each target has a Redis of its own; `started` gets what is to be killed."""
    for name in wanted:
        start = start_cluster if name.endswith("cluster") else start_single
        target = start(folder, name, started)
        wait_until(lambda target=target: answers(target), 10, f"{name} answers")
        yield target


def start_single(folder, name, started):
    authority = Authority(folder / f"authority-{name}") if name.endswith("-tls") else None
    redis = RedisServer(folder / f"redis-{name}", **redis_tls(authority)).start()
    started.append(redis)
    if name.startswith("redis"):
        return Target(name, redis.named_port, {"redis": [redis.pid]}, authority)
    if name.startswith("stayd"):
        port, proxy = stayd(folder / name, redis, authority)
    else:
        port, proxy = {"nutcracker": nutcracker, "haproxy": haproxy}[name](folder, redis)
    started.append(proxy)
    return Target(name, port, {name: [proxy.pid], "redis": [redis.pid]}, authority)


def start_cluster(folder, name, started):
    def make_redis(**config):
        started.append(RedisServer(folder / f"{name}{len(started)}", **config))
        return started[-1].start()

    cluster = ClusterSet(folder, make_redis, replicas=0)
    pids = {"redis": [node.pid for node in cluster.nodes]}
    if name == "cluster":
        port = cluster.primary_of(slot_of(LATENCY_KEY)).port
        return Target(name, port, pids, flags=["--cluster"])
    server = StaydServer(folder / name, cluster.url).start()
    started.append(server)
    server.wait_trusted()
    return Target(name, server.port, {name: [server.pid], **pids})


def redis_tls(authority):
    if not authority:
        return {}
    cert, key = authority.issue("redis")
    return {
        "tls-port": free_port(), "tls-cert-file": cert, "tls-key-file": key,
        "tls-ca-cert-file": authority.ca_file, "tls-auth-clients": "no",
    }


def stayd(folder, redis, authority):
    options, port, url = {}, None, redis.url
    if authority:
        cert, key = authority.issue("stayd")
        port, url = free_port(), f"rediss://127.0.0.1:{redis.config['tls-port']}/0"
        options = {
            "listen.tls": f"127.0.0.1:{port}", "listen.tls_cert_file": cert,
            "listen.tls_key_file": key, "redis.tls_ca_file": authority.ca_file,
        }
    server = StaydServer(folder, url, options=options).start()
    server.wait_trusted()
    return port or server.port, server


def answers(target):
    with target.client(timeout=1) as client:
        return client.call("GET", LATENCY_KEY) is None


# -- measuring ---------------------------------------------------------------------------------------


def throughput(target, command, depth, requests):
    """Operations per second and CPU microseconds per operation of each process."""
    argv = ["redis-benchmark", "-p", target.port, "-c", 50, "-d", 512, "-r", KEYS, "-P", depth]
    argv += ["-n", requests, "-t", command.lower(), "--csv", *target.flags]
    if target.authority:
        argv += ["--tls", "--cacert", target.authority.ca_file]
    before = target.cpu_seconds()
    run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=300)
    after = target.cpu_seconds()
    match = re.search(rf'"{command}","([\d.]+)"', run.stdout)
    if not match:
        sys.exit(f"redis-benchmark on {target.name} failed: {run.stdout}{run.stderr}")
    cpu = {name: (after[name] - before[name]) / requests * 1e6 for name in before}
    return float(match[1]), cpu


def latency(target, count):
    """Round trips of one client, one command at a time: median, p99 and worst in microseconds."""
    times = []
    with target.client() as client:
        client.call("SET", LATENCY_KEY, "x" * 512)
        request = encode("GET", LATENCY_KEY)
        for _ in range(count):
            start = time.perf_counter_ns()
            client.raw(request)
            client.read()
            times.append(time.perf_counter_ns() - start)
    times.sort()
    return [times[int(len(times) * share)] / 1000 for share in (0.5, 0.99, 0.9999)]


def measure(targets, options):
    for target in targets:
        throughput(target, "SET", 16, 5 * KEYS)  # fills it, so that a GET finds its key; not counted
    for round_number in range(options.runs):
        for command, depth in CASES:
            requests = options.requests * (4 if depth > 1 else 1)
            for target in targets:
                sample = throughput(target, command, depth, requests)
                target.samples.setdefault((command, depth), []).append(sample)
                print(
                    f"run {round_number + 1}/{options.runs}  {command} depth {depth:2}  "
                    f"{target.name:13} {sample[0]:10.0f}/s",
                    flush=True,
                )


def report(targets, options):
    for case in CASES:
        print(f"\n{case[0]}, 50 connections, 512 bytes, depth {case[1]}")
        print(f"  {'':12}{'operations/s':>14}{'of direct':>11}   CPU us/operation")
        direct = statistics.median(rate for rate, _ in targets[0].samples[case])
        for target in targets:
            samples = target.samples[case]
            rate = statistics.median(rate for rate, _ in samples)
            cpu = "  ".join(
                f"{name} {statistics.median(costs[name] for _, costs in samples):.2f}"
                for name in target.pids
            )
            print(f"  {target.name:14}{rate:12,.0f}{rate / direct:11.2f}   {cpu}")
    print("\nlatency of one client, one GET at a time, microseconds")
    print(f"  {'':12}{'median':>10}{'p99':>10}{'p99.99':>10}")
    for target in targets:
        figures = latency(target, options.latency_count)
        print(f"  {target.name:12}" + "".join(f"{figure:10.0f}" for figure in figures))


def add_arguments(parser):
    parser.add_argument("--requests", type=int, default=60_000, metavar="N", help="at depth 1")
    parser.add_argument("--latency-count", type=int, default=20_000, metavar="N")
    parser.add_argument(
        "--targets", default="redis,stayd,nutcracker,haproxy", metavar="LIST", help="first: direct"
    )


def run(options, folder):
    started = []
    try:
        targets = list(start_targets(folder, options.targets.split(","), started))
        measure(targets, options)
        report(targets, options)
    finally:
        for server in started:
            server.kill()
