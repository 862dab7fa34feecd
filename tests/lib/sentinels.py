"""A set of Sentinels around one primary and two replicas, for tests: kill, freeze, cut off, fail over.

Each Sentinel is redis-server in its Sentinel mode, on a port of its own.
"""

from .certificates import ServerAuthority
from .processes import Process, free_port, wait_until
from .resp import Client

NAME = "main"
APP = ["app", "on", ">secret", "~*", "&*", "+@all"]  # the user of each Redis that stayd is


SERVERS = "127.0.0.2-127.0.0.254"  # as nft writes it


def cut_off(network, own, *ports):
    """A server that listens on `ports` and opens its own connections from the address `own` from all that
    have such an address too."""
    ports = "{ " + ", ".join(map(str, ports)) + " }"
    for rule in (
        f"ip saddr {own}", f"ip daddr {own}",
        f"ip saddr {SERVERS} tcp dport {ports}", f"ip daddr {SERVERS} tcp sport {ports}",
    ):  # fmt: skip
        network.drop(rule)


class Sentinel:
    def __init__(
        self, folder, primary, quorum, down_after_ms, password=None, tls=None,
        host="127.0.0.1", port=None, failover_timeout_ms=10_000, source=None,
    ):  # fmt: skip
        self.folder, self.host, self.port, self.password = folder, host, port or free_port(), password
        self.named_port = tls["tls-port"] if tls else self.port  # in the URL
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"port {self.port}",
            f"bind {host}",
            f"sentinel announce-ip {host}",
            f"dir {folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {primary.named_port} {quorum}",
            f"sentinel down-after-milliseconds {NAME} {down_after_ms}",
            f"sentinel failover-timeout {NAME} {failover_timeout_ms}",
        ]
        if source:
            lines += [f"bind-source-addr {source}"]
        if password:
            lines += [f"requirepass {password}"]
        lines += [f"{key} {value}" for key, value in (tls or {}).items()]
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        self.process = None

    def start(self):
        argv = ["redis-server", self.folder / "sentinel.conf", "--sentinel"]
        name = f"sentinel {self.port}"
        self.process = Process(name, argv, self.folder / "sentinel.log").start()
        wait_until(lambda: self.call("PING") == "PONG", 10, f"{name} answers PING")
        return self

    def call(self, *args):
        with Client((self.host, self.port)) as client:
            if self.password:
                client.call("AUTH", self.password)
            return client.call(*args)

    def primary_port(self):
        """The port of the primary that it names."""
        return int(self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def knows(self):
        """(replicas, other Sentinels)"""
        flat = self.call("SENTINEL", "MASTER", NAME)
        fields = dict(zip(flat[::2], flat[1::2]))
        return int(fields[b"num-slaves"]), int(fields[b"num-other-sentinels"])


class SentinelSet:
    """`make_redis` is the fixture; its servers end with the test, the Sentinels with end(). `network`: the
    OwnNetwork in which all this lives, if servers are to be cut off: what they open themselves comes
    from addresses of their own then, 127.0.0.11 to 127.0.0.16."""

    def __init__(
        self, folder, make_redis, down_after_ms=600, password=None, tls=False,
        failover_timeout_ms=10_000, network=None,
    ):  # fmt: skip
        self.network = network
        self.authority = ServerAuthority(folder / "authority") if tls else None
        self.redises = [
            make_redis(
                repl_diskless_sync_delay=0, user=APP, **self._tls_settings(), **self._source(n)
            )
            for n in range(3)
        ]
        self.primary, *self.replicas = self.redises
        for replica in self.replicas:
            assert replica.call("REPLICAOF", "127.0.0.1", self.primary.named_port) == "OK"
        self.sentinels = [
            Sentinel(
                folder / f"sentinel{n}", self.primary, 2, down_after_ms, password,
                self._tls_settings(), failover_timeout_ms=failover_timeout_ms,
                source=f"127.0.0.{14 + n}" if network else None,
            )  # fmt: skip
            for n in range(3)
        ]
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_whole()

    def wait_whole(self, timeout=15):
        """Every Sentinel knows all, and all name one primary; the replicas are in step. Follows."""
        wait_until(
            lambda: all(s.knows() == (2, 2) for s in self.sentinels), timeout, "the Sentinels know all"
        )
        wait_until(self._follow, timeout, "the Sentinels agree")
        # They may yet name another one: a failover was under way.
        in_step = lambda: self._follow() and all(map(self._in_step, self.replicas))  # noqa: E731
        wait_until(in_step, timeout, "the replicas are in step")

    def _follow(self):
        """Whether all Sentinels name one primary: which one that is, and which are its replicas."""
        named = {sentinel.primary_port() for sentinel in self.sentinels}
        if len(named) != 1:
            return False
        self.primary = self.redis_at(named.pop())
        self.replicas = [redis for redis in self.redises if redis is not self.primary]
        return True

    def _in_step(self, replica):
        """With the primary that is named."""
        info = replica.info("replication")
        up = info.get("master_link_status") == "up"
        return up and int(info["master_port"]) == self.primary.named_port

    def _source(self, n):
        if not self.network:
            return {}
        own = {"bind_source_addr": f"127.0.0.{11 + n}", "replica_announce_ip": "127.0.0.1"}
        return own | {"protected_mode": "no"}

    def cut_off(self, redis):
        """From the other servers and from the Sentinels, not from clients; network.heal() ends it."""
        cut_off(self.network, redis.config["bind-source-addr"], redis.named_port)

    def _tls_settings(self):
        return self.authority.server_settings() if self.authority else {}

    @property
    def options(self):
        """What stayd needs beside the URL."""
        return self.authority.stayd_options() if self.authority else {}

    @property
    def url(self):
        """Names two Sentinels: the third is learnt. stayd is the user `app` of each Redis."""
        hosts = ",".join(f"127.0.0.1:{s.named_port}" for s in self.sentinels[:2])
        scheme = "rediss+sentinel" if self.authority else "redis+sentinel"
        return f"{scheme}://app:secret@{hosts}/{NAME}"

    def promoted_port(self):
        """The port of another primary than before, once one Sentinel names it; else None."""
        for sentinel in self.sentinels:
            if (port := sentinel.primary_port()) != self.primary.named_port:
                return port
        return None

    def redis_at(self, port):
        return next(redis for redis in self.redises if redis.named_port == port)

    def holds(self, key):
        return True

    def holder_of_all(self, port):
        """What must hold every session once `port` is promoted."""
        return self.redis_at(port)

    def end(self):
        for sentinel in self.sentinels:
            if sentinel.process:
                sentinel.process.kill()


# -- how a primary fails: each is put in, and what it leaves behind taken out, of a SentinelSet ---------------


class Killed:
    def put_in(self, servers):
        servers.primary.kill()

    def take_out(self, servers):
        servers.primary.start()


class Frozen:
    def put_in(self, servers):
        servers.primary.freeze()

    def take_out(self, servers):
        servers.primary.thaw()


class Asked:
    """By an operator: the old primary is sound all the time."""

    def put_in(self, servers):
        assert servers.sentinels[0].call("SENTINEL", "FAILOVER", "main") == "OK"

    def take_out(self, servers):
        pass


class CutOff:
    """From Sentinels and replicas, but not from stayd: it accepts writes that will be lost."""

    def put_in(self, servers):
        with servers.primary.client() as admin:
            admin.pipeline(
                ["ACL", "SETUSER", "default", "off"],
                ["CLIENT", "KILL", "TYPE", "replica"],
                ["CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"],
                ["CLIENT", "KILL", "USER", "default", "SKIPME", "yes"],
            )

    def take_out(self, servers):
        with servers.primary.client() as admin:
            assert admin.call("AUTH", "app", "secret") == "OK"
            assert admin.call("ACL", "SETUSER", "default", "on", "nopass") == "OK"


# name -> (fault, down-after-milliseconds of the Sentinels)
FAULTS = {
    "killed": (Killed(), 600),
    "killed_as_in_production": (Killed(), 5_000),
    "frozen": (Frozen(), 600),
    "asked_for": (Asked(), 600),
    "cut_off": (CutOff(), 600),
}
