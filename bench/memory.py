"""Resident memory of stayd: each idle connection; 100,000 sessions of 500 bytes."""

import resource

from common import Load, Servers, Table, resident_mb, wait_until


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=10_000, metavar="N")
    parser.add_argument("--sessions", type=int, default=100_000, metavar="N")


def run(options, folder):
    table = Table(f"resident memory, {options.runs} runs")
    allow_files(options.connections + 1000)
    for number in range(options.runs):
        limit = {"listen.max_clients": options.connections + 1000}
        with Servers(folder / f"idle{number}", **limit) as (_, stayd):
            each = idle_connections(stayd, options.connections)
            table.add(f"each of {options.connections:,} idle connections", each, "KB", 4)
        with Servers(folder / f"sessions{number}") as (redis, stayd):
            table.add("started", resident_mb(stayd), "MB")
            log_in(stayd, options.sessions)
            stayd.wait_trusted()
            table.add(f"{options.sessions:,} sessions logged in", resident_mb(stayd), "MB", 100)
            redis.kill()
            wait_until(lambda stayd=stayd: stayd.trust() == "out", 5, "Redis is out")
            log_in(stayd, options.sessions)
            table.add("each written again in an outage", resident_mb(stayd), "MB")
            redis.start()
            stayd.wait_trusted(60)
            table.add("after the recovery", resident_mb(stayd), "MB")
    table.print()


def allow_files(count):
    """Lets this process, and each that it starts, open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        raise SystemExit(f"the limit of open files is {hard}, {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def idle_connections(stayd, count):
    """KB each of connections that have been used and wait."""

    def open_all(number):
        clients = [stayd.client() for _ in range(number)]
        for client in clients:
            assert client.pipeline(["SET", "k", "v"], ["GET", "k"]) == ["OK", b"v"]
        return clients

    for client in open_all(min(200, count)):  # pools and caches fill
        client.close()
    wait_until(lambda: stayd.metric("stayd_clients") == 0, 5, "they are gone")
    before = resident_mb(stayd)
    clients = open_all(count)
    assert stayd.metric("stayd_clients") == count
    each = (resident_mb(stayd) - before) * 1024 / count
    for client in clients:
        client.close()
    return each


def log_in(stayd, sessions):
    load = Load(stayd.folder, stayd.port, 0, sessions)
    try:
        result = load.result()
    finally:
        load.kill()
    assert not result.errors and not result.wrong, (result.errors, result.wrong)
