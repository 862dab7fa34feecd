"""Fixtures of the system and client tests. Every server they hand out ends with its test."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lib.clusters import ClusterSet  # noqa: E402
from lib.databases import PASSWORD  # noqa: E402
from lib.failure_page import row_of  # noqa: E402
from lib.faultproxy import FaultProxy  # noqa: E402
from lib.own_network import OwnNetwork  # noqa: E402
from lib.servers import RedisServer, StaydServer, stayd_binary  # noqa: E402


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(scope="module")
def module_folder():
    # Short: a unix socket's path has room for 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="stayd-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder():
    folder = Path(tempfile.mkdtemp(prefix="stayd-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def network():
    """In which the test lives, and all that it starts. Asked for before what starts servers."""
    with OwnNetwork() as network:
        yield network


@pytest.fixture
def started(request, folder):
    """Servers to end with the test; a failed test shows the tails of their logs."""
    servers = []
    yield servers
    report = getattr(request.node, "report_call", None)
    failed = report is None or report.failed
    unseen = [] if failed else unseen_of_row(request.node, servers)
    reports = []
    for server in reversed(servers):
        end(server)
        if failed and server.process:
            print(f"---- log of {server.process.name}\n{server.process.log_tail()}")
        if server.process:
            reports += server.process.sanitizer_report()
    assert not reports, "a sanitizer reports:\n" + "\n".join(reports)
    assert not unseen, f"docs/failure_modes.md names for this test what was not seen: {unseen}"


def unseen_of_row(test, servers):
    stayds = [server for server in servers if isinstance(server, StaydServer) and server.process]
    row = row_of(f"{test.path.name}::{test.name}")
    return row.unseen(stayds) if row and stayds else []


def end(server):
    """A sanitizer tells of leaks only at an orderly end."""
    if os.environ.get("TESTS_SANITIZED") and server.process and isinstance(server, StaydServer):
        server.stop()
    server.kill()


@pytest.fixture
def make_redis(folder, started):
    def make(start=True, **options):
        server = RedisServer(folder / f"redis{len(started)}", **options)
        started.append(server)
        return server.start() if start else server

    return make


@pytest.fixture
def make_stayd(folder, started):
    def make(redis_url, wait="ready", **options):
        server = StaydServer(folder / f"stayd{len(started)}", redis_url, **options)
        started.append(server)
        return server.start(wait=wait) if wait != "never" else server

    return make


@pytest.fixture
def start_database(folder, started):
    """Starts a server of that kind, with the database `sessions`, as yet without tables."""

    def start(kind, **settings):
        server = kind(folder / kind.kind, **settings)
        started.append(server)
        server.start()
        server.make_database()
        return server

    return start


@pytest.fixture
def run_backup(folder):
    """Runs `stayd backup WORDS --url URL`; returns exit code, standard output and standard error."""
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")

    def run(*words, url, options=("--password-file", password_file)):
        argv = [stayd_binary(), "backup", *words, "--url", url, *options]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def backup(database, run_backup):
    """The same on the fixture `database` of the test's file, unless another URL is given."""
    return lambda *words, url=None, **more: run_backup(*words, url=url or database.url(), **more)


@pytest.fixture
def backup_options(database, backup, folder):
    """Flags of a stayd that shares the fixture `database`, which is prepared for it."""
    code, _, err = backup("init")
    assert code == 0, err
    options = {"backup.url": database.url()}
    return options | ({"backup.password_file": folder / "password"} if database.has_passwords else {})


@pytest.fixture
def make_sharer(redis, make_stayd, backup_options):
    """A stayd on a host of its own that shares the fixture `database`, and trusts Redis."""

    def make():
        stayd = make_stayd(redis.url, options=backup_options)
        stayd.wait_trusted()
        return stayd

    return make


@pytest.fixture
def lose_all(redis, make_sharer):
    """A stayd's host and Redis are lost together; returns a stayd on another host."""

    def lose(stayd):
        stayd.kill()
        redis.restart_empty()
        return make_sharer()

    return lose


@pytest.fixture
def make_cluster(network, folder, make_redis):
    return lambda **options: ClusterSet(folder, make_redis, network=network, **options)


@pytest.fixture
def clustered(make_cluster, make_stayd):
    """Makes a Cluster and a stayd that trusts every shard of it."""

    def make(stayd_options=None, **options):
        cluster = make_cluster(**options)
        stayd = make_stayd(cluster.url, options={**cluster.options, **(stayd_options or {})})
        stayd.wait_trusted()
        stayd.wait_adopted()
        assert len(stayd.shards()) == len(cluster.shards)
        return cluster, stayd

    return make


@pytest.fixture
def redis(make_redis):
    """A running Redis, empty."""
    return make_redis()


@pytest.fixture
def stayd(redis, make_stayd):
    """A running stayd that trusts `redis`."""
    server = make_stayd(redis.url)
    server.wait_trusted()
    server.wait_adopted()
    return server


@pytest.fixture
def client(stayd):
    with stayd.client() as client:
        yield client


@pytest.fixture
def row(request):
    """This test's row of docs/failure_modes.md."""
    return row_of(f"{request.path.name}::{request.node.name}")


@pytest.fixture
def make_proxy():
    proxies = []

    def make(target_port):
        proxies.append(FaultProxy(target_port))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def proxied(redis, make_proxy, make_stayd):
    """(stayd, proxy): stayd reaches `redis` through the fault proxy."""
    proxy = make_proxy(redis.port)
    server = make_stayd(f"redis://127.0.0.1:{proxy.port}/0")
    server.wait_trusted()
    server.wait_adopted()
    return server, proxy


@pytest.fixture
def small_disk(request, folder):
    """A file system of 64 MB, or as its parameter says. Needs root, or sudo without a password."""
    path = folder / "small"
    path.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={getattr(request, 'param', '64m')},uid={os.geteuid()}"
    subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    yield path
    subprocess.run([*as_root, "umount", "--lazy", path], check=False)
