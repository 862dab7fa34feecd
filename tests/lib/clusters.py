"""A Redis Cluster for tests: its primaries are killed, frozen, cut off and failed over, its slots moved.

Every node is a redis-server on ports of its own. What a node opens itself comes from an address of its
own (127.0.0.11, 127.0.0.12, ...), so that an OwnNetwork can tell the nodes from their clients.
"""

import itertools

from .certificates import ServerAuthority
from .cluster_client import SLOTS, ClusterClient, entries_of, slot_of
from .processes import free_port, wait_until
from .sentinels import APP, Frozen, Killed, cut_off

MIGRATE_KEYS = 10  # at a time, as redis-cli does


class Shard:
    """A primary and its replicas, as they were when all was well: follow() looks anew."""

    def __init__(self, cluster, primary, replicas):
        self.cluster, self.primary, self.replicas = cluster, primary, replicas

    @property
    def nodes(self):
        return [self.primary, *self.replicas]

    def promoted(self):
        """Another primary than before, once a node of the cluster names it; else None."""
        for entry in self.cluster.entries(but=self.primary):
            node = self.cluster.node(entry.id)
            if entry.serves and node in self.replicas:
                return node
        return None

    def promoted_port(self):
        node = self.promoted()
        return node and node.named_port

    def wait_promoted(self, timeout=40):
        """The new primary."""
        return wait_until(self.promoted, timeout, "a replica is promoted")

    def follow(self):
        promoted = self.promoted()
        if promoted:
            nodes, self.primary = self.nodes, promoted
            self.replicas = [node for node in nodes if node is not self.primary]

    def holds(self, key):
        return slot_of(key) in self.slots()

    def holder_of_all(self, port):
        """What must hold every session once `port` is promoted."""
        return self.cluster

    def keys(self, prefix="k:"):
        """Names without end of keys whose slots are this shard's."""
        slots = self.slots()
        return (key for n in itertools.count() if slot_of(key := f"{prefix}{n}") in slots)

    def slots(self):
        """Those that its primary says it has."""
        entries = entries_of(self.primary.call("CLUSTER", "NODES"))
        return next(entry.slots for entry in entries if "myself" in entry.flags)


class ClusterSet:
    """`make_redis` is the fixture; its servers end with the test. `network`: the OwnNetwork in which all
    this lives, if nodes are to be cut off. stayd is the user `app` of each node. `host`: of the nth node,
    127.0.0.1 for all if it is None; `port`: of all nodes, which have a host each then. `node_config`: of
    the nth node, more settings. `user`: more rules of stayd's user."""

    def __init__(
        self, folder, make_redis, primaries=3, replicas=1, node_timeout_ms=1000, tls=False,
        password=None, full_coverage=True, network=None, host=None, port=None, node_config=None,
        user=(),
    ):  # fmt: skip
        self.make_redis, self.password, self.network = make_redis, password, network
        self.authority = ServerAuthority(folder / "authority") if tls else None
        self.settings = {
            "cluster-enabled": "yes", "cluster-node-timeout": node_timeout_ms,
            "cluster-require-full-coverage": "yes" if full_coverage else "no",
            "protected-mode": "no", "repl-diskless-sync-delay": 0, "user": [*APP, *user],
        }  # fmt: skip
        self.host, self.port, self.node_config = host, port, node_config
        if tls:
            self.settings["tls-cluster"] = "yes"
        if password:
            self.settings["masterauth"] = password
        self.nodes = []
        self.shards = [
            Shard(self, self._new_node(), [self._new_node() for _ in range(replicas)])
            for _ in range(primaries)
        ]
        self._share_slots()
        self._join(self.nodes)
        for shard in self.shards:
            for replica in shard.replicas:
                _ok(replica.call("CLUSTER", "REPLICATE", shard.primary.id))
        self.wait_whole()

    def _new_node(self):
        n = len(self.nodes)
        host = self.host(n) if self.host else "127.0.0.1"
        own = self.authority.server_settings() if self.authority else {}
        own |= {"bind-source-addr": host if self.host else f"127.0.0.{11 + n}"}
        own |= {"cluster-port": free_port(), "cluster-announce-ip": host}
        own |= self.node_config(n) if self.node_config else {}
        node = self.make_redis(
            host=host, port=self.port, password=self.password, **{**self.settings, **own}
        )
        node.id = node.call("CLUSTER", "MYID").decode()
        self.nodes.append(node)
        return node

    def _share_slots(self):
        count = len(self.shards)
        for n, shard in enumerate(self.shards):
            first, end = SLOTS * n // count, SLOTS * (n + 1) // count
            _ok(shard.primary.call("CLUSTER", "SET-CONFIG-EPOCH", n + 1))
            _ok(shard.primary.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1))

    def _join(self, fresh):
        for node in fresh:
            for other in self.nodes[: self.nodes.index(node)]:
                address = (other.host, other.named_port, other.config["cluster-port"])
                _ok(node.call("CLUSTER", "MEET", *address))
        wait_until(self._all_know_all, 15, "every node knows the others")

    def _all_know_all(self):
        ids = {node.id for node in self.nodes}
        return all(
            {entry.id for entry in entries_of(node.call("CLUSTER", "NODES"))} == ids
            for node in self.nodes
        )

    # -- what is asked of it -----------------------------------------------------------------------------

    @property
    def url(self):
        """Names two of the nodes: the others are learnt."""
        return self.url_of(self.nodes[:2])

    def url_of(self, nodes):
        hosts = [f"[{node.host}]" if ":" in node.host else node.host for node in nodes]
        places = ",".join(f"{host}:{node.named_port}" for host, node in zip(hosts, nodes))
        return self.url_at(places)

    def url_at(self, places):
        return f"{'rediss' if self.authority else 'redis'}+cluster://app:secret@{places}"

    @property
    def options(self):
        """What stayd needs beside the URL."""
        return self.authority.stayd_options() if self.authority else {}

    def client(self, **options):
        return ClusterClient(self, **options)

    def call(self, *args):
        """One command, to the primary of its first key, past stayd."""
        with self.client() as client:
            return client.call(*args)

    def keys(self):
        """All keys as text, without stayd's own."""
        return set().union(*[shard.primary.keys() for shard in self.shards])

    def entries(self, but=None):
        """The Cluster as a node sees it that answers and can serve; [] without one."""
        for node in self.nodes:
            if node is not but and (found := _view(node)):
                return found
        return []

    def primaries(self):
        """{slot: node}"""
        entries = [entry for entry in self.entries() if entry.serves]
        return {slot: self.node(entry.id) for entry in entries for slot in entry.slots}

    def primary_of(self, slot):
        return self.primaries()[slot]

    def shard_of(self, key):
        node = self.primary_of(slot_of(key))
        return next(shard for shard in self.shards if node in shard.nodes)

    def node(self, id):
        return next(node for node in self.nodes if node.id == id)

    def redis_named(self, place):
        """By what MOVED and ASK say, "host:port"."""
        host, port = place.rsplit(":", 1)
        at = [node for node in self.nodes if int(port) in (node.named_port, node.port)]
        names = lambda node: (node.host, node.config.get("cluster-announce-hostname"))  # noqa: E731
        return at[0] if len(at) == 1 else next(node for node in at if host in names(node))

    def redis_at(self, port):
        return next(node for node in self.nodes if port in (node.named_port, node.port))

    # -- what is done with it ----------------------------------------------------------------------------

    def wait_whole(self, timeout=30):
        """Every node runs and serves, and the replicas are in step; the shards follow."""
        wait_until(lambda: all(_view(node) for node in self.nodes), timeout, "every node serves")
        wait_until(lambda: all(map(_in_step, self.nodes)), timeout, "the replicas are in step")
        for shard in self.shards:
            shard.follow()

    def add_shard(self):
        """A primary without slots."""
        shard = Shard(self, self._new_node(), [])
        self._join([shard.primary])
        self.shards.append(shard)
        self.wait_whole()
        return shard

    def move_slots(self, slots, source, target):
        for slot in slots:
            for _ in self.steps_of_move(slot, source, target):
                pass

    def steps_of_move(self, slot, source, target):
        """Moves a slot key by key, as redis-cli does. A generator: "open", "some" (keys have gone), "all",
        "told" (the target), "closed". Who does not go to its end leaves the slot half open."""
        source, target = source.primary, target.primary
        _ok(target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id))
        _ok(source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id))
        yield "open"
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, MIGRATE_KEYS):
            reply = self._migrate(source, target, keys)
            assert reply in ("OK", "NOKEY"), reply
            yield "some"
        yield "all"
        _ok(target.call("CLUSTER", "SETSLOT", slot, "NODE", target.id))
        yield "told"
        others = {shard.primary for shard in self.shards} - {source, target}
        for node in (source, *others):
            reply = node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id)
            if "only with masters" not in reply:  # it has heard that its last slot is gone
                _ok(reply)
        yield "closed"

    def give_up_move(self, slot, source, target):
        """Keys that have gone already are moved back; what the source has of them anew wins."""
        source, target = source.primary, target.primary
        _ok(source.call("CLUSTER", "SETSLOT", slot, "STABLE"))
        self._bring_back(slot, target, source)

    def stop_moves(self, slots):
        """Nothing is on its way any more: a node to which a slot was to go does not hear of its owner's failover
        until then. What nobody has, because its new owner failed before it could tell, is given to somebody."""
        for node in self.nodes:
            for slot in slots:
                node.call("CLUSTER", "SETSLOT", slot, "STABLE")  # replicas refuse
        try:
            wait_until(lambda: self._nobodys(slots) == set(), 5, "somebody has each slot")
        except AssertionError:
            for slot in self._nobodys(slots):
                primaries = [node for node in self.nodes if node.call("ROLE")[0] == b"master"]
                _ok(primaries[0].call("CLUSTER", "ADDSLOTS", slot))

    def _nobodys(self, slots):
        """As any node sees it."""
        views = [entries_of(node.call("CLUSTER", "NODES")) for node in self.nodes]
        seen = [set().union(*[entry.slots for entry in view if entry.serves]) for view in views]
        return {slot for slot in slots if any(slot not in each for each in seen)}

    def fix_slot(self, slot):
        """Whatever was under way with it, as redis-cli mends it: its owner gets what others hold of it, and
        what the owner has itself wins. How many keys came back."""
        owner, count = self.primary_of(slot), 0
        _ok(owner.call("CLUSTER", "SETSLOT", slot, "STABLE"))
        for primary in {shard.primary for shard in self.shards} - {owner}:
            if keys := primary.call("CLUSTER", "COUNTKEYSINSLOT", slot):
                self._bring_back(slot, primary, owner)
                count += keys
            else:
                _ok(primary.call("CLUSTER", "SETSLOT", slot, "STABLE"))
        return count

    def _bring_back(self, slot, holder, owner):
        """The holder hears of an owner that was promoted only when nothing is on its way to itself."""
        _ok(holder.call("CLUSTER", "SETSLOT", slot, "STABLE"))
        has_it = lambda: slot in slots_of(owner, asked=holder)  # noqa: E731
        wait_until(has_it, 15, f"the holder of keys in slot {slot} knows the owner")
        _ok(holder.call("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.id))
        for key in holder.call("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
            wait_until(lambda k=key: self._brought(k, holder, owner), 15, f"{key} is brought back")
        _ok(holder.call("CLUSTER", "SETSLOT", slot, "STABLE"))

    def _brought(self, key, holder, owner):
        reply = self._migrate(holder, owner, [key])
        if "BUSYKEY" in reply:
            with holder.client() as client:
                reply = client.pipeline(["ASKING"], ["DEL", key])[0]
        return reply in ("OK", "NOKEY")

    def _migrate(self, source, target, keys):
        auth = ["AUTH", self.password] if self.password else []
        address = [target.host, target.named_port]
        return source.call("MIGRATE", *address, "", 0, 5000, *auth, "KEYS", *keys)

    def cut_off(self, node):
        """From the other nodes, not from clients; network.heal() ends it."""
        ports = (node.named_port, node.config["cluster-port"])
        cut_off(self.network, node.config["bind-source-addr"], *ports)

    def move_address(self, node):
        """Stops it and starts it with its data and on other ports."""
        assert node.call("SAVE") == "OK"
        node.kill()
        node.port, node.config["cluster-port"] = free_port(), free_port()
        if self.authority:
            node.config["tls-port"] = free_port()
        node.start()


def slots_of(node, asked):
    """Slots of `node` as `asked` sees it."""
    entries = entries_of(asked.call("CLUSTER", "NODES"))
    return next(entry.slots for entry in entries if entry.id == node.id)


def _ok(reply):
    assert reply == "OK", reply


def _view(node):
    """CLUSTER NODES of a node that runs and says that the cluster is well; else None."""
    if not node.process.alive:
        return None
    try:
        with node.client(timeout=0.5) as client:
            info, text = client.pipeline(["CLUSTER", "INFO"], ["CLUSTER", "NODES"])
    except OSError:
        return None
    return entries_of(text) if b"cluster_state:ok" in info else None


def _in_step(node):
    return node.info("replication").get("master_link_status", "up") == "up"


# -- how a shard's primary fails: each is put in, and what it leaves behind taken out, of a Shard -------------


class Asked:
    """By an operator: the old primary is sound all the time."""

    def put_in(self, shard):
        _ok(shard.replicas[0].call("CLUSTER", "FAILOVER"))

    def take_out(self, shard):
        pass


class CutOff:
    """From the other nodes, but not from stayd: it accepts writes that will be lost."""

    def put_in(self, shard):
        shard.cluster.cut_off(shard.primary)

    def take_out(self, shard):
        shard.cluster.network.heal()


# name -> (fault, cluster-node-timeout in ms)
FAULTS = {
    "killed": (Killed(), 1_000),
    "killed_as_in_production": (Killed(), 5_000),
    "frozen": (Frozen(), 1_000),
    "asked_for": (Asked(), 1_000),
    "cut_off": (CutOff(), 1_000),
}
