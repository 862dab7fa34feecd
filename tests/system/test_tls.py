"""Redis over TLS (rediss://): sessions live on as without, and whatever is wrong with a certificate
is said in words while sessions are answered from the ledger."""

import os
import subprocess
import time

import pytest

from lib.certificates import Authority
from lib.processes import free_port, wait_until
from lib.servers import stayd_binary


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_tls_redis(make_redis, authority):
    """A redis-server with a port for TLS beside the plain one, which is the test's own."""

    def make(days=365, hosts="IP:127.0.0.1", clients="no"):
        cert, key = authority.issue(f"redis{time.monotonic_ns()}", hosts, days)
        redis = make_redis(
            tls_port=free_port(), tls_cert_file=cert, tls_key_file=key,
            tls_ca_cert_file=authority.ca_file, tls_auth_clients=clients,
        )
        redis.tls_url = f"rediss://127.0.0.1:{redis.config['tls-port']}/0"
        return redis

    return make


def trust_options(authority, **more):
    return {"redis.tls_ca_file": authority.ca_file, "redis.retry_max": "1s", **more}


def says(stayd, words):
    wait_until(lambda: words in str(stayd.status()), 10, f"the status says {words!r}")
    wait_until(
        lambda: any(words in line for line in stayd.log_lines("redis_unreachable")),
        10, f"the log says {words!r}",
    )


def test_sessions_outlive_redis(make_tls_redis, make_stayd, authority):
    redis = make_tls_redis()
    stayd = make_stayd(redis.tls_url, options=trust_options(authority))
    stayd.wait_trusted()
    assert stayd.call("SET", "sess:1", b"v" * 100_000) == "OK"
    assert redis.call("GET", "sess:1") == b"v" * 100_000
    redis.kill()
    assert stayd.call("GET", "sess:1") == b"v" * 100_000
    assert stayd.call("SET", "sess:1", "later") == "OK"
    redis.start()
    stayd.wait_trusted()
    assert redis.call("GET", "sess:1") == b"later"
    ends = stayd.metrics()['stayd_certificate_expires_seconds{certificate="redis"}']
    assert 364 < (ends - time.time()) / 86_400 < 366


def test_frozen_in_the_handshake(make_tls_redis, make_stayd, authority):
    redis = make_tls_redis()
    stayd = make_stayd(redis.tls_url, options=trust_options(authority))
    stayd.wait_trusted()
    stayd.call("SET", "sess:1", "v")
    redis.freeze()
    began = time.monotonic()
    assert stayd.call("GET", "sess:1") == b"v"
    assert time.monotonic() - began < 1
    says(stayd, "no answer to the TLS handshake")
    redis.thaw()
    stayd.wait_trusted()


def test_client_certificate(make_tls_redis, make_stayd, authority):
    redis = make_tls_redis(clients="yes")
    refused = make_stayd(redis.tls_url, options=trust_options(authority))
    says(refused, "certificate required")
    assert refused.call("SET", "sess:1", "v") == "OK"
    cert, key = authority.issue("client")
    own = {"redis.tls_cert_file": cert, "redis.tls_key_file": key}
    stayd = make_stayd(redis.tls_url, options=trust_options(authority, **own))
    stayd.wait_trusted()
    assert stayd.metric("stayd_certificate_expires_seconds") > 2 * time.time()


def test_expired_certificate(make_tls_redis, make_stayd, authority):
    stayd = make_stayd(make_tls_redis(days=-1).tls_url, options=trust_options(authority))
    says(stayd, "certificate has expired")
    assert stayd.call("SET", "sess:1", "v") == "OK"
    assert stayd.call("GET", "sess:1") == b"v"


def test_certificate_of_another_host(make_tls_redis, make_stayd, authority):
    redis = make_tls_redis(hosts="DNS:cache.test")
    stayd = make_stayd(redis.tls_url, options=trust_options(authority))
    says(stayd, "IP address mismatch")
    named = trust_options(authority, **{"redis.tls_server_name": "cache.test"})
    make_stayd(redis.tls_url, options=named).wait_trusted()


def test_authority_is_replaced_without_a_restart(make_tls_redis, make_stayd, authority, folder):
    redis = make_tls_redis()
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(Authority(folder / "other").ca_file.read_bytes())
    stayd = make_stayd(redis.tls_url, options=trust_options(authority, **{"redis.tls_ca_file": ca_file}))
    says(stayd, "is not accepted")
    stayd.call("SET", "sess:1", "v")
    ca_file.write_text("half written")
    wait_until(lambda: stayd.log_lines("tls_files_unreadable"), 5, "the damaged file is told")
    fresh = folder / "fresh.pem"
    fresh.write_bytes(authority.ca_file.read_bytes())
    os.replace(fresh, ca_file)
    stayd.wait_trusted()
    assert redis.call("GET", "sess:1") == b"v"


def test_certificate_ends_soon(make_tls_redis, make_stayd, authority):
    stayd = make_stayd(make_tls_redis(days=5).tls_url, options=trust_options(authority))
    stayd.wait_trusted()
    wait_until(lambda: stayd.log_lines("certificate_expires"), 10, "the warning")


def test_port_without_tls(make_redis, make_stayd, authority):
    redis = make_redis()
    stayd = make_stayd(redis.url.replace("redis:", "rediss:"), options=trust_options(authority))
    says(stayd, "is this a port without TLS?")
    assert stayd.call("SET", "sess:1", "v") == "OK"


def test_port_with_tls_is_asked_without(make_tls_redis, make_stayd):
    redis = make_tls_redis()
    stayd = make_stayd(redis.tls_url.replace("rediss:", "redis:"))
    says(stayd, "is this a port with TLS (rediss://)?")
    assert stayd.call("SET", "sess:1", "v") == "OK"


def test_check_says_what_is_wrong(make_tls_redis, authority, folder):
    redis = make_tls_redis(days=20)
    other = Authority(folder / "other")

    def check(url, **options):
        argv = [stayd_binary(), "check", "--redis.url", url, "--ledger.path", folder / "ledger"]
        for key, value in options.items():
            argv += [f"--redis.{key}", value]
        run = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20)
        return run.stdout + run.stderr

    assert "the certificate of Redis expires in" in check(
        redis.tls_url, tls_ca_file=authority.ca_file
    )
    assert "the certificate of 127.0.0.1 is not accepted" in check(
        redis.tls_url, tls_ca_file=other.ca_file
    )
    assert "is this a port without TLS?" in check(redis.url.replace("redis:", "rediss:"))
    assert 'tls_ca_file = "/none": No such file' in check(redis.tls_url, tls_ca_file="/none")
