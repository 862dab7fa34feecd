"""Redis fails under load and comes back: errors, wrong answers, latencies, how soon it is noticed.

2,000 requests/s of real sessions on 50 connections; 5 s in, Redis is killed, frozen or cut off (its
packets are dropped in a network namespace of the bench's own); 12 s later it is back. `idle` cuts it
off while nobody asks anything.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import time

from common import KINDS, Load, Servers, Table, event_time

FAULTS = ["kill", "freeze", "blackhole", "idle"]
IN_OWN_NETWORK = "STAYD_BENCH_NETWORK"


def add_arguments(parser):
    parser.add_argument(
        "--faults", default=",".join(FAULTS), help="some of %(default)s", metavar="LIST"
    )
    parser.add_argument("--sessions", type=int, default=100_000, metavar="N")
    parser.add_argument("--rate", type=int, default=2000, metavar="N", help="requests per second")
    parser.add_argument("--before", type=float, default=5, metavar="S", help="until the fault")
    parser.add_argument("--seconds", type=float, default=12, metavar="S", help="of the fault")


def run(options, folder):
    for fault in options.faults.split(","):
        if fault not in FAULTS:
            raise SystemExit(f"no fault {fault}: there are {', '.join(FAULTS)}")
        table = Table(f"Redis: {fault}, {options.runs} runs")
        for number in range(options.runs):
            with Servers(folder / f"{fault}{number}") as (redis, stayd):
                if fault == "idle":
                    idle(redis, stayd, table, number)
                else:
                    under_load(fault, redis, stayd, table, options)
        table.print()


def under_load(fault, redis, stayd, table, options):
    put_in, take_out = {
        "kill": (redis.kill, redis.start),
        "freeze": (redis.freeze, redis.thaw),
        "blackhole": (lambda: drop(redis.port), pass_again),
    }[fault]
    end = options.before + options.seconds
    load = Load(stayd.folder, stayd.port, end + options.seconds / 2, options.sessions, options.rate)
    try:
        load.wait_for(options.before)
        since = time.time()
        put_in()
        load.wait_for(end)
        take_out()
        result = load.result()
    finally:
        load.kill()
    detected = event_time(stayd, "shard_out", since) - since
    failed_s = since - load.started
    outage = result.between(failed_s + 1, end)
    assert outage.count > 0, "nothing was asked during the outage"
    table.add("errors", sum(result.errors.values()), bar=0)
    table.add("wrong answers", sum(result.wrong.values()), bar=0)
    table.add("found out after", detected * 1000, "ms", bar=1000)
    table.add("slowest, from the fault on", result.between(failed_s, 1e6).max_ms, "ms", bar=150)
    table.add("p99 after the outage's first second", outage.percentile_ms(0.99), "ms", bar=2)
    for kind in KINDS:
        table.add(f"  of {kind}s alone", outage.only(kind).percentile_ms(0.99), "ms")
    table.add("p50 after the outage's first second", outage.percentile_ms(0.5), "ms")
    table.add("slowest after the first second", outage.max_ms, "ms")
    healthy = result.between(0, options.before)
    table.add("p99 before the fault", healthy.percentile_ms(0.99), "ms")
    table.add("slowest before the fault", healthy.max_ms, "ms")
    table.add("p99 after the healing", result.between(end, 1e6).percentile_ms(0.99), "ms")
    for text, count in [*result.errors.items(), *result.wrong.items()]:
        print(f"  {fault}: {count} x {text}", flush=True)


def idle(redis, stayd, table, number):
    time.sleep(1.5 + 0.17 * number)  # at another moment between two heartbeats each time
    since = time.time()
    drop(redis.port)
    table.add("found out after", (event_time(stayd, "shard_out", since) - since) * 1000, "ms", 1000)
    pass_again()


# -- a network of our own ----------------------------------------------------------------------------


def enter_own_network(options):
    """Starts this program anew in an empty network namespace, if a fault needs that."""
    needed = {"blackhole", "idle"} & set(options.faults.split(","))
    if not needed or os.environ.get(IN_OWN_NETWORK):
        return bring_loopback_up() if needed else None
    unshare = ["unshare", "--net"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    os.environ[IN_OWN_NETWORK] = "1"
    os.execvp("unshare", [*unshare, "--", sys.executable, *sys.argv])


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        siocsifflags, up_and_running = 0x8914, 0x41
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sH14x", b"lo", up_and_running))


def drop(port):
    """No packet to or from this port arrives any more; nobody is told."""
    rules = f"""
        table inet bench {{
            chain arriving {{
                type filter hook input priority 0
                tcp dport {port} drop
                tcp sport {port} drop
            }}
        }}
    """
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def pass_again():
    subprocess.run(["nft", "delete", "table", "inet", "bench"], check=True)
