"""One chaos run: servers, users and faults in a network of their own, and a verdict on what was told.

    scenario.py --seed N --folder FOLDER      prints one JSON line, see `Run.summary`

    load.py ──▶ stayd ──▶ wire ──▶ topologies.py       plan.py: which faults, when
    pages.py ─▶ applications ─▶ stayd                   verdict.py: stayd_history, excuses, latencies

The folder keeps logs and histories. Needs root.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import plan as plans  # noqa: E402
from chaos import topologies  # noqa: E402
from chaos.faults import BY_NAME, heal_all  # noqa: E402
from chaos.growth import Growth  # noqa: E402
from chaos.record import Recorder, lines_of, now_us  # noqa: E402
from chaos.resp_stream import Error, text_of  # noqa: E402
from chaos.stayd_faults import Supervisor  # noqa: E402
from chaos.verdict import Occurrence, companion_of, judge  # noqa: E402
from clients.apps import PYTHON, App  # noqa: E402
from lib import faults as lib_faults  # noqa: E402
from lib.own_network import OwnNetwork  # noqa: E402
from lib.processes import Process, wait_until  # noqa: E402
from lib.servers import StaydServer  # noqa: E402

HERE = Path(__file__).parent
HEALED_WITHIN_S = 30
# Slots that move sooner after the end of a backfill let it begin anew, and W7 with it.
READ_BACK_WITHIN_S = 3  # of a Redis that is trusted, into a ledger that takes writes
# Starts a program whenever it has ended: PHP's own server dies of a timeout in its session handler.
AGAIN = ["sh", "-c", 'while :; do setpriv --pdeathsig KILL -- "$@"; sleep 0.1; done', "sh"]
PRESETS = """
[[sessions]]
match = "raw:*"
[[sessions]]
preset = "express"
[[sessions]]
preset = "php"
[[sessions]]
preset = "django"
[[sessions]]
preset = "flask"
"""


class World(lib_faults.World):
    """What faults may break. `random` draws what a fault leaves open."""

    def __init__(self, servers, folder, seed):
        self.servers, self.folder = servers, folder
        self.is_cluster = isinstance(servers, topologies.Cluster)
        self.fillers, self.thread = [], None
        self.random = Random(f"faults {seed}")
        self.stayd = self.supervisor = self.disk = None
        self.snapshot = self.stutter = self.tracer = self.filler = self.fd_limit = self.mover = None
        self.look()

    def look(self):
        """Which redis-server faults are about from now on."""
        self.redis, self.proxy = self.servers.redis, self.servers.wire
        self.reconnect_admin()


class Run:
    def __init__(self, plan, folder):
        self.plan, self.folder = plan, folder
        self.ending = []  # what to end, the last first
        self.occurrences, self.problems = [], []
        self.started_us = now_us()

    def __enter__(self):
        self.network = OwnNetwork()
        self.network.__enter__()
        return self

    def __exit__(self, *exc):
        for end in reversed(self.ending):
            try:
                end()
            except Exception as error:  # what is left must end all the same
                self.problems.append(f"at the end: {error}")
        self.network.__exit__()

    # -- servers and users ---------------------------------------------------------------------------------

    def start(self):
        random = Random(f"topology {self.plan.seed}")
        servers = topologies.BY_NAME[self.plan.topology](self.folder, self.network, random)
        self.ending.append(servers.end)
        servers.start()
        self.world = world = World(servers, self.folder, self.plan.seed)
        world.disk = self.mount()
        world.stayd = self.start_stayd(world)
        world.supervisor = Supervisor(world.stayd, now_us)
        world.supervisor.start()
        self.ending.append(world.supervisor.end)
        world.stayd.wait_trusted()
        world.stayd.wait_settled()
        over_tls = getattr(servers, "port", None)
        port, ca_file = (over_tls, servers.authority.ca_file) if over_tls else (world.stayd.port, None)
        apps = [App(name, port, self.folder, ca_file) for name in self.plan.apps]
        for app in apps:
            app.process.argv = [*AGAIN, *app.process.argv]
            app.process.start()
            self.ending.append(app.kill)
        for app in apps:
            wait_until(app._up, 30, f"{app.name} is up")
        tls = ("--tls-port", port, "--tls-ca", ca_file) if over_tls else ()
        self.users = [self.start_users("load", "--port", world.stayd.port, *tls)]
        flags = [flag for app in apps for flag in ("--app", f"{app.name}={app.port}")]
        self.users.append(self.start_users("pages", *flags))
        wait_until(lambda: "started" in self.users[0].log(), 20, "the load has begun")
        self.users_us = now_us()
        self.growth = Growth(world)
        self.ending.append(self.growth.end)

    def mount(self):
        """A small disk for the ledger."""
        path = self.folder / "disk"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path], check=True)
        self.ending.append(lambda: subprocess.run(["umount", "--lazy", path], check=True))
        return path

    def start_stayd(self, world):
        stayd = StaydServer(
            self.folder / "stayd",
            world.servers.url,
            # Outages come within seconds here, which is taken for flapping.
            options={
                "redis.retry_max": "1s", "ledger.path": world.disk / "ledger",
                **world.servers.options, **self.plan.settings,
            },  # fmt: skip
            config_text=PRESETS if self.plan.presets else None,
        )
        self.ending.append(stayd.kill)
        return stayd.start()

    def start_users(self, name, *flags):
        self.history(name).touch()
        argv = [PYTHON, HERE / f"{name}.py", "--seed", self.plan.seed]
        argv += ["--history", self.history(name), *flags]
        process = Process(name, argv, self.folder / f"{name}.log").start()
        self.ending.append(process.kill)
        return process

    def history(self, name):
        return self.folder / f"{name}.jsonl"

    # -- faults --------------------------------------------------------------------------------------------

    def play(self):
        for pair in self.plan.pairs:
            time.sleep(max(pair.calm_s, pair.at_s - (now_us() - self.users_us) / 1e6))
            self.world.snapshot = self.world.redis.snapshot()
            self.play_pair(pair)
            heal_all(self.world)
            self.wait_healed(f"after {' and '.join(pair.faults)}")
            for one in self.occurrences:
                one.healed_us = one.healed_us or now_us()

    def play_pair(self, pair):
        began, under_way = time.monotonic(), {}
        ending = any(name.startswith(plans.ENDING_STAYD) for name in pair.faults)
        self.world.supervisor.may_end = ending
        for step in pair.steps:
            time.sleep(max(0, began + step.at_s - time.monotonic()))
            fault = BY_NAME[step.fault]
            if step.put_in:
                others = [name for name in pair.faults if name != step.fault]
                one = Occurrence(step.fault, now_us(), companion=companion_of(others))
                under_way[step.fault] = one
                self.occurrences.append(one)
                one.problem = attempt(fault.put_in, self.world)
                continue
            one = under_way[step.fault]
            if not one.problem:
                one.problem = attempt(fault.take_out, self.world)
                one.out_us = now_us()

    def wait_healed(self, when):
        """I14: when faults stop, Redis is trusted, nothing is owed and nothing is behind."""
        try:
            wait_until(lambda: self.world.stayd.http("/livez")[0] == 200, 20, "stayd serves")
            self.world.stayd.wait_trusted(timeout=HEALED_WITHIN_S)
            ledger_ok = lambda: self.world.stayd.metric("stayd_ledger_ok") == 1  # noqa: E731
            wait_until(ledger_ok, HEALED_WITHIN_S, "the ledger is written again")
            told = lambda: self.world.stayd.metric("stayd_keys_to_read_back") == 0  # noqa: E731
            wait_until(told, READ_BACK_WITHIN_S, "the ledger has what it had missed")
            self.world.servers.wait_healed(self.world.stayd, HEALED_WITHIN_S)
        except AssertionError as error:
            self.problems.append(f"{when}: {error}")

    # -- the end ------------------------------------------------------------------------------------------

    def finish(self):
        self.growth.end()
        for process in self.users:
            process.stop(timeout=40)
        paths = [self.history("load"), self.history("pages")]
        for each in self.world.servers.returns:
            time.sleep(max(0, each.over_us - now_us()) / 1e6)
        paths += [self.read_all(paths)]
        downs = [(from_us, to_us or now_us()) for from_us, to_us in self.world.supervisor.downs]
        verdict = judge(self.folder, paths, self.occurrences, downs, self.world.servers.returns)
        verdict.problems += self.problems + self.world.supervisor.problems
        return verdict

    def read_all(self, paths):
        """Every key of the raw client, as stayd answers and, past it, as Redis holds it."""
        keys = {line["key"] for path in paths for line in lines_of(path)}
        keys = sorted(key for key in keys if key.startswith("raw:"))
        recorder = Recorder(self.history("final"))
        for client, server in ((-1, self.world.stayd), (-2, self.world.servers)):
            self.wait_healed("at the end")
            with server.client() as connection:
                for key in keys:
                    hashed = key.split(":")[1] in ("hash", "block")
                    command = ["HGETALL" if hashed else "GET", key]
                    ask_us, value = now_us(), connection.call(*command)
                    if isinstance(value, str):
                        value = Error(value)
                    text = text_of(value, command)
                    recorder.told(key, client, [command], ask_us, text)
        recorder.close()
        return self.history("final")

    def switches(self):
        """How often stayd has heard of other primaries."""
        log = self.world.stayd.log_lines
        return len(log("primary_named")) + len(log("topology_changed"))

    def summary(self, verdict):
        return {
            "seed": self.plan.seed,
            "topology": self.plan.topology,
            "settings": self.plan.settings,
            "faults": ["+".join(pair.faults) for pair in self.plan.pairs],
            "not_put_in": {one.fault: one.problem for one in self.occurrences if one.problem},
            "apps": self.plan.apps,
            "presets": self.plan.presets,
            "seconds": round((now_us() - self.started_us) / 1e6, 1),
            "counts": verdict.counts,
            "violations": verdict.violations,
            "unprotected": verdict.unprotected,
            "errors": dict(verdict.errors.most_common(10)),
            "excused": verdict.excused,
            "latencies_ms": verdict.latencies_ms,
            "growth": self.growth.summary(),
            "switches": self.switches(),
            "slots_returned": len(self.world.servers.returns),
            "stayd_starts": len(self.world.supervisor.downs) + 1,
            "problems": verdict.problems,
            "good": verdict.good,
        }


def attempt(action, world):
    """What kept it from being done; empty: nothing."""
    try:
        action(world)
        return ""
    except Exception as error:  # another fault is in the way
        return f"{type(error).__name__}: {error}"[:200]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--faults", help="names with commas, instead of the seed's pairs")
    parser.add_argument("--soak", type=float, help="seconds of one fault after the other")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.soak:
        plan = plans.draw_soak(options.seed, options.soak)
    else:
        plan = plans.draw(options.seed, options.faults and options.faults.split(","))
    with Run(plan, options.folder) as run:
        run.start()
        run.play()
        verdict = run.finish()
    (options.folder / "violations.txt").write_text(verdict.report)
    print(json.dumps(run.summary(verdict)))


if __name__ == "__main__":
    main()
