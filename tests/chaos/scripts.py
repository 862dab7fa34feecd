"""What the raw client's users do, drawn from a seed: sessions in the shapes of real libraries.

Pure. A session has one key and up to three clients (tabs). Each client's commands depend only on the
seed, the session's number and the client's, and (locks) on the reply before; never on time.

A command is a list of words; several words lists are one MULTI block. The checker's spec
(sim/spec.cc) knows every command that stands here.
"""

from random import Random

LIFETIME_S = 3600
BRIEF_MS = 4000  # one lifetime for all writes: a newer value never ends before an older one would have
COMPARE_AND_DELETE = (
    'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end'
)
KINDS = {"express": 30, "php": 15, "hash": 15, "block": 15, "lock": 5, "counter": 10, "brief": 10}
HASHES = ("hash", "block")
READS = ("GET", "HGETALL", "EXISTS")


class Session:
    """`number` counts from 0 over the whole run."""

    def __init__(self, seed, number):
        random = Random(f"{seed}/{number}")
        self.seed, self.number = seed, number
        self.kind = random.choices(list(KINDS), KINDS.values())[0]
        self.key = f"raw:{self.kind}:{number}"
        self.clients = random.choice((1, 2, 2, 3))
        self.commands_to_logout = random.randint(3, 20)

    def script(self, client):
        """A generator of operations (lists of commands); it is sent each one's reply. Client 0 logs
        out at the end and looks whether that holds; the others end at about the same time."""
        random = Random(f"{self.seed}/{self.number}/{client}")
        versions = (f"{self.number}.{client}.{n}" for n in range(1_000_000))
        if client == 0 and self.kind not in ("lock", "counter"):
            yield [self._save(random, next(versions))]
        for _ in range(self.commands_to_logout):
            if self.kind == "lock":
                yield from self._lock(random, next(versions))
            else:
                yield self._choose(random, versions)
        if client != 0:
            return
        yield [[random.choice(("DEL", "DEL", "UNLINK")), self.key]]
        for _ in range(3):
            yield [["HGETALL" if self.kind in HASHES else "GET", self.key]]

    def _choose(self, random, versions):
        if self.kind == "counter":
            return [[random.choice(("INCR", "INCR", "INCR", "GET")), self.key]]
        if self.kind == "brief":
            return [["GET", self.key] if random.random() < 0.7 else self._save(random, next(versions))]
        if self.kind in HASHES:
            return self._choose_hash(random, versions)
        dice = random.random()
        if dice < 0.55:
            return [["GET", self.key]]
        if dice < 0.70:
            return [["EXPIRE", self.key, str(self._ttl(random))]]
        if dice < 0.75:
            return [["EXISTS", self.key]]
        if dice < 0.77:
            return [["GETDEL", self.key]]
        save = self._save(random, next(versions))
        if dice < 0.83 and self.kind == "express":
            save.append(random.choice(("NX", "XX")))
        return [save]

    def _choose_hash(self, random, versions):
        dice = random.random()
        touch = ["EXPIRE", self.key, str(self._ttl(random))]
        if dice < 0.50:
            return [["HGETALL", self.key]]
        if dice < 0.60:
            return [touch]
        if dice < 0.62:
            return [["DEL", self.key]]
        save = self._save(random, next(versions))
        if self.kind == "hash":
            return [save]
        if dice < 0.75:
            return [save, touch, ["HINCRBY", self.key, "writes", "1"]]
        if dice > 0.95:
            return [["DEL", self.key], save, touch]
        return [save, touch]

    def _lock(self, random, token):
        reply = yield [["SET", self.key, token, "NX", "PX", "30000"]]
        if reply == "+OK":
            yield [["EVAL", COMPARE_AND_DELETE, "1", self.key, token]]

    def _save(self, random, version):
        ttl = str(self._ttl(random))
        if self.kind in HASHES:
            return ["HSET", self.key, "absexp", version, "data", version, "user", version]
        if self.kind == "php":
            return ["SETEX", self.key, ttl, version]
        if self.kind == "brief":
            return ["SET", self.key, version, "PX", str(BRIEF_MS)]
        return ["SET", self.key, version, "EX", ttl]

    @staticmethod
    def _ttl(random):
        return LIFETIME_S + random.randrange(100)


def writes(commands):
    return len(commands) > 1 or commands[0][0] not in READS
