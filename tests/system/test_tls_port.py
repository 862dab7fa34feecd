"""Clients of the Redis port over TLS (listen.tls)."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from lib.certificates import Authority
from lib.processes import free_port, wait_until
from lib.resp import Client, encode
from lib.servers import stayd_binary

NODE = Path(__file__).resolve().parents[1] / "clients/node"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve(make_redis, make_stayd, authority, folder):
    """(stayd, its Redis); stayd.tls_port speaks TLS with a certificate in `folder`."""

    def make(**more):
        cert, key = authority.issue(f"stayd{time.monotonic_ns()}")
        files = folder / "port.pem", folder / "port.key"
        shutil.copy(cert, files[0])
        shutil.copy(key, files[1])
        port = free_port()
        redis = make_redis()
        stayd = make_stayd(redis.url, options={
            "listen.tls": f"127.0.0.1:{port}",
            "listen.tls_cert_file": files[0], "listen.tls_key_file": files[1], **more,
        })
        stayd.tls_port = port
        stayd.wait_trusted()
        return stayd, redis

    return make


def tls_client(stayd, authority, cert=None, resumed=None):
    """`resumed`: an earlier client, whose session this one goes on with."""
    if resumed:
        return Client(stayd.tls_port, tls=resumed.sock.context, session=resumed.sock.session)
    context = ssl.create_default_context(cafile=authority.ca_file)
    if cert:
        context.load_cert_chain(*cert)
    return Client(stayd.tls_port, tls=context)


def test_sessions_outlive_redis(serve, authority):
    stayd, redis = serve()
    big = b"v" * 1_000_000
    with tls_client(stayd, authority) as client:
        assert client.call("SET", "sess:1", big) == "OK"
        assert client.pipeline(*[["GET", "sess:1"]] * 20) == [big] * 20
        redis.kill()
        assert client.call("GET", "sess:1") == big
        assert client.call("SET", "sess:1", "later") == "OK"
        redis.start()
        stayd.wait_trusted()
        assert client.call("GET", "sess:1") == b"later"
    assert redis.call("GET", "sess:1") == b"later"
    wait_until(lambda: stayd.metric("stayd_clients") == 0, 5, "its connection ends")


def test_client_certificates(serve, authority, folder):
    stayd, _ = serve(**{"listen.tls_ca_file": authority.ca_file})
    stranger = Authority(folder / "other").issue("stranger")
    for cert in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with tls_client(stayd, authority, cert) as client:
                client.call("PING")
    assert stayd.metric("stayd_tls_handshakes_failed_total") == 2
    with tls_client(stayd, authority, authority.issue("app")) as client:
        assert client.call("PING") == "PONG"
        with tls_client(stayd, authority, resumed=client) as again:
            assert again.call("PING") == "PONG"
            assert again.sock.session_reused


def test_renewed_certificate(serve, authority, folder):
    stayd, _ = serve()
    before = stayd.metric("stayd_certificate_expires_seconds")
    with tls_client(stayd, authority) as client:
        cert, key = authority.issue("renewed", days=5)
        (folder / "port.pem").write_text("half written")
        wait_until(lambda: stayd.log_lines("tls_files_unreadable"), 5, "the damaged file is told")
        with tls_client(stayd, authority) as other:
            assert other.call("PING") == "PONG"
        shutil.copy(key, folder / "port.key")
        shutil.copy(cert, folder / "fresh.pem")
        os.replace(folder / "fresh.pem", folder / "port.pem")
        wait_until(lambda: stayd.log_lines("tls_files_read"), 5, "the new file is read")
        assert stayd.metric("stayd_certificate_expires_seconds") < before - 300 * 86_400
        assert client.call("PING") == "PONG"
        with tls_client(stayd, authority) as other:
            assert other.call("PING") == "PONG"
    wait_until(lambda: stayd.log_lines("certificate_expires"), 5, "that it ends in five days")


def test_many_at_once(serve, authority):
    stayd, _ = serve()
    context = ssl.create_default_context(cafile=authority.ca_file)
    crowd = []
    for _ in range(200):  # all connected before the first of them speaks
        sock = socket.create_connection(("127.0.0.1", stayd.tls_port), timeout=20)
        sock.setblocking(False)
        crowd.append(context.wrap_socket(sock, server_hostname="127.0.0.1", do_handshake_on_connect=False))
    with stayd.client() as other:
        waiting, answered = list(crowd), 0
        while waiting:
            for tls in list(waiting):
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    tls.do_handshake()
                    waiting.remove(tls)
            assert other.call("PING") == "PONG"
            answered += 1
        assert answered > 1
    for tls in crowd:
        tls.settimeout(10)
        tls.sendall(encode("PING"))
        assert tls.recv(16) == b"+PONG\r\n"
        tls.close()
    assert stayd.metric("stayd_tls_handshakes_failed_total") == 0


@pytest.mark.timeout(60)
def test_noise(serve, authority):
    stayd, _ = serve()
    with tls_client(stayd, authority) as good:
        silent = socket.create_connection(("127.0.0.1", stayd.tls_port))
        for noise in (encode("PING"), b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, os.urandom(5000)):
            with socket.create_connection(("127.0.0.1", stayd.tls_port), timeout=5) as bad:
                with contextlib.suppress(ConnectionError):  # an alert may come first
                    bad.sendall(noise)
                    while bad.recv(4096):
                        pass
        silent.settimeout(20)
        assert silent.recv(1) == b"", "a handshake has its time"
        assert good.call("PING") == "PONG"
    assert stayd.metric("stayd_tls_handshakes_failed_total") >= 3


def test_unreadable_files(make_redis, folder):
    argv = [stayd_binary(), "serve", "--redis.url", make_redis().url, "--ledger.path", folder / "l"]
    argv += ["--listen.resp", f"127.0.0.1:{free_port()}", "--listen.http", "off"]
    argv += ["--log.format", "text"]
    argv += ["--listen.tls", f"127.0.0.1:{free_port()}"]
    argv += ["--listen.tls_cert_file", "/none", "--listen.tls_key_file", "/none"]
    run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20)
    assert run.returncode != 0
    assert '[listen] tls_cert_file = "/none": No such file' in run.stdout + run.stderr


LIBRARY = {
    "ioredis": """
        const Redis = require('ioredis');
        const client = new Redis({port, host: '127.0.0.1', tls});
        const set = () => client.set('sess:1', 'v', 'EX', 60), get = () => client.get('sess:1');
    """,
    "node-redis": """
        const {createClient} = require('redis');
        const client = createClient({socket: {port, host: '127.0.0.1', tls: true, ...tls}});
        client.on('error', console.error);
        const set = async () => { await client.connect(); return client.set('sess:1', 'v', {EX: 60}); };
        const get = () => client.get('sess:1');
    """,
}


@pytest.mark.parametrize("name", LIBRARY)
def test_session_libraries(name, serve, authority):
    stayd, redis = serve()
    script = f"""
        const port = {stayd.tls_port};
        const tls = {{ca: require('fs').readFileSync('{authority.ca_file}')}};
        {LIBRARY[name]}
        (async () => {{
          console.log(await set(), await get());
          await new Promise((done) => process.stdin.once('data', done));
          console.log(await get());
          process.exit(0);
        }})();
    """
    node = subprocess.Popen(
        ["node", "-e", script], cwd=NODE, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    try:
        assert node.stdout.readline() == "OK v\n"
        redis.kill()
        node.stdin.write("go on\n")
        node.stdin.flush()
        assert node.stdout.readline() == "v\n"
    finally:
        node.kill()
        node.wait()
