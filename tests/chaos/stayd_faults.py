"""Faults of stayd itself: killed at random or at named points of its work, frozen, out of descriptors, of
memory or of disk. A supervisor starts it again whenever it has ended, as systemd would.

Named points are the n-th call of one kind, counted by strace from the moment at which it looks: no line of
the product knows of them. A call that is hit has not been executed.
"""

import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from lib.faults import fill
from lib.processes import Process, wait_until

# name: (system calls, whether only those on the ledger's log, the highest n). What is done before and
# after: commands read, sent to Redis or answered; rows written to the ledger's log; logouts made durable.
POINTS = {
    "receiving": ("recvfrom", False, 1500),
    "sending": ("sendto", False, 1500),
    "ledger_write": ("write,pwrite64", True, 200),
    "ledger_sync": ("fdatasync", True, 10),
}
# In the beginning: the ledger is opened, its log replayed, the in-flight table read.
START_POINTS = {"starting": ("openat,fdatasync,rename,pwrite64,ftruncate", 400)}


class Supervisor(threading.Thread):
    """Starts stayd again when it has ended. `downs`: [[from_us, to_us]] during which nobody served; the
    last may be open (None). What it has started dies with its thread."""

    def __init__(self, stayd, now_us):
        super().__init__(daemon=True)
        self.stayd, self.now_us = stayd, now_us
        self.downs, self.ending, self.problems = [], threading.Event(), []
        self.start_prefix = ()  # of the next start alone
        self.may_end = False  # a fault that ends stayd is in
        self.may_not_start = False  # one that keeps it from starting
        self.told_to_end = 0  # how often

    def run(self):
        while not self.ending.wait(0.01):
            if self.stayd.process.alive:
                continue
            if not self.downs or self.downs[-1][1] is not None:
                self.downs.append([self.now_us(), None])
                if not self.may_end:
                    self.problems.append(f"stayd has ended by itself:\n{self.last_words()}")
            self.stayd.prefix, self.start_prefix = self.start_prefix, ()
            told_to_end, may_not_start = self.told_to_end, self.may_not_start
            try:
                self.stayd.start(wait="live")
            except (AssertionError, OSError) as error:
                # Meant to fail, or on a full disk: the next start will be good, or the run is not.
                meant = self.stayd.prefix or self.told_to_end > told_to_end
                # Then, or by now: what kept it from starting may have gone since it looked.
                if not (meant or may_not_start or self.may_not_start or self.world_is_full()):
                    self.problems.append(str(error))
                self.stayd.kill()
                continue
            self.downs[-1][1] = self.now_us()

    def world_is_full(self):
        return shutil.disk_usage(self.stayd.options["ledger.path"].parent).free == 0

    def last_words(self):
        lines = [line for line in self.stayd.process.log().splitlines() if line[:1] != "{"]
        return "\n".join(lines[-10:]) or "without a word"

    def going_down(self):
        """stayd is told to end: from now on it may answer nobody."""
        self.told_to_end += 1
        self.downs.append([self.now_us(), None])

    def end(self):
        self.ending.set()
        self.join(30)


def kill(world):
    world.supervisor.going_down()
    world.stayd.kill()


def terminate(world):
    world.supervisor.going_down()
    world.stayd.process.signal(signal.SIGTERM)


def kill_while_starting(name):
    calls, most = START_POINTS[name]

    def put_in(world):
        when = world.random.randint(1, most)
        # It is not killed if it serves before the n-th call: then that was its start.
        world.supervisor.start_prefix = tracing(calls, when, "/dev/null")
        kill(world)

    return put_in


def tracing(calls, when, out, what="signal=KILL"):
    inject = f"inject={calls}:{what}:when={when}"
    return ("strace", "-f", "--seccomp-bpf", "-o", out, "-e", f"trace={calls}", "-e", inject)


def kill_at(name):
    calls, ledger_only, most = POINTS[name]

    def put_in(world):
        attach(world, calls, f"signal=KILL:when={world.random.randint(1, most)}", ledger_only)

    return put_in


def attach(world, calls, what, ledger_only=True):
    """strace does `what` to these calls of the running stayd; detach() ends that."""
    assert not (world.tracer and world.tracer.alive), "one strace at a time"
    argv = ["strace", "-f", "-p", world.stayd.pid, "-o", "/dev/null"]
    if ledger_only:
        argv += ["-P", max((world.disk / "ledger/db").glob("*.log"))]
    argv += ["-e", f"trace={calls}", "-e", f"inject={calls}:{what}"]
    world.tracer = Process("strace", argv, world.folder / "strace.log").start()


def detach(world):
    if world.tracer and world.tracer.alive:
        world.tracer.stop()
    world.tracer = None


def limit(world, what, value):
    """Of the stayd that runs now: one that is started afterwards has no such limit."""
    subprocess.run(["prlimit", "--pid", str(world.stayd.pid), f"--{what}={value}:"], check=True)


def no_more_descriptors(world):
    fds = Path(f"/proc/{world.stayd.pid}/fd")
    world.fd_limit = (world.stayd.pid, fd_limit(world.stayd.pid))
    limit(world, "nofile", max(int(fd.name) for fd in fds.iterdir()) + 2)


def fd_limit(pid):
    return re.search(r"Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text())[1]


def descriptors_again(world):
    pid, value = world.fd_limit or (None, None)
    if pid == world.stayd.pid and world.stayd.process.alive:
        limit(world, "nofile", value)
    world.fd_limit = None


def no_more_memory(world):
    status = Path(f"/proc/{world.stayd.pid}/status").read_text()
    used_kb = int(re.search(r"VmSize:\s+(\d+)", status)[1])
    limit(world, "as", used_kb * 1024 + 256 * 1024)


def memory_again(world):
    if world.stayd.process.alive:
        limit(world, "as", "unlimited")


def fill_disk(world):
    world.filler = fill(world.disk)


def free_disk(world):
    if world.filler:
        world.filler.unlink(missing_ok=True)
    world.filler = None


def heal(world):
    """No limit any more, and stayd serves."""
    detach(world)
    free_disk(world)
    world.stayd.process.thaw()
    for undo in (descriptors_again, memory_again):
        try:
            undo(world)
        except (OSError, subprocess.CalledProcessError):
            pass  # it has just ended: the next one has no limits
    wait_until(lambda: world.stayd.http("/livez")[0] == 200, 20, "stayd serves again")


def nothing(_world):
    pass


SYNCS = "fdatasync"
WRITES = "write,pwrite64,fdatasync"

FAULTS = [
    ("stayd_killed", kill, nothing),
    ("stayd_terminated", terminate, nothing),
    ("stayd_frozen", lambda w: w.stayd.freeze(), lambda w: w.stayd.thaw()),
    ("stayd_no_descriptors", no_more_descriptors, descriptors_again),
    ("stayd_no_memory", no_more_memory, memory_again),
    ("stayd_disk_full", fill_disk, free_disk),
    ("stayd_disk_errors", lambda w: attach(w, WRITES, "error=EIO"), detach),
    ("stayd_sync_errors", lambda w: attach(w, SYNCS, "error=EIO"), detach),
    ("stayd_slow_disk", lambda w: attach(w, SYNCS, "delay_enter=300000"), detach),
    *((f"stayd_killed_{name}", kill_at(name), detach) for name in POINTS),
    *((f"stayd_killed_{name}", kill_while_starting(name), nothing) for name in START_POINTS),
]
