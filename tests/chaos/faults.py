"""Every fault of a chaos run by name: those of lib/faults.py on a wire of nftables, those that change
what Redis remembers, those of stayd itself (stayd_faults.py), and those that only some topologies have
(topology_faults.py).

A fault says what it needs and what it excuses. It may come while another one is in: what cannot be put
in then is noted, and `heal_all` puts everything right afterwards, whatever happened.
"""

import os
import threading
import time
from dataclasses import dataclass
from typing import Callable

from lib import faults as redis_faults
from lib.processes import wait_until

from . import stayd_faults, topology_faults


@dataclass(frozen=True)
class Fault:
    name: str
    put_in: Callable
    take_out: Callable
    silences: bool = False  # Redis answers nobody while it is in
    talks: bool = True  # it is put in by a command to Redis


# -- Redis forgets ---------------------------------------------------------------------------------------


def restart_with_data(world):
    assert world.admin.call("SAVE") == "OK"
    world.redis.kill()


def restart_from_snapshot(world):
    world.redis.restart_from(world.snapshot)


def tear_aof(world):
    """Redis' host loses power: the AOF ends in the middle of a command."""
    world.admin.call("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: rewritten(world.redis), 5, "the AOF is complete")
    time.sleep(0.5)  # sessions' writes come into it
    world.redis.kill()
    aof = max((world.redis.folder / "appendonlydir").glob("*.incr.aof"))
    os.truncate(aof, aof.stat().st_size * 3 // 4)


def rewritten(redis):
    state = redis.info("persistence")
    return state["aof_rewrite_in_progress"] == "0" and state["aof_rewrite_scheduled"] == "0"


def start_from_aof(world):
    world.redis.start(appendonly="yes")
    world.reconnect_admin()


def evict(world):
    used = int(world.redis.info("memory")["used_memory"])
    world.admin.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    world.admin.call("CONFIG", "SET", "maxmemory", used - 20_000)


def stop_evicting(world):
    world.admin.call("CONFIG", "SET", "maxmemory", 0)
    world.admin.call("CONFIG", "SET", "maxmemory-policy", "noeviction")


# -- Redis' connections and rights ----------------------------------------------------------------------------


def kill_clients(world):
    world.admin.call("CLIENT", "KILL", *world.servers.connections())


def deny_all(world):
    world.admin.call("ACL", "SETUSER", world.servers.user, "-@all")


def switch_user_off(world):
    world.admin.call("ACL", "SETUSER", world.servers.user, "off")
    kill_clients(world)


def allow_all(world):
    world.admin.call("ACL", "SETUSER", world.servers.user, "on", "+@all")


# -- Redis is slow --------------------------------------------------------------------------------------------


class Stutter(threading.Thread):
    """Stops Redis for `stop_s` out of every `stop_s` + 20 ms."""

    def __init__(self, redis, stop_s):
        super().__init__(daemon=True)
        self.redis, self.stop_s, self.ending = redis, stop_s, threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.02):
            self.redis.freeze()
            self.ending.wait(self.stop_s)
            self.redis.thaw()

    def end(self):
        self.ending.set()
        self.join()


def stutter(stop_s):
    def put_in(world):
        world.stutter = Stutter(world.redis, stop_s)

    return put_in


def borrowed(name, **how):
    fault = next(fault for fault in redis_faults.FAULTS if fault.name == name)
    return Fault(name, fault.put_in, fault.take_out, **how)


REDIS_FAULTS = [
    borrowed("killed", silences=True, talks=False),
    borrowed("stopped", silences=True, talks=False),
    borrowed("frozen", silences=True, talks=False),
    borrowed("loading", silences=True),
    borrowed("paused", silences=True),
    borrowed("sleeping", silences=True),
    borrowed("busy_script", silences=True),
    borrowed("unkillable_script", silences=True),
    borrowed("refused", talks=False),
    borrowed("reset", talks=False),
    borrowed("black_hole", talks=False),
    borrowed("replies_lost", talks=False),
    borrowed("commands_lost", talks=False),
    borrowed("new_connections_lost", talks=False),
    borrowed("half_open", talks=False),
    Fault("packets_lost", lambda w: w.proxy.lose(10), lambda w: w.proxy.heal(), talks=False),
    Fault("slow_30ms", stutter(0.03), lambda w: w.stutter.end(), talks=False),
    Fault("slow_150ms", stutter(0.15), lambda w: w.stutter.end(), silences=True, talks=False),
    borrowed("readonly"),
    borrowed("masterdown"),
    borrowed("out_of_memory"),
    borrowed("misconf_rdb"),
    borrowed("no_replicas"),
    borrowed("max_clients"),
    borrowed("no_auth"),
    Fault("acl_denied", deny_all, allow_all),
    Fault("acl_user_off", switch_user_off, allow_all),
    Fault("clients_killed", kill_clients, lambda w: None),
    Fault("restarted_empty", lambda w: w.redis.restart_empty(), lambda w: None, talks=False),
    Fault("restarted_whole", restart_with_data, redis_faults.restart, silences=True),
    Fault("old_snapshot", restart_from_snapshot, lambda w: None, talks=False),
    Fault("torn_aof", tear_aof, start_from_aof, silences=True),
    Fault("flushed", lambda w: w.admin.call("FLUSHALL"), lambda w: None),
    Fault("evicting", evict, stop_evicting),
    Fault("reloaded", lambda w: w.admin.call("DEBUG", "RELOAD"), lambda w: None),
]

FAULTS = REDIS_FAULTS + [
    Fault(name, put_in, take_out, talks=False) for name, put_in, take_out in stayd_faults.FAULTS
]


# -- which of them a topology has ----------------------------------------------------------------------------

# What Sentinels set right by themselves in their own time, or cuts them off; what a Cluster refuses.
NOT_OF_SETS = ("readonly", "masterdown", "no_auth")
NOT_OF_CLUSTERS = (*NOT_OF_SETS, "loading", "busy_script", "unkillable_script", "misconf_rdb")


def more(rows):
    return [Fault(name, put_in, take_out, silences) for name, put_in, take_out, silences in rows]


def but(names):
    return [fault for fault in FAULTS if fault.name not in names]


# topology: (the faults that make it one, what may come beside them)
OF_TOPOLOGY = {
    "plain": ([], FAULTS),
    "tls": (more(topology_faults.TLS), FAULTS),
    "sentinel": (more(topology_faults.SENTINEL), but(NOT_OF_SETS)),
    "cluster": (more(topology_faults.CLUSTER), but(NOT_OF_CLUSTERS)),
    "backup": (more(topology_faults.BACKUP), FAULTS),
}
BY_NAME = {fault.name: fault for own, others in OF_TOPOLOGY.values() for fault in own + others}


# -- afterwards -----------------------------------------------------------------------------------------------


def heal_all(world):
    """Redis, the wire and stayd's limits as at the start."""
    world.proxy.heal()
    for running in (world.stutter, world.mover):
        if running:
            running.end()
    world.mover = None
    world.servers.heal_files()
    world.supervisor.may_not_start = False
    stayd_faults.heal(world)
    world.servers.heal()
    world.look()
