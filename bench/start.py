"""From exec to the first answers with 1,000,000 sessions in the ledger: after SIGTERM, and after
kill -9 right behind the last of many writes."""

import time

from common import Servers, Table
from memory import log_in

from lib.resp import Client, Closed, ErrorReply

REWRITTEN = 50_000  # sessions, between two starts: what a kill -9 leaves in the ledger's log


def add_arguments(parser):
    parser.add_argument("--sessions", type=int, default=1_000_000, metavar="N")


def run(options, folder):
    title = f"exec to first answers, {options.sessions:,} sessions, {options.runs} runs"
    table = Table(title)
    with Servers(folder / "start") as (_, stayd):
        log_in(stayd, options.sessions)
        for _ in range(options.runs):
            for how, end, bar in (("SIGTERM", stayd.stop, 100), ("kill -9", stayd.kill, 400)):
                log_in(stayd, min(REWRITTEN, options.sessions))
                end()
                ping_ms, get_ms = start(stayd, options.sessions - 1)
                table.add(f"after {how}: PING", ping_ms, "ms", bar)
                table.add(f"after {how}: GET of a session", get_ms, "ms", bar)
                stayd.wait_trusted(60)
    table.print()


def start(stayd, session):
    """Milliseconds from exec to the first PONG and to the session's value."""
    begin = time.perf_counter()
    stayd.start(wait=None)
    pong = first(stayd, lambda reply: reply == "PONG", "PING")
    value = first(stayd, lambda reply: isinstance(reply, bytes), "GET", f"sess:{session:08}")
    return (pong - begin) * 1000, (value - begin) * 1000


def first(stayd, wanted, *command):
    """The time at which the command is first answered as wanted; nil is never what is wanted."""
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        try:
            with Client(stayd.port, timeout=10) as client:
                reply = client.call(*command)
                if wanted(reply):
                    return time.perf_counter()
                assert isinstance(reply, ErrorReply), f"{command} -> {reply!r}"
        except (OSError, Closed):
            stayd.process.must_be_alive()
        time.sleep(0.001)
    raise AssertionError(f"no answer to {command}:\n{stayd.process.log_tail()}")
