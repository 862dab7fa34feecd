"""The same random commands against redis-server and stayd, reply for reply: `./dev differential`.

    compare.py [--seed N] [--commands N]             stayd with Redis up, and stayd in stand-in mode
    compare.py --tls ...                             the same, with TLS on both sides of both of them
    compare.py --cluster ...                         stayd in front of a Cluster; each of 8 clients in one slot
    compare.py --outages [--seed N] [--commands N]   one stayd whose Redis is killed and frozen under way

Ends with exit code 1 and the shortest script that shows a difference, if there is one.
"""

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.certificates import ServerAuthority  # noqa: E402
from lib.clusters import ClusterSet  # noqa: E402
from lib.processes import free_port, wait_until  # noqa: E402
from lib.servers import RedisServer, StaydServer, stayd_binary  # noqa: E402
from lib.tls_tunnel import TlsTunnel  # noqa: E402

# What is compared are answers, not times: a busy machine is not a fault of Redis.
PATIENCE = {
    "redis.command_deadline": "5s",
    "redis.command_deadline_max": "5s",
    "redis.slow_deadline": "20s",
    "redis.heartbeat_interval": "1500ms",
    "redis.heartbeat_deadline": "1400ms",
}
# Hashes then keep the order of their fields, so that stayd's replies can be compared byte for byte;
# and lexicographical ranges of sorted sets with several scores, which mean nothing, repeat.
COMPACT = {
    f"{kind}-max-listpack-{limit}": "10000000"
    for kind in ("hash", "zset")
    for limit in ("entries", "value")
}


@contextlib.contextmanager
def servers(tls=False):
    """(make_redis, make_stayd, make_cluster); everything they made ends with the block. `tls`: each stayd speaks it with its
    Redis and with its clients; its plain client's way is `stayd.diff_port`."""
    folder = Path(tempfile.mkdtemp(prefix="stayd-diff-"))
    started, tunnels = [], []
    authority = ServerAuthority(folder / "authority") if tls else None

    def make_redis(**options):
        own = authority.server_settings() if tls else {}
        redis = RedisServer(folder / f"redis{len(started)}", **COMPACT, **own, **options).start()
        started.append(redis)
        return redis

    def make_cluster():
        return ClusterSet(folder, make_redis, replicas=0)

    def make_stayd(redis, options):
        url = redis.url
        if tls:
            url = f"rediss://{redis.host}:{redis.named_port}/0"
            cert, key = authority.issue(f"port{len(started)}")
            options = {
                **options, **authority.stayd_options(), "listen.tls": f"127.0.0.1:{free_port()}",
                "listen.tls_cert_file": cert, "listen.tls_key_file": key,
            }  # fmt: skip
        stayd = StaydServer(folder / f"stayd{len(started)}", url, options=options)
        stayd.diff_port = stayd.port
        started.append(stayd)
        stayd.start()
        stayd.wait_trusted()
        stayd.wait_adopted()
        if tls:
            tunnels.append(TlsTunnel(int(options["listen.tls"].split(":")[1]), authority.ca_file))
            stayd.diff_port = tunnels[-1].port
        return stayd

    try:
        yield make_redis, make_stayd, make_cluster
    finally:
        for tunnel in tunnels:
            tunnel.close()
        for server in reversed(started):
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def program():
    return stayd_binary().parent / "tests/differential/differential"


def command(redis, stayd_port, seed, commands, *more):
    words = [program(), "--redis", redis.port, "--stayd", stayd_port, "--seed", seed]
    return [str(word) for word in [*words, "--commands", commands, *more]]


def compare(seed, commands, tls=False):
    """stayd with Redis up and stayd without, both against a Redis; the program's exit code."""
    with servers(tls) as (make_redis, make_stayd, _):
        right, up, out = make_redis(), make_redis(), make_redis()
        stayd, stand_in = make_stayd(up, PATIENCE), make_stayd(out, {})
        out.kill()
        wait_until(lambda: stand_in.trust() == "out", 5, "the stand-in answers")
        stand_in_port = ["--stand-in", stand_in.diff_port]
        words = command(right, stayd.diff_port, seed, commands, *stand_in_port)
        code = subprocess.run(words).returncode
        if code != 0:
            print("the log of the stayd whose Redis was up:", *stayd.log_lines()[-12:], sep="\n  ")
        stayd.process.must_be_alive()
        stand_in.process.must_be_alive()
    return code


def compare_with_cluster(seed, commands):
    """stayd in front of a Cluster looks like one Redis to whoever keeps to one slot."""
    with servers() as (make_redis, make_stayd, make_cluster):
        right = make_redis()
        stayd = make_stayd(make_cluster(), PATIENCE)
        words = command(right, stayd.port, seed, commands, "--cluster")
        code = subprocess.run(words).returncode
        stayd.process.must_be_alive()
    return code


def compare_through_outages(seed, commands, tls=False):
    """One stayd whose Redis comes and goes, against a Redis that never does; then what both hold."""
    chance = random.Random(seed)
    with servers(tls) as (make_redis, make_stayd, _):
        right, redis = make_redis(), make_redis()
        stayd = make_stayd(redis, {"redis.retry_max": "1s"})
        outages = []
        running = subprocess.Popen(
            command(right, stayd.diff_port, seed, commands, "--faults")
        )
        while not ended_within(running, chance.uniform(0.2, 1.5)):
            outages.append(one_outage(redis, chance))
        code = running.returncode
        stayd.process.must_be_alive()
        if code == 0:
            stayd.wait_trusted(30)
            wait_until(lambda: isinstance(stayd.call("DBSIZE"), int), 30, "its second connection is up")
            calm = command(right, stayd.diff_port, seed + 1, 1, "--faults")  # every lane ends an episode
            code = subprocess.run(calm).returncode
        if code == 0:
            stayd.wait_trusted(30)
            last = command(right, redis.port, seed, commands, "--faults", "--state")
            code = subprocess.run(last).returncode
    kinds = ", ".join(f"{outages.count(kind)} {kind}" for kind in sorted(set(outages)))
    print(f"outages: {len(outages)} ({kinds})")
    return code


def ended_within(process, seconds):
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def one_outage(redis, chance):
    kind = chance.choice(["killed", "frozen", "restarted"])
    if kind == "frozen":
        redis.freeze()
        time.sleep(chance.uniform(0.1, 1))
        redis.thaw()
    else:
        redis.kill()
        if kind == "killed":
            time.sleep(chance.uniform(0.1, 1))
        redis.start()
    return kind


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--outages", action="store_true")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    options = parser.parse_args()
    start = time.monotonic()
    if options.cluster:
        kind, code = "with a Cluster", compare_with_cluster(options.seed, options.commands)
    else:
        run = compare_through_outages if options.outages else compare
        code = run(options.seed, options.commands, options.tls)
        kind = "through outages" if options.outages else "with Redis and without"
        kind += ", over TLS" if options.tls else ""
    verdict = "0 differences" if code == 0 else "FAILED"
    print(
        f"differential: {options.commands} commands {kind}, seed {options.seed}, "
        f"{time.monotonic() - start:.0f} s, {verdict}"
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
