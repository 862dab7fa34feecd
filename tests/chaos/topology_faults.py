"""Faults that only some topologies have (topologies.py): failovers, servers cut off from each other, slots that
move, certificates, the shared backup.

(name, put_in, take_out, silences) of each. What is taken out may find another primary than it was put in.
"""

import threading
import time

from lib.processes import wait_until

PROMOTED_WITHIN_S = 6
SLOTS_TO_MOVE = 40
PAUSE_S = 0.02  # between two steps of a slot's way


def nothing(_world):
    pass


def heal_network(world):
    world.proxy.heal()


# -- the primary of a Sentinel set, or of a Cluster's shard ---------------------------------------------------


def promoted(world):
    return (getattr(world.servers, "shard", None) or world.servers.servers).promoted_port()


def wait_promoted(world):
    """As long as that may take; it may be that nobody can be promoted."""
    try:
        wait_until(lambda: promoted(world), PROMOTED_WITHIN_S, "a replica is promoted")
    except AssertionError:
        pass


def ask_for_failover(*how):
    return lambda world: world.servers.fail_over(*how)


def kill_with_data(world):
    """It comes back with what it has now, when another one is the primary."""
    assert world.admin.call("SAVE") == "OK"
    world.redis.kill()


def start_old(world):
    wait_promoted(world)
    world.redis.start()
    world.reconnect_admin()


def thaw_old(world):
    wait_promoted(world)
    world.redis.thaw()


def replicas_of(world):
    return world.servers.shard.replicas if world.is_cluster else world.servers.servers.replicas


def stop_replication(world):
    """The primary sends on, but not to its replicas: a failover loses all that."""
    for replica in replicas_of(world):
        own = replica.config["bind-source-addr"]
        world.servers.network.drop(f"ip daddr {own} tcp sport {world.redis.named_port}")


FAILOVER = [
    ("failover_asked", ask_for_failover(), nothing, False),
    ("primary_replaced", kill_with_data, start_old, True),
    ("primary_hangs", lambda w: w.redis.freeze(), thaw_old, True),
    ("primary_cut_off", lambda w: w.servers.servers.cut_off(w.redis), heal_network, False),
    ("stayd_cut_off", lambda w: w.servers.cut_off_stayd(), heal_network, False),
    ("replica_cut_off", lambda w: w.servers.servers.cut_off(w.servers.replica), heal_network, False),
    ("replica_killed", lambda w: w.servers.replica.kill(), lambda w: w.servers.replica.start(), False),
    ("replicas_behind", stop_replication, heal_network, False),
]


# -- Sentinels --------------------------------------------------------------------------------------------------


def sentinels(world, count):
    found = world.servers.servers.sentinels
    first = world.random.randrange(len(found))
    return [found[(first + n) % len(found)] for n in range(count)]


def kill_sentinels(count):
    def put_in(world):
        for sentinel in sentinels(world, count):
            sentinel.process.kill()

    return put_in


def start_sentinels(world):
    for sentinel in world.servers.servers.sentinels:
        if not sentinel.process.alive:
            sentinel.start()


def freeze_sentinels(world):
    for sentinel in sentinels(world, 3):
        sentinel.process.freeze()


def thaw_sentinels(world):
    for sentinel in sentinels(world, 3):
        sentinel.process.thaw()


SENTINEL = FAILOVER + [
    ("sentinel_killed", kill_sentinels(1), start_sentinels, False),
    ("sentinels_killed", kill_sentinels(2), start_sentinels, False),
    ("sentinels_frozen", freeze_sentinels, thaw_sentinels, False),
]


# -- a Cluster ---------------------------------------------------------------------------------------------------


class Mover(threading.Thread):
    """Moves slots with sessions in them from one shard to another, until it is told to end or a step fails:
    then that slot stays half open."""

    def __init__(self, servers, source, target, slots):
        super().__init__(daemon=True)
        self.servers, self.source, self.target, self.slots = servers, source, target, slots
        self.ending, self.problem, self.done = threading.Event(), "", 0
        self.start()

    def run(self):
        for slot in self.slots:
            if self.ending.is_set():
                return
            self.servers.moved.add(slot)
            try:
                for _ in self.servers.servers.steps_of_move(slot, self.source, self.target):
                    time.sleep(PAUSE_S)
            except Exception as error:  # another fault is in the way
                self.problem = f"slot {slot}: {type(error).__name__}: {error}"
                return
            self.done += 1

    def end(self):
        self.ending.set()
        self.join(20)
        return not self.is_alive()


def move_slots(comes):
    """`comes`: from the other shard to the one that the other fault of the pair is about."""

    def put_in(world):
        servers = world.servers
        source, target = servers.shard, servers.other
        if comes:
            source, target = target, source
        slots = servers.slots_in_use(source.primary)
        world.random.shuffle(slots)
        world.mover = Mover(servers, source, target, slots[:SLOTS_TO_MOVE])

    return put_in


def stop_moving(world):
    assert world.mover.end(), "a slot's move hangs"
    print(f"{world.mover.done} slots moved; {world.mover.problem}")


def move_address(world):
    world.servers.servers.move_address(world.redis)


def fail_over_all(world):
    for shard in world.servers.servers.shards:
        shard.replicas[0].call("CLUSTER", "FAILOVER")


def freeze_others(world):
    """The shard is in a minority: it refuses everything."""
    for node in world.servers.nodes:
        if node not in world.servers.shard.nodes:
            node.freeze()


def thaw_others(world):
    for node in world.servers.nodes:
        if node not in world.servers.shard.nodes:
            node.thaw()


CLUSTER = FAILOVER + [
    ("failover_forced", ask_for_failover("FORCE"), nothing, False),
    ("failover_taken", ask_for_failover("TAKEOVER"), nothing, False),
    ("all_fail_over", fail_over_all, nothing, False),
    ("address_moved", move_address, nothing, True),
    ("minority", freeze_others, thaw_others, False),
    ("slots_go", move_slots(comes=False), stop_moving, False),
    ("slots_come", move_slots(comes=True), stop_moving, False),
]


# -- certificates ------------------------------------------------------------------------------------------------


def kill_connections(world):
    """What follows shows when connections are made anew."""
    world.admin.call("CLIENT", "KILL", *world.servers.connections())


def show(name, **how):
    """Redis has this certificate from now on."""

    def put_in(world):
        world.servers.show(world.servers.authority.issue(name, **{"hosts": world.servers.authority.HOSTS, **how}))
        kill_connections(world)

    return put_in


def show_own(world):
    server = world.servers.server
    world.servers.show((server["tls-cert-file"], server["tls-key-file"]))


def trust_others(world):
    world.servers.place("ca.pem", world.servers.other_authority.ca_file)
    time.sleep(0.5)  # until stayd has looked at its files
    kill_connections(world)


def trust_again(world):
    world.servers.place("ca.pem", world.servers.authority.ca_file)


def damage_files(world):
    """A renewal that has failed half-way: the files of before are used on. A stayd that starts has none."""
    world.supervisor.may_not_start = True
    for name in ("ca.pem", "own.pem", "port.pem"):
        (world.servers.files / name).write_text("half written")
    kill_connections(world)


def mend_files(world):
    world.servers.heal_files()
    world.supervisor.may_not_start = False


def show_strange(world):
    """stayd's own certificate is not one that Redis takes."""
    world.servers.place_pair("own", world.servers.other_authority.issue("stranger"))
    time.sleep(0.5)
    kill_connections(world)


class Renewer(threading.Thread):
    """Gives stayd's port one certificate after the other."""

    def __init__(self, servers, pairs):
        super().__init__(daemon=True)
        self.servers, self.pairs, self.ending = servers, pairs, threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.3):
            self.pairs.append(self.pairs.pop(0))
            self.servers.place_pair("port", self.pairs[0])

    def end(self):
        self.ending.set()
        self.join()
        return True


def renew_port(world):
    world.supervisor.may_not_start = True  # between a key and its certificate
    pairs = [world.servers.authority.issue(f"port{n}") for n in range(3)]
    world.mover = Renewer(world.servers, pairs)


def stop_renewing(world):
    world.mover.end()
    world.supervisor.may_not_start = False


def close_tls(world):
    world.admin.call("CONFIG", "SET", "tls-port", 0)
    kill_connections(world)


def open_tls(world):
    world.redis.call("CONFIG", "SET", "tls-port", world.redis.named_port)


TLS = [
    ("certificate_renewed", show("renewed"), nothing, False),
    ("certificate_expired", show("expired", days=-1), show_own, False),
    ("certificate_of_another", show("another", hosts="DNS:other.test"), show_own, False),
    ("authority_replaced", trust_others, trust_again, False),
    ("files_damaged", damage_files, mend_files, False),
    ("own_certificate_refused", show_strange, lambda w: w.servers.place_pair("own", w.servers.own), False),
    ("port_certificate_renewed", renew_port, stop_renewing, False),
    ("tls_port_closed", close_tls, open_tls, False),
]


# -- the shared backup -------------------------------------------------------------------------------------------


def database(world):
    return world.servers.database


def start_database(world):
    database(world).start()


BACKUP = [
    ("database_killed", lambda w: database(w).kill(), start_database, False),
    ("database_restarted", lambda w: (database(w).kill(), start_database(w)), nothing, False),
    ("database_frozen", lambda w: database(w).freeze(), lambda w: database(w).thaw(), False),
    ("database_read_only", lambda w: database(w).set_read_only(True), lambda w: database(w).set_read_only(False), False),
    ("database_cut_off", lambda w: w.servers.cut_off_database(), heal_network, False),
]
