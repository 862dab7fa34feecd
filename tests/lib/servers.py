"""Real redis-server and stayd processes for tests: started, killed, frozen, restarted at will.

Each server owns a folder (data, log) inside the test's temporary folder. Use them through the
fixtures of tests/conftest.py, which end them with the test.
"""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from .processes import Process, free_port, wait_until
from .resp import Client, Closed, ErrorReply

ROOT = Path(__file__).resolve().parents[2]


class RedisServer:
    """redis-server on a port of its own (and a unix socket), with no persistence unless asked.

    `prefix` is a command that runs it: ["env", "TZ=UTC"]. A setting of several words is a list.
    """

    def __init__(
        self, folder, port=None, password=None, host="127.0.0.1", prefix=(), **config
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.password, self.host, self.prefix = password, host, prefix
        defaults = {
            "save": "",
            "appendonly": "no",
            "enable-debug-command": "yes",
            "enable-protected-configs": "yes",
            # A slow load (key-load-delay) shall answer -LOADING, not be silent.
            "loading-process-events-interval-bytes": "1024",
        }
        self.config = {**defaults, **{key.replace("_", "-"): v for key, v in config.items()}}
        self.process = None

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}/0"

    @property
    def named_port(self):
        """By which other servers know it: with TLS the port that speaks it."""
        return self.config.get("tls-port", self.port)

    @property
    def socket_path(self):
        return str(self.folder / "redis.sock")

    @property
    def pid(self):
        return self.process.pid

    def start(self, ready=True, **config):
        """Starts it; with `ready` it waits until PING says PONG (LOADING is waited out)."""
        settings = {**self.config, **{key.replace("_", "-"): v for key, v in config.items()}}
        argv = [*self.prefix, "redis-server", "--port", self.port, "--bind", self.host]
        argv += ["--dir", self.folder]
        argv += ["--unixsocket", "redis.sock", "--daemonize", "no"]
        if self.password:
            argv += ["--requirepass", self.password]
        for key, value in settings.items():
            argv += ["--" + key, *(value if isinstance(value, list) else [value])]
        self.process = Process(f"redis {self.port}", argv, self.folder / "redis.log").start()
        if ready:
            wait_until(self._answers, 10, f"redis on port {self.port} answers PING")
        return self

    def _answers(self):
        self.process.must_be_alive()
        return self.call("PING") == "PONG"

    def config_set(self, **settings):
        for key, value in settings.items():
            reply = self.call("CONFIG", "SET", key.replace("_", "-"), value)
            assert reply == "OK", f"CONFIG SET {key} {value}: {reply}"

    def info(self, section="all"):
        """INFO as {field: text}."""
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def start_loading(self, keys=5000, delay_us=2000):
        """kill -9 and back with all its data, answering -LOADING for keys x delay_us."""
        self.call("DEBUG", "POPULATE", keys, "ballast", 10)
        assert self.call("SAVE") == "OK"
        self.kill()
        self.start(ready=False, key_load_delay=delay_us)
        wait_until(lambda: str(self.call("PING")).startswith("LOADING"), 5, "Redis says LOADING")

    def finish_loading(self):
        self.call("CONFIG", "SET", "key-load-delay", 0)
        wait_until(lambda: self.call("PING") == "PONG", 10, "Redis has loaded")

    def client(self, **options):
        client = Client((self.host, self.port), **options)
        if self.password:
            client.call("AUTH", self.password)
        return client

    def call(self, *args):
        """One command on a connection of its own, past stayd."""
        with self.client() as client:
            return client.call(*args)

    def keys(self):
        """All keys as text, without stayd's own side keys."""
        keys = {key.decode(errors="replace") for key in self.call("KEYS", "*")}
        return {key for key in keys if not is_side_key(key)}

    # -- faults ----------------------------------------------------------------------------------

    def kill(self):
        if self.process:
            self.process.kill()

    def stop(self):
        return self.process.stop()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def wipe(self):
        """Removes what it has on disk; only while it does not run."""
        for name in ("dump.rdb", "appendonlydir"):
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def restart_empty(self, **config):
        """kill -9 and back with nothing in it."""
        self.kill()
        self.wipe()
        return self.start(**config)

    def snapshot(self):
        """Saves and keeps a copy of the data set; restart_from() goes back to it."""
        assert self.call("SAVE") == "OK"
        copy = self.folder / f"snapshot-{time.monotonic_ns()}.rdb"
        shutil.copy(self.folder / "dump.rdb", copy)
        return copy

    def restart_from(self, snapshot, **config):
        """kill -9 and back with the data of an earlier snapshot()."""
        self.kill()
        self.wipe()
        shutil.copy(snapshot, self.folder / "dump.rdb")
        return self.start(**config)


def is_side_key(key):
    """stayd's own keys in Redis (canary, lease, epoch): none of the application's business."""
    return key.startswith("stayd:{")


def stayd_binary():
    """build/release/stayd, or what TESTS_STAYD_BIN names (the sanitizer builds)."""
    path = Path(os.environ.get("TESTS_STAYD_BIN", ROOT / "build/release/stayd"))
    assert path.exists(), f"{path} is missing: run ./dev build"
    return path


class StaydServer:
    """`stayd serve` in front of one Redis URL. `options` are flags: {"redis.deadline": "50ms"};
    `prefix` is a command that runs it, `env` is added to its environment."""

    def __init__(self, folder, redis_url, options=None, config_text=None, prefix=(), env=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.http_port = free_port(), free_port()
        self.options = {
            "redis.url": redis_url,
            "listen.resp": f"127.0.0.1:{self.port}",
            "listen.http": f"127.0.0.1:{self.http_port}",
            "ledger.path": self.folder / "ledger",
            **(options or {}),
        }
        self.config_text, self.prefix, self.env = config_text, prefix, env
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait="ready", timeout=15):
        """`wait`: "ready" (/readyz says 200), "live" (/livez does) or None."""
        argv = [*self.prefix, stayd_binary(), "serve"]
        if self.config_text is not None:
            config = self.folder / "stayd.toml"
            config.write_text(self.config_text)
            argv += ["--config", config]
        for key, value in self.options.items():
            argv += ["--" + key, value]
        log = self.folder / "stayd.log"
        self.process = Process(f"stayd {self.port}", argv, log, env=self.env).start()
        if wait:
            path = {"ready": "/readyz", "live": "/livez"}[wait]
            wait_until(lambda: self._http_ok(path), timeout, f"stayd answers {path} with 200")
        return self

    def _http_ok(self, path):
        self.process.must_be_alive()
        return self.http(path)[0] == 200

    def http(self, path, timeout=5):
        """(status, body) of a GET on the HTTP port."""
        try:
            url = f"http://127.0.0.1:{self.http_port}{path}"
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def client(self, **options):
        return Client(self.port, **options)

    def call(self, *args):
        with self.client() as client:
            return client.call(*args)

    def stop(self):
        return self.process.stop()

    def kill(self):
        if self.process:
            self.process.kill()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def check(self):
        """(exit code, output) of `stayd check` with the flags of this server."""
        argv = [stayd_binary(), "check"]
        for key, value in self.options.items():
            argv += ["--" + key, value]
        run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=30)
        return run.returncode, run.stdout + run.stderr

    def restart(self, **options):
        """kill -9 and start again on the same ledger and ports."""
        self.kill()
        return self.start(**options)

    # -- looking inside --------------------------------------------------------------------------

    def metrics(self):
        """{name or name{label="x"}: number} of the metrics page."""
        status, body = self.http("/metrics")
        assert status == 200, f"/metrics says {status}: {body}"
        found = {}
        for line in body.splitlines():
            match = re.match(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)", line)
            if match:
                found[match[1]] = float(match[2])
        return found

    def metric(self, name):
        """The sum over all labels of one metric; 0 if it is not there."""
        return sum(v for key, v in self.metrics().items() if key.split("{")[0] == name)

    def status(self):
        """/status.json as it is."""
        status, body = self.http("/status.json")
        assert status == 200, f"/status.json says {status}: {body}"
        return json.loads(body)

    def shards(self):
        """Its page's part on the Redis, or on each shard of the Cluster."""
        page = self.status()
        return page["cluster"]["shards"] if "cluster" in page else [page["shard"]]

    def trust(self):
        """What it believes of Redis: "trusted", "suspect" or "out"."""
        return str(find(self.status(), "trust")).lower()

    def wait_trusted(self, timeout=10):
        """Redis is trusted and nothing is owed to it; otherwise says what is believed instead."""
        doubtful = []

        def trusted():
            shards = self.shards()
            doubtful[:] = [
                f"{shard['address']} is {shard['trust']} ({shard['reason']}), {shard['debts']} debts"
                for shard in shards
                if shard["trust"] != "trusted" or shard["debts"]
            ]
            return shards and not doubtful

        try:
            wait_until(trusted, timeout, "")
        except AssertionError as error:
            recent = "\n  ".join(self.log_lines()[-8:])
            raise AssertionError(
                f"after {timeout} s Redis {', '.join(doubtful) or 'is not found'}; {error}; the last of stayd's log:"
                f"\n  {recent}"
            ) from None

    def wait_adopted(self, timeout=10):
        wait_until(
            lambda: find(self.status(), "adoption_complete"), timeout, "stayd knows every key"
        )

    def wait_settled(self):
        """In front of a Cluster no row means no key a little after the backfill's end (W7)."""
        wait_until(lambda: find(self.status(), "adoption_settled"), 30, "no row means no key")

    def log_lines(self, containing=""):
        return [line for line in self.process.log().splitlines() if containing in line]


def find(tree, name):
    """The first value called `name` in nested JSON, or None."""
    if isinstance(tree, dict):
        if name in tree:
            return tree[name]
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            value = find(item, name)
            if value is not None:
                return value
    return None


__all__ = ["RedisServer", "StaydServer", "Client", "Closed", "ErrorReply", "wait_until", "free_port"]
