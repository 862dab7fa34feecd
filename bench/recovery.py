"""Redis comes back empty: how long until it holds every session and is trusted, and what clients
notice meanwhile. 2,000 requests/s on 50 connections all the time."""

import time

from common import Load, Servers, Table, event_time

from lib.resp import Client

BEFORE_S, OUT_S, LIMIT_S = 2, 2, 60


def add_arguments(parser):
    parser.add_argument("--sessions", type=int, default=100_000, metavar="N")
    parser.add_argument("--rate", type=int, default=2000, metavar="N", help="requests per second")


def run(options, folder):
    table = Table(f"recovery of {options.sessions:,} sessions, {options.runs} runs")
    for number in range(options.runs):
        with Servers(folder / f"recovery{number}") as (redis, stayd):
            one(redis, stayd, table, options)
    table.print()


def one(redis, stayd, table, options):
    load = Load(stayd.folder, stayd.port, LIMIT_S, options.sessions, options.rate)
    try:
        load.wait_for(BEFORE_S)
        redis.kill()
        load.wait_for(BEFORE_S + OUT_S)
        redis.start(ready=False)
        answers = first_pong(redis.port)
        trusted = event_time(stayd, "shard_trusted", answers, LIMIT_S)
        load.end()
        result = load.result()
    finally:
        load.kill()
    stayd.wait_trusted()
    found = event_time(stayd, "shard_suspect", answers - 1)
    meanwhile = result.between(answers - load.started, trusted - load.started)
    stored = redis.call("DBSIZE")
    assert stored >= options.sessions * 0.95, f"Redis holds {stored} keys only"
    table.add("errors", sum(result.errors.values()), bar=0)
    table.add("wrong answers", sum(result.wrong.values()), bar=0)
    table.add("first PONG until stayd is connected", found - answers, "s")
    table.add("first PONG until TRUSTED", trusted - answers, "s", 5)
    table.add("p99 meanwhile", meanwhile.percentile_ms(0.99), "ms", 5)
    table.add("p50 meanwhile", meanwhile.percentile_ms(0.5), "ms")
    table.add("slowest meanwhile", meanwhile.max_ms, "ms")


def first_pong(port):
    """Unix time at which PING is answered for the first time."""
    while True:
        try:
            with Client(port, timeout=1) as client:
                if client.call("PING") == "PONG":
                    return time.time()
        except (OSError, TimeoutError):
            pass
        time.sleep(0.002)
