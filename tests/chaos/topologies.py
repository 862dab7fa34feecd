"""What stands behind stayd in a chaos run: one redis-server, one that speaks TLS, one beside a shared backup, a
primary that Sentinels watch, or a Redis Cluster.

A topology tells stayd's URL and options, which redis-server the next faults are about, and the way to
it; heal() makes everything as at the start, whoever is the primary by then. Whoever breaks things asks a
redis-server on its unix socket, past the way that faults are put into.
"""

import os
import shutil
import subprocess

from lib.certificates import Authority, ServerAuthority
from lib.clusters import ClusterSet
from lib.cluster_client import slot_of
from lib.databases import PASSWORD
from lib.mariadb import MariadbServer
from lib.postgres import PostgresServer
from lib.processes import free_port, wait_until
from lib.resp import Client
from lib.sentinels import SentinelSet
from lib.servers import RedisServer, stayd_binary

from .record import now_us
from .verdict import Return
from .wire import REDIS_HOST, Wire

BOSS = "boss"  # the user of whoever breaks things: no fault takes its permissions
ACL = f"user default on nopass ~* &* +@all\nuser {BOSS} on >{BOSS} ~* &* +@all\n"
ACL_APP = "user app on >secret ~* &* +@all\n"  # stayd, where others are the default user
TLS_SHARE = 0.25  # of the Sentinel sets and Clusters
HEALED_WITHIN_S = 20
LATE_MS = 1_000  # of a row on its way to the backup


class Redis(RedisServer):
    """Asked past the wire, by a user of whom no fault takes anything. Can be started twice."""

    def __init__(self, folder, **options):
        options.pop("user", None)  # those of sets are in the file too
        super().__init__(folder, **options, aclfile=folder / "users.acl")
        (folder / "users.acl").write_text(ACL + (ACL_APP if options["host"] == "127.0.0.1" else ""))

    def client(self, **options):
        client = Client(self.socket_path, **options)
        client.call("AUTH", BOSS, BOSS)
        return client

    def start(self, ready=True, **config):
        alive = self.process is not None and self.process.alive
        return self if alive else super().start(ready, **config)

    def snapshot(self):
        saved = lambda: self.call("SAVE") == "OK"  # noqa: E731
        wait_until(saved, 10, "no other save is under way")  # one for a replica
        return super().snapshot()


HEALING = [
    ["CONFIG", "SET", "key-load-delay", 0],
    ["CONFIG", "SET", "maxclients", 1000],
    ["CONFIG", "SET", "replica-serve-stale-data", "yes"],
    ["CONFIG", "SET", "min-replicas-to-write", 0],
    ["CONFIG", "SET", "maxmemory", 0],
    ["CONFIG", "SET", "maxmemory-policy", "noeviction"],
    ["CONFIG", "SET", "save", ""],
    ["CONFIG", "SET", "appendonly", "no"],
    ["CONFIG", "SET", "busy-reply-threshold", 5000],
    ["CLIENT", "UNPAUSE"],
]


def heal_redis(redis, *more):
    """Whether it is as at the start; asked again until it is."""
    redis.thaw()
    if not redis.process.alive:
        redis.start(ready=False)
    with redis.client(timeout=1) as client:
        reply = client.call("PING")
        if "BUSY" in str(reply) and client.call("SCRIPT", "KILL") != "OK":
            redis.kill()
        if reply != "PONG" and "MASTERDOWN" not in str(reply):
            return False  # loading, or paused
        replies = [client.call(*command) for command in [*HEALING, *more]]
        replies.append(client.call("CONFIG", "SET", "dir", redis.folder))
    if any(reply != "OK" for reply in replies):
        raise OSError(f"Redis refuses to be healed: {replies}")
    return True


class Plain:
    """One redis-server. stayd reaches it under an address of its own, REDIS_HOST."""

    user = "default"  # that stayd is
    options = {}
    returns = ()

    def __init__(self, folder, network, random):
        self.folder, self.network, self.random = folder, network, random
        self.ending = []

    def start(self):
        self.redis = Redis(self.folder / "redis", host="0.0.0.0", **self.settings())
        self.ending.append(self.redis.kill)
        self.redis.start()
        self.wire = Wire(self.network, self.redis.named_port)
        return self

    def settings(self):
        return {}

    @property
    def url(self):
        return f"redis://{REDIS_HOST}:{self.redis.named_port}/0"

    def connections(self):
        """What names stayd's connections in CLIENT KILL."""
        return ["LADDR", f"{REDIS_HOST}:{self.redis.named_port}"]

    def turn(self):
        """Before the next faults: self.redis and self.wire are what they are about."""

    def heal_files(self):
        """Those that stayd reads."""

    def heal(self):
        again = ["ACL", "SETUSER", "default", "on", "nopass", "+@all"], ["REPLICAOF", "NO", "ONE"]
        wait_until(
            lambda: heal_redis(self.redis, *again), HEALED_WITHIN_S, "Redis is as at the start"
        )

    def wait_healed(self, stayd, within_s):
        """What else is right again once stayd trusts Redis."""

    def client(self):
        """Past stayd, to whoever has the key."""
        return self.redis.client()

    def end(self):
        for end in reversed(self.ending):
            end()


class _Authority(ServerAuthority):
    HOSTS = f"IP:{REDIS_HOST},IP:127.0.0.1,DNS:localhost"


class Tls(Plain):
    """Redis asks stayd for a certificate, stayd its clients for none. Both of stayd's ends can be given
    other files while it runs."""

    def settings(self):
        self.authority = _Authority(self.folder / "authority")
        self.other_authority = Authority(self.folder / "other", "another authority")
        self.server = self.authority.server_settings()
        self.files = self.folder / "files"  # stayd's
        self.files.mkdir()
        self.own, self.port_pair = self.authority.issue("stayd"), self.authority.issue("port")
        self.heal_files()
        self.port = free_port()
        return self.server

    def place(self, name, source):
        """As a certificate's renewal does it: at once."""
        fresh = self.files / f"fresh-{name}"
        shutil.copy(source, fresh)
        os.replace(fresh, self.files / name)

    def place_pair(self, name, pair):
        for kind, source in zip(("key", "pem"), reversed(pair)):
            self.place(f"{name}.{kind}", source)

    @property
    def url(self):
        return super().url.replace("redis:", "rediss:")

    @property
    def options(self):
        return {
            "redis.tls_ca_file": self.files / "ca.pem",
            "redis.tls_cert_file": self.files / "own.pem",
            "redis.tls_key_file": self.files / "own.key",
            "listen.tls": f"127.0.0.1:{self.port}",
            "listen.tls_cert_file": self.files / "port.pem",
            "listen.tls_key_file": self.files / "port.key",
        }

    def show(self, pair):
        """Redis' certificate from now on."""
        words = ("tls-cert-file", pair[0], "tls-key-file", pair[1])
        assert self.redis.call("CONFIG", "SET", *words) == "OK"

    def heal_files(self):
        self.place("ca.pem", self.authority.ca_file)
        self.place_pair("own", self.own)
        self.place_pair("port", self.port_pair)

    def heal(self):
        super().heal()
        self.show((self.server["tls-cert-file"], self.server["tls-key-file"]))
        reply = self.redis.call("CONFIG", "SET", "tls-port", self.redis.named_port)
        assert reply == "OK", reply


class Backup(Plain):
    """Beside a PostgreSQL or a MariaDB that keeps every session, too."""

    def start(self):
        kind = self.random.choice([PostgresServer, MariadbServer])
        self.database = kind(self.folder / "database", **kind.keeps_commits)
        self.ending.append(self.database.kill)
        self.database.start()
        self.database.make_database()
        self.password = self.folder / "password"
        self.password.write_text(PASSWORD)
        words = ["backup", "init", "--url", self.database.url(), "--password-file", self.password]
        subprocess.run([stayd_binary(), *words], check=True, capture_output=True, timeout=30)
        return super().start()

    @property
    def options(self):
        return {"backup.url": self.database.url(), "backup.password_file": self.password}

    def cut_off_database(self):
        self.network.drop(f"ip saddr 127.0.0.1 tcp dport {self.database.port}")

    def heal(self):
        super().heal()
        self.database.thaw()
        if not self.database.process.alive:
            self.database.start()
        self.database.set_read_only(False)

    def wait_healed(self, stayd, within_s):
        """Users go on: something is on its way at every moment, but nothing is late."""

        def caught_up():
            state = stayd.status()["backup"]
            return state["writable"] and state["oldest_unshipped_ms"] < LATE_MS

        wait_until(caught_up, within_s, "the backup has every row")


class _Set(Plain):
    """Several redis-servers: all connections from 127.0.0.1 to them are stayd's."""

    user = "app"

    def make_redis(self, **options):
        redis = Redis(self.folder / f"redis{len(self.ending)}", **{"host": "127.0.0.1", **options})
        self.ending.append(redis.kill)
        return redis.start()

    def look_at(self, redis):
        self.redis = redis
        self.wire = Wire(self.network, redis.named_port, client="127.0.0.1")

    @property
    def url(self):
        return self.servers.url

    @property
    def options(self):
        return self.servers.options

    def connections(self):
        return ["USER", self.user]

    def cut_off_stayd(self):
        """From all servers."""
        ports = ", ".join(str(port) for port in self.ports())
        self.network.drop(f"ip saddr 127.0.0.1 tcp dport {{ {ports} }}")

    def ports(self):
        return [node.named_port for node in self.nodes]

    def heal(self):
        self.before_servers()
        again = ["ACL", "SETUSER", self.user, "on", ">secret", "+@all"]
        for redis in self.nodes:
            wait_until(
                lambda r=redis: heal_redis(r, again), HEALED_WITHIN_S, "a server is as at the start"
            )
        self.after_servers()
        self.servers.wait_whole(timeout=40)
        self.turn()


class Sentinels(_Set):
    """A primary, two replicas and three Sentinels."""

    def start(self):
        tls = self.random.random() < TLS_SHARE
        self.servers = SentinelSet(
            self.folder, self.make_redis, down_after_ms=2_000 if tls else 700, tls=tls,
            failover_timeout_ms=2_000, network=self.network,
        )  # fmt: skip
        self.ending.append(self.servers.end)
        self.turn()
        return self

    @property
    def nodes(self):
        return self.servers.redises

    def ports(self):
        return [*super().ports(), *(sentinel.named_port for sentinel in self.servers.sentinels)]

    def turn(self):
        self.look_at(self.servers.primary)
        self.replica = self.random.choice(self.servers.replicas)

    def fail_over(self):
        reply = self.servers.sentinels[0].call("SENTINEL", "FAILOVER", "main")
        assert reply == "OK", reply

    def before_servers(self):
        for sentinel in self.servers.sentinels:
            sentinel.process.thaw()
            if not sentinel.process.alive:
                sentinel.start()

    def after_servers(self):
        pass


class Cluster(_Set):
    """Three primaries with a replica each; faults are about one shard at a time."""

    def start(self):
        self.servers = ClusterSet(
            self.folder, self.make_redis, full_coverage=self.random.random() < 0.5,
            tls=self.random.random() < TLS_SHARE, network=self.network,
        )  # fmt: skip
        self.moved = set()  # slots that somebody has begun to move
        self.returns = []  # old keys came back to them
        self.turn()
        return self

    @property
    def nodes(self):
        return self.servers.nodes

    def turn(self):
        self.shard = self.random.choice(self.servers.shards)
        self.other = self.random.choice([s for s in self.servers.shards if s is not self.shard])
        self.look_at(self.shard.primary)
        self.replica = self.shard.replicas[0]

    def fail_over(self, *how):
        reply = self.replica.call("CLUSTER", "FAILOVER", *how)
        assert reply == "OK", reply

    def before_servers(self):
        pass

    def after_servers(self):
        self.servers.stop_moves(self.moved)
        self.servers.wait_whole(timeout=40)
        for slot in self.moved:
            began_us = now_us()
            if self.servers.fix_slot(slot):
                self.returns.append(Return(slot, began_us, now_us()))
        self.moved.clear()

    def slots_in_use(self, primary):
        """Those with sessions in them."""
        return sorted({slot_of(key) for key in primary.keys()})

    def client(self):
        return self.servers.client()


BY_NAME = {
    "plain": Plain,
    "tls": Tls,
    "sentinel": Sentinels,
    "cluster": Cluster,
    "backup": Backup,
}
