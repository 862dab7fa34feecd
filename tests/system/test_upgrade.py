"""stayd is replaced by a new one under load, with the listening sockets held by somebody else as systemd
does it: nobody is refused, nobody waits long, nobody is logged out."""

import fcntl
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from lib.processes import Process, free_port, wait_until
from lib.resp import Client, Closed, ErrorReply
from lib.servers import StaydServer, stayd_binary
from lib.users import SLACK

# What systemd does between fork and exec: the sockets become 3 and 4, LISTEN_PID is the new process.
SHIM = 'exec 3<&"$1" 4<&"$2"; shift 2; export LISTEN_PID=$$; exec "$@"'
PAUSE_S = 0.3


def listener():
    """A listening socket whose descriptor stands above those that the shim gives away."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        plain.bind(("127.0.0.1", free_port()))
        plain.listen(511)
        return socket.socket(fileno=fcntl.fcntl(plain.fileno(), fcntl.F_DUPFD_CLOEXEC, 64))


class ActivatedProcess(Process):
    """A process that inherits listening sockets."""

    def __init__(self, name, argv, log_path, sockets):
        fds = [s.fileno() for s in sockets]
        super().__init__(name, ["bash", "-c", SHIM, "shim", *fds, *argv], log_path)
        self.fds = fds

    def start(self):
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self.fds,
                env={**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "resp:http"},
            )
        return self


class ActivatedStayd(StaydServer):
    """stayd on two sockets that the test listens on."""

    def __init__(self, folder, redis_url):
        super().__init__(folder, redis_url)
        self.sockets = [listener(), listener()]
        self.port, self.http_port = (s.getsockname()[1] for s in self.sockets)
        del self.options["listen.resp"], self.options["listen.http"]

    def start(self, wait="ready", timeout=15):
        argv = [stayd_binary(), "serve"]
        for key, value in self.options.items():
            argv += ["--" + key, value]
        log = self.folder / "stayd.log"
        self.process = ActivatedProcess(f"stayd {self.port}", argv, log, self.sockets).start()
        if wait:
            wait_until(lambda: self._http_ok("/readyz"), timeout, "stayd answers /readyz with 200")
        return self

    def close(self):
        for listening in self.sockets:
            listening.close()


@pytest.fixture
def activated(redis, folder, started):
    stayd = ActivatedStayd(folder / "activated", redis.url)
    started.append(stayd)
    stayd.start()
    stayd.wait_trusted()
    stayd.wait_adopted()
    yield stayd
    stayd.close()


class App(threading.Thread):
    """100 requests a second on one connection at a time; a new one when it ends. What it was told wrong
    goes to `problems`, how long each request took (reconnecting included) to `waits`."""

    def __init__(self, stayd, name):
        super().__init__(daemon=True)
        self.stayd, self.name = stayd, name
        self.client = None
        self.problems, self.waits, self.acked = [], [], {}
        self.reconnects = 0
        self.stopping = threading.Event()

    def ask(self, *args):
        """The reply, on whichever connection gives one: repeating these commands does no harm."""
        start = time.monotonic()
        while True:
            try:
                if self.client is None:
                    self.client = Client(self.stayd.port)
                reply = self.client.call(*args)
                self.waits.append((time.monotonic() - start, start))
                return reply
            except ConnectionRefusedError:
                self.problems.append("a connection was refused")
                return None
            except (Closed, OSError) as error:
                self.client = None
                self.reconnects += 1
                if time.monotonic() - start > 10:
                    self.problems.append(f"no answer within 10 s: {error!r}")
                    return None

    def run(self):
        turn = 0
        due = time.monotonic()
        while not self.stopping.is_set():
            turn += 1
            due += 0.01
            self.stopping.wait(max(0, due - time.monotonic()))
            key = f"sess:{self.name}-{turn // 4}"
            if turn % 4 == 0:
                reply = self.ask("SET", key, f"v{turn}", "EX", 1000)
                if reply == "OK":
                    self.acked[key] = f"v{turn}".encode()
                else:
                    self.problems.append(f"SET {key} -> {reply!r}")
            elif key in self.acked:
                reply = self.ask("GET", key)
                if reply != self.acked[key] or isinstance(reply, ErrorReply):
                    self.problems.append(f"GET {key} -> {reply!r}")
        if self.client is not None:
            self.client.close()


def phases_of(stayd, since):
    """What the log's lines from number `since` on say happened when."""
    lines = [json.loads(line) for line in stayd.log_lines()[since:] if line.startswith("{")]
    return ", ".join(f"{line['event']} {line['ts'][17:-1]}" for line in lines)


def run_upgrade(stayd):
    apps = [App(stayd, f"app{n}") for n in range(5)]
    for app in apps:
        app.start()
    wait_until(lambda: all(len(app.waits) > 100 for app in apps), 10, "the load runs")
    lines = len(stayd.log_lines())
    begin = time.monotonic()
    assert stayd.stop() == 0
    ended = time.monotonic()
    stayd.start(wait=None)
    counts = [len(app.waits) for app in apps]
    wait_until(
        lambda: all(len(app.waits) > n + 100 for app, n in zip(apps, counts, strict=True)),
        15,
        "the load runs on",
    )
    for app in apps:
        app.stopping.set()
    for app in apps:
        app.join(15)
    return apps, f"ended after {(ended - begin) * 1000:.0f} ms; log, in seconds: {phases_of(stayd, lines)}"


@pytest.mark.timeout(90)
def test_upgrade_under_load(activated, redis):
    """500 requests a second go on while SIGTERM ends the old stayd and a new one takes its sockets."""
    apps, phases = run_upgrade(activated)
    assert [problem for app in apps for problem in app.problems] == []
    assert all(app.reconnects >= 1 for app in apps), "the old stayd has not ended its connections"
    pause = max(wait for app in apps for wait, _ in app.waits)
    assert pause <= PAUSE_S * SLACK, f"a request took {pause * 1000:.0f} ms; {phases}"
    activated.wait_trusted()
    acked = {key: value for app in apps for key, value in app.acked.items()}
    for turn in ("with Redis", "without Redis"):
        with activated.client() as client:
            lost = [key for key, value in acked.items() if client.call("GET", key) != value]
        assert lost == [], f"{turn}, lost: {lost[:5]}"
        redis.kill()


def test_upgrade_during_an_outage(activated, redis):
    """The same while Redis is out: all that was acknowledged is in the ledger that the new one opens."""
    redis.kill()
    apps, phases = run_upgrade(activated)
    assert [problem for app in apps for problem in app.problems] == []
    pause = max(wait for app in apps for wait, _ in app.waits)
    assert pause <= PAUSE_S * SLACK, f"a request took {pause * 1000:.0f} ms; {phases}"
