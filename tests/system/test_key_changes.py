"""The ledger's keys change while it serves, and something else fails meanwhile: stayd is killed, its disk
fails or is full, a key cannot be had, bytes are damaged."""

import os
import signal
import threading
from pathlib import Path

import pytest

from lib.at_rest import KeyFile, damage, ledger_stats, logged
from lib.faults import failing_calls
from lib.processes import wait_until

ROWS = 8_000  # are sealed anew in 32 steps, more than half a second


@pytest.fixture
def key_file(folder):
    return KeyFile(folder / "keys")


@pytest.fixture
def make_keyed(make_stayd, redis):
    """A trusted stayd with a [at_rest] section of its own, which `configure` replaces."""

    def make(at_rest, **options):
        stayd = make_stayd(redis.url, config_text=at_rest, options=options)
        stayd.wait_trusted()
        stayd.wait_adopted()
        return stayd

    return make


def by_file(key_file):
    return f'[at_rest]\nencryption_key_file = "{key_file}"\n'


def reload(stayd, at_rest=None):
    if at_rest is not None:
        stayd.config_text = at_rest
        (stayd.folder / "stayd.toml").write_text(at_rest)
    os.kill(stayd.pid, signal.SIGHUP)


def wait_data_key(stayd, number):
    wait_until(lambda: stayd.metric("stayd_ledger_data_key") == number, 10, f"data key {number}")


def wait_sealed(stayd, timeout=30):
    wait_until(lambda: stayd.metric("stayd_ledger_resealing") == 0, timeout, "all is sealed")
    wait_until(lambda: logged(stayd, "reseal_ended"), timeout, "it is told")


def fill_with_sessions(stayd, count, size=50):
    with stayd.client() as client:
        for first in range(0, count, 500):
            keys = range(first, min(first + 500, count))
            commands = [("SET", f"sess:{n}", f"{n}-".ljust(size, "x"), "EX", 3600) for n in keys]
            assert set(client.pipeline(*commands)) == {"OK"}


class Traffic:
    """Writes and logouts without a pause; remembers what was acknowledged."""

    def __init__(self, stayd):
        self.stayd, self.live, self.dead, self.open = stayd, {}, set(), None
        self.problems, self.stopping = [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        count = 0
        try:
            with self.stayd.client() as client:
                while not self.stopping.is_set():
                    count += 1
                    key = self.open = f"busy:{count % 50}"
                    if count % 7 == 0 and key in self.live:
                        reply, wanted = client.call("DEL", key), 1
                    else:
                        reply, wanted = client.call("SET", key, f"v{count}", "EX", 3600), "OK"
                    if reply != wanted:
                        self.problems.append((key, reply))
                    elif reply == 1:
                        del self.live[key]
                        self.dead.add(key)
                    else:
                        self.live[key] = f"v{count}".encode()
                        self.dead.discard(key)
        except (OSError, EOFError) as error:  # stayd was killed
            self.ended = error

    def expect_all(self, client):
        assert self.problems == [] and len(self.live) > 10
        for key in self.live.keys() - {self.open}:
            assert client.call("GET", key) == self.live[key], key
        for key in self.dead - {self.open}:
            assert client.call("GET", key) is None, key


def test_killed_while_values_are_sealed_anew(make_keyed, redis, key_file):
    """Redis dies, then stayd, in the middle of the walk. With the new key alone everything is there."""
    stayd = make_keyed(by_file(key_file))
    fill_with_sessions(stayd, ROWS)
    key_file.rotate()
    with Traffic(stayd) as traffic:
        reload(stayd)
        wait_data_key(stayd, 2)
        resealing = stayd.metric("stayd_ledger_resealing")
        redis.kill()
        wait_until(lambda: len(traffic.live) > 40, 10, "users go on without Redis")
        stayd.kill()
    assert resealing == 1, "the walk ended before it could be cut short"
    key_file.write(key_file.keys[0])
    stayd.start(wait="live")
    with stayd.client() as client:
        traffic.expect_all(client)
        for n in range(0, ROWS, 7):
            assert client.call("GET", f"sess:{n}") == f"{n}-".ljust(50, "x").encode()
    wait_until(lambda: logged(stayd, "reseal_ended"), 30, "the walk is begun again, and ends")
    with stayd.client() as client:
        traffic.expect_all(client)
    stats = ledger_stats(stayd)
    assert (stats["values_in_clear"], list(stats["values_sealed"])) == (0, ["2"])


def test_the_disk_fails_while_values_are_sealed_anew(make_keyed, redis, key_file):
    """EIO: Redis answers on, the walk goes on where the disk does, and no value loses its key."""
    stayd = make_keyed(by_file(key_file))
    fill_with_sessions(stayd, ROWS)
    key_file.rotate()
    reload(stayd)
    wait_data_key(stayd, 2)
    with stayd.client() as client, failing_calls(stayd, "write,pwrite64", ledger_log(stayd)):
        wait_until(lambda: client.call("SET", "sess:1", "new") == "OK", 5, "Redis answers on")
        assert client.call("DEL", "sess:0") == 1
        wait_until(lambda: ledger_error(stayd), 10, "the walk met it")
    wait_sealed(stayd)
    key_file.rotate()
    reload(stayd)
    wait_data_key(stayd, 3)
    wait_sealed(stayd)
    redis.kill()
    with stayd.client() as client:
        assert client.call("GET", "sess:0") is None
        assert client.call("GET", "sess:1") == b"new"
        for n in range(2, ROWS, 7):
            assert client.call("GET", f"sess:{n}") == f"{n}-".ljust(50, "x").encode()


@pytest.mark.parametrize("small_disk", ["160m"], ids=["160m"], indirect=True)
def test_the_disk_is_full_while_values_are_sealed_anew(make_keyed, redis, key_file, small_disk):
    """Logouts have the ballast, whoever met the full disk first; with space the walk goes on."""
    stayd = make_keyed(by_file(key_file), **{"ledger.path": small_disk / "ledger"})
    fill_with_sessions(stayd, 1_500, 12_000)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while room(small_disk) > (1 << 20) and file.write(bytes(1 << 18)):
            pass
    key_file.rotate()
    reload(stayd)
    wait_data_key(stayd, 2)
    wait_until(lambda: ledger_error(stayd), 20, "the walk meets the full disk")
    assert stayd.metric("stayd_ledger_resealing") == 1
    with stayd.client() as client:
        for n in range(20):
            assert client.call("DEL", f"sess:{n}") == 1
    assert stayd.metric("stayd_logouts_degraded_total") == 0
    filler.unlink()
    wait_sealed(stayd)
    redis.kill()
    stats = ledger_stats(stayd)
    assert (stats["values_in_clear"], list(stats["values_sealed"])) == (0, ["2"])
    with stayd.client() as client:
        assert [client.call("GET", f"sess:{n}") for n in range(20)] == [None] * 20
        assert client.call("STRLEN", "sess:1000") == 12_000


def room(path):
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def ledger_error(stayd):
    return stayd.status()["ledger"]["last_error"]


def test_a_key_command_that_fails(make_keyed, redis, key_file, folder):
    """The keys in use stay; mended, and asked again, the new one is taken."""
    at_rest = f'[at_rest]\nencryption_key_command = ["/bin/sh", "{folder / "command"}"]\n'
    script = folder / "command"
    script.write_text(f"tr '\\n' , < {key_file}")
    stayd = make_keyed(at_rest)
    wait_data_key(stayd, 1)
    fill_with_sessions(stayd, 100)
    script.write_text("echo 'the vault is sealed' >&2; exit 3")
    reload(stayd)
    wait_until(lambda: logged(stayd, "encryption_key_refused"), 10, "it is told")
    assert "the vault is sealed" in logged(stayd, "encryption_key_refused")[0]["message"]
    fill_with_sessions(stayd, 200)
    assert stayd.metric("stayd_ledger_data_key") == 1
    key_file.rotate()
    script.write_text(f"touch {folder / 'runs'}; sleep 60")
    reload(stayd)
    wait_until(lambda: (folder / "runs").exists(), 10, "it runs")
    script.write_text(f"tr '\\n' , < {key_file}")
    reload(stayd)  # the second SIGHUP counts, and the first one's end is no refusal
    wait_data_key(stayd, 2)
    assert len(logged(stayd, "encryption_key_refused")) == 1
    key_file.write(key_file.keys[0])
    stayd.restart()
    redis.kill()
    with stayd.client() as client:
        for n in range(200):
            assert client.call("GET", f"sess:{n}") == f"{n}-".ljust(50, "x").encode()


def ledger_log(stayd):
    return max((Path(stayd.folder) / "ledger/db").glob("*.log"))


def test_a_value_that_does_not_open(make_keyed, redis, key_file):
    """An error for its key alone, never a wrong value and never nil. Its data key stays, as no walk has sealed
    it anew."""
    stayd = make_keyed(by_file(key_file))
    with stayd.client() as client:  # one record of the log each
        for n in range(20):
            assert client.call("SET", f"sess:{n}", f"{n}".ljust(300, "x"), "EX", 3600) == "OK"
    stayd.kill()
    damage(ledger_log(stayd), b"sess:7", 200)
    stayd.start()
    wait_until(lambda: stayd.trust() == "trusted", 10, "Redis is trusted, and one key stays owed")
    redis.freeze()
    with stayd.client() as client:
        assert str(client.call("GET", "sess:7")).startswith("TRYAGAIN")
        assert client.call("GET", "sess:8") == b"8".ljust(300, b"x")
        key_file.rotate()
        reload(stayd)
        wait_data_key(stayd, 2)
        wait_until(lambda: logged(stayd, "reseal_ended"), 10, "the walk ends")
        assert set(ledger_stats(stayd)["values_sealed"]) == {"1", "2"}
        assert "rows that do not open: 1" in logged(stayd, "reseal_ended")[-1]["message"]
    redis.thaw()


def test_a_damaged_key_ring(make_keyed, redis, key_file):
    """stayd does not start, says what to do, and changes nothing."""
    stayd = make_keyed(by_file(key_file))
    stayd.kill()
    log = ledger_log(stayd)
    right = log.read_bytes()
    damage(log, b"\x04keys", 60)
    stayd.start(wait=None)
    wait_until(lambda: not stayd.process.alive, 10, "stayd refuses to start")
    message = logged(stayd, "start_failed")[-1]["message"]
    assert "key ring" in message and "restore the folder from a copy" in message
    log.write_bytes(right)
    stayd.start()
