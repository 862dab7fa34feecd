"""What can be broken between stayd and Redis, by name: how it is put in, how it is taken out.

tests/lib/test_faults.py proves that each of them hurts a client that is not protected.
"""

import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .processes import Process, wait_until
from .resp import Closed
from .users import SILENT_LIMIT_S


class World:
    """What a fault may break: Redis, the way to it, and one connection to Redis that was open before."""

    def __init__(self, redis, proxy, folder):
        self.redis, self.proxy, self.folder = redis, proxy, folder
        self.admin = redis.client()
        self.fillers = []
        self.thread = None

    def background(self, *command):
        """Sends a command whose reply does not come soon."""

        def run():
            with self.redis.client(timeout=60) as client:
                client.send(*command)
                try:
                    client.read()
                except (Closed, OSError):
                    pass

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def reconnect_admin(self):
        self.admin = self.redis.client()


@dataclass(frozen=True)
class Fault:
    name: str
    put_in: Callable[[World], object]
    take_out: Callable[[World], object]
    limit_s: float = 1.0  # no answer during the fault may take longer


def restart(world):
    world.redis.start()
    world.reconnect_admin()


def stop_saving_to_disk(world):
    folder = world.folder / "gone"
    folder.mkdir()
    world.redis.config_set(dir=folder)
    folder.rmdir()
    world.redis.config_set(save="3600 1")
    world.redis.call("BGSAVE")
    wait_until(
        lambda: world.redis.info("persistence")["rdb_last_bgsave_status"] == "err",
        5,
        "the snapshot has failed",
    )
    assert str(world.redis.call("SET", "x", "1")).startswith("MISCONF")


def save_again(world):
    world.redis.config_set(save="", dir=world.redis.folder)


def run_endless_script(world):
    world.redis.config_set(busy_reply_threshold=50)
    world.background("EVAL", "while true do end", 0)
    wait_until(lambda: str(world.redis.call("GET", "x")).startswith("BUSY"), 5, "Redis says BUSY")


def run_unkillable_script(world):
    world.redis.config_set(busy_reply_threshold=50)
    world.background("EVAL", "redis.call('SET', 'x', '1') while true do end", 0)
    kill = ["SCRIPT", "KILL"]
    wait_until(lambda: str(world.redis.call(*kill)).startswith("UNKILLABLE"), 5, "UNKILLABLE")


def end_unkillable_script(world):
    # What is left to an operator: SHUTDOWN NOSAVE, and the data since the last save is gone.
    world.redis.restart_empty()
    world.reconnect_admin()


def use_up_connections(world):
    world.fillers = [world.redis.client() for _ in range(5)]
    assert world.admin.call("CONFIG", "SET", "maxclients", 6) == "OK"
    world.proxy.reset_all()


def give_back_connections(world):
    assert world.admin.call("CONFIG", "SET", "maxclients", 1000) == "OK"
    for filler in world.fillers:
        filler.close()


def set_password(world):
    # Connections that are open go on: the fault shows when they are lost.
    world.admin.call("CONFIG", "SET", "requirepass", "new")
    world.proxy.reset_all()


def lose_packets_of_new_connections(world):
    world.proxy.drop_new()
    world.proxy.reset_all()


def refuse(world):
    world.proxy.refuse()
    world.proxy.reset_all()


def sleep_in_redis(world):
    world.background("DEBUG", "SLEEP", "3")


def become_replica(world):
    world.admin.call("REPLICAOF", "127.0.0.1", 1)


def lose_master(world):
    world.redis.config_set(replica_serve_stale_data="no")
    become_replica(world)


def promote(world):
    world.admin.call("REPLICAOF", "NO", "ONE")


FAULTS = [
    # The process and its host.
    Fault("killed", lambda w: w.redis.kill(), restart),
    Fault("stopped", lambda w: w.redis.stop(), restart),
    Fault("frozen", lambda w: w.redis.freeze(), lambda w: w.redis.thaw(), limit_s=SILENT_LIMIT_S),
    Fault("loading", lambda w: w.redis.start_loading(), lambda w: w.redis.finish_loading()),
    Fault(
        "paused",
        # ALL pauses CLIENT UNPAUSE as well: it ends by itself.
        lambda w: w.admin.call("CLIENT", "PAUSE", 2500, "ALL"),
        lambda w: w.admin.call("PING"),
        limit_s=SILENT_LIMIT_S,
    ),
    Fault("sleeping", sleep_in_redis, lambda w: w.thread.join(10), limit_s=SILENT_LIMIT_S),
    Fault("busy_script", run_endless_script, lambda w: w.redis.call("SCRIPT", "KILL")),
    Fault("unkillable_script", run_unkillable_script, end_unkillable_script),
    # The network.
    Fault("refused", refuse, lambda w: w.proxy.heal()),
    Fault("reset", lambda w: w.proxy.reset_all(), lambda w: None),
    Fault("black_hole", lambda w: w.proxy.blackhole(), lambda w: w.proxy.heal(), limit_s=SILENT_LIMIT_S),
    Fault(
        "replies_lost",
        lambda w: w.proxy.blackhole("to_client"),
        lambda w: w.proxy.heal(),
        limit_s=SILENT_LIMIT_S,
    ),
    Fault(
        "commands_lost",
        lambda w: w.proxy.blackhole("to_server"),
        lambda w: w.proxy.heal(),
        limit_s=SILENT_LIMIT_S,
    ),
    Fault("new_connections_lost", lose_packets_of_new_connections, lambda w: w.proxy.heal()),
    Fault("half_open", lambda w: w.proxy.half_open(), lambda w: None, limit_s=SILENT_LIMIT_S),
    Fault("slow_network", lambda w: w.proxy.delay(200), lambda w: w.proxy.heal(), limit_s=SILENT_LIMIT_S),
    # Redis refuses.
    Fault("readonly", become_replica, promote),
    Fault("masterdown", lose_master, promote),
    Fault(
        "out_of_memory",
        lambda w: w.redis.config_set(maxmemory_policy="noeviction", maxmemory=1),
        lambda w: w.redis.config_set(maxmemory=0),
    ),
    Fault("misconf_rdb", stop_saving_to_disk, save_again),
    Fault(
        "no_replicas",
        lambda w: w.redis.config_set(min_replicas_to_write=1),
        lambda w: w.redis.config_set(min_replicas_to_write=0),
    ),
    Fault("max_clients", use_up_connections, give_back_connections),
    Fault(
        "no_auth", set_password, lambda w: w.admin.call("CONFIG", "SET", "requirepass", "")
    ),
]


def fill(path):
    """Leaves not a byte free on the file system of `path`; returns the file to delete."""
    filler = path / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65536):
                pass
        except OSError:
            pass
    assert shutil.disk_usage(path).free == 0
    return filler


@contextmanager
def failing_calls(stayd, calls, path, error="EIO"):
    """System calls of a running stayd on the file `path` fail: calls is "write,fdatasync"."""
    argv = ["strace", "-f", "-p", stayd.pid, "-P", path, "-o", "/dev/null"]
    argv += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    tracer = Process("strace", argv, stayd.folder / "strace.log").start()

    def traced():
        tracer.must_be_alive()
        tasks = Path(f"/proc/{stayd.pid}/task").iterdir()
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

    try:
        wait_until(traced, 10, "strace holds every thread of stayd")
        yield
    finally:
        tracer.stop()
