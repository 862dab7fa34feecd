"""Passwords that are rotated, read from files and commands, refused and mended, while Redis serves the
connections that it would not take any more; and what an ACL user of stayd's needs."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.certificates import Authority
from lib.iam import REGION, IamPort
from lib.processes import free_port, wait_until
from lib.sentinels import SentinelSet
from lib.servers import stayd_binary
from lib.users import Users

PROBE = {"redis.login_probe_interval": "1s", "redis.retry_max": "1s"}


@pytest.fixture
def secret(folder):
    """The password file; a rotation replaces it by a rename, as secret stores do."""
    return Secret(folder / "password")


class Secret:
    def __init__(self, path):
        self.path = path
        self.write("old")

    def write(self, password):
        fresh = self.path.with_suffix(".fresh")
        fresh.write_text(f"{password}\n")
        fresh.rename(self.path)

    def __str__(self):
        return str(self.path)


@pytest.fixture
def program(folder):
    """Writes a program that prints a password, and gives the setting that runs it."""

    def write(script):
        path = folder / "password-command"
        fresh = folder / "password-command.fresh"
        fresh.write_text(f"#!/bin/sh\n{script}\n")
        fresh.chmod(0o755)
        fresh.rename(path)
        return {"redis.password_command": path}

    return write


def set_passwords(redis, *passwords, user="app"):
    rules = ["on", "resetpass", *[f">{p}" for p in passwords], "~*", "&*", "+@all"]
    assert redis.call("ACL", "SETUSER", user, *rules) == "OK"


def drop_connections(redis, user="app"):
    with redis.client() as admin:
        assert admin.call("CLIENT", "KILL", "USER", user) >= 1


def logged(stayd, event):
    lines = [line for line in stayd.log_lines() if line.startswith("{")]
    return [e for e in map(json.loads, lines) if e["event"] == event]


def failing(stayd):
    return stayd.metric("stayd_login_probe_failing")


def wait_failing(stayd, words):
    wait_until(lambda: failing(stayd) == 1, 10, "the probe finds that logins fail")
    probe = stayd.status()["login_probes"][0]
    assert probe["failing"] and words in probe["trouble"], probe
    told = logged(stayd, "login_probe_failing")
    assert any(words in event["message"] for event in told), told
    assert f"fail ({probe['trouble']})" in stayd.http("/readyz")[1]


def wait_well(stayd):
    wait_until(lambda: failing(stayd) == 0, 15, "the probe finds that logins succeed again")
    assert logged(stayd, "login_probe_over")


def wait_probes(stayd, count=2):
    before = stayd.metric("stayd_login_probes_total")
    wait_until(
        lambda: stayd.metric("stayd_login_probes_total") >= before + count, 10, "probes are made"
    )


# -- rotation --------------------------------------------------------------------------------------


def test_rotation_with_both_passwords(redis, make_stayd, secret):
    """As it should be done: Redis takes both, the file changes, Redis drops the old one. No restart,
    no signal, and nobody notices."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password_file": secret, **PROBE}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    set_passwords(redis, "old", "new")
    secret.write("new")
    wait_until(lambda: logged(stayd, "password_changed"), 10, "the file is read again")
    wait_probes(stayd)
    set_passwords(redis, "new")
    wait_probes(stayd)
    drop_connections(redis)
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(redis)
    assert stayd.metric("stayd_logins_refused_total") == 0
    assert failing(stayd) == 0 and not logged(stayd, "login_probe_failing")


def test_botched_rotation_is_found_before_the_failover(redis, make_stayd, secret):
    """F18: Redis has a new password, and nobody told stayd. Nothing fails, until the next connection
    is made: the probe makes it now."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password_file": secret, **PROBE}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    wait_probes(stayd)
    assert failing(stayd) == 0
    set_passwords(redis, "new")
    users.go_on()
    wait_failing(stayd, "WRONGPASS")
    for _ in range(20):
        users.go_on()
    assert stayd.trust() == "trusted", "the connections in use work on"
    assert stayd.metric("stayd_shard_out_total") == 0
    secret.write("new")
    wait_well(stayd)
    drop_connections(redis)
    stayd.wait_trusted()
    users.go_on()
    users.wait_in_redis(redis)


def test_new_password_that_redis_does_not_know(redis, make_stayd, secret):
    """The other botched one: the file is first, and the connections end before Redis follows. The
    password before is still right, and stayd remembers it."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password_file": secret, "redis.login_probe_interval": "0s"}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    secret.write("new")
    drop_connections(redis)
    users.go_on()
    stayd.wait_trusted()
    assert logged(stayd, "old_password_used")
    set_passwords(redis, "new")
    drop_connections(redis)
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(redis)


def test_wrong_password_is_not_tried_in_a_loop(redis, make_stayd, secret):
    """Both refused: two connections, each with two tries in a second or two."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password_file": secret, "redis.login_probe_interval": "0s"}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    secret.write("new")
    set_passwords(redis, "other")
    drop_connections(redis)
    wait_until(lambda: stayd.metric("stayd_logins_refused_total") >= 2, 5, "Redis refuses")
    before, began = stayd.metric("stayd_logins_refused_total"), time.monotonic()
    time.sleep(4)  # how many tries in a time, not a wait for something
    tries = stayd.metric("stayd_logins_refused_total") - before
    assert tries <= 4 * (time.monotonic() - began) + 4, f"{tries} tries"
    users.go_on()
    secret.write("other")
    stayd.wait_trusted(timeout=15)
    users.wait_in_redis(redis)


def test_password_file_is_lost_and_empty(redis, make_stayd, secret):
    """The last good password stays in use."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password_file": secret, **PROBE}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    secret.path.unlink()
    wait_until(lambda: logged(stayd, "password_unreadable"), 10, "the log tells of the file")
    secret.path.write_text("")
    drop_connections(redis)
    stayd.wait_trusted()
    users.go_on()
    wait_until(lambda: len(logged(stayd, "password_unreadable")) == 2, 10, "the log tells more")
    said = [event["message"] for event in logged(stayd, "password_unreadable")]
    assert "No such file" in said[0] and "is empty" in said[1], said


def test_password_in_the_configuration(redis, make_stayd):
    """Rotated with a SIGHUP, the one way in which stayd looks into its configuration again."""
    set_passwords(redis, "old")
    text = '[redis]\nuser = "app"\npassword = "old"\n'
    stayd = make_stayd(redis.url, options=PROBE, config_text=text)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    set_passwords(redis, "old", "new")
    (stayd.folder / "stayd.toml").write_text(text.replace("old", "new"))
    stayd.process.signal(signal.SIGHUP)
    wait_until(lambda: logged(stayd, "reloaded"), 5, "the configuration is read again")
    assert "wait for a restart" not in logged(stayd, "reloaded")[0]["message"]
    set_passwords(redis, "new")
    drop_connections(redis)
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(redis)
    assert stayd.metric("stayd_logins_refused_total") == 0


def test_password_is_asked_from_now_on(redis, make_stayd, folder):
    """F17: requirepass where there was none. The connections in use go on; the probe meets NOAUTH."""
    stayd = make_stayd(redis.url, options=PROBE)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    redis.config_set(requirepass="new")
    redis.password = "new"
    wait_failing(stayd, "NOAUTH")
    users.go_on()
    assert stayd.metric("stayd_shard_out_total") == 0
    redis.config_set(requirepass="")
    redis.password = None
    wait_well(stayd)


# -- commands --------------------------------------------------------------------------------------


def test_password_command(redis, make_stayd, program, folder):
    """The password of a program's; rotated without a restart, and right after a refusal."""
    set_passwords(redis, "old")
    store = folder / "store"
    store.write_text("old")
    options = {"redis.user": "app", **program(f"cat {store}"), "redis.login_probe_interval": "0s"}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    set_passwords(redis, "new")
    store.write_text("new")
    drop_connections(redis)
    users.go_on()
    stayd.wait_trusted()
    assert logged(stayd, "password_changed")
    users.wait_in_redis(redis)


BROKEN = {
    "fails": ("echo 'vault is sealed' >&2; exit 3", "exit code 3: vault is sealed"),
    "hangs": ("exec tail -f /dev/null", "no end within 10 s"),
    "garbage": ("head -c 300 /dev/urandom", "it printed "),
    "flood": ("exec yes secret", "it printed more than 16384 bytes"),
    "nothing": ("exit 0", "it printed nothing"),
    "is_gone": ("#", None),
}


@pytest.mark.parametrize("script, says", BROKEN.values(), ids=BROKEN)
def test_broken_password_command(redis, make_stayd, program, row, script, says):
    """It delays nobody, its last good password stays in use, and the log says what is wrong."""
    set_passwords(redis, "old")
    setting = program("echo old")
    path = setting["redis.password_command"]
    stayd = make_stayd(redis.url, options={"redis.user": "app", **setting, **PROBE})
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    with row.shows(stayd):
        program(script) if says else path.unlink()
        wait_until(lambda: logged(stayd, "password_unreadable"), 30, "the log tells of it")
    told = logged(stayd, "password_unreadable")[0]["message"]
    assert (says or "No such file") in told, told
    assert "the last good password stays in use" in told
    drop_connections(redis)
    users.go_on(limit_s=0.3)
    stayd.wait_trusted()
    users.wait_in_redis(redis)
    assert failing(stayd) == 0


def test_no_password_at_the_start(redis, make_stayd, program, folder):
    """The command fails when stayd starts: it serves from its ledger, and logs in once it can."""
    set_passwords(redis, "old")
    setting = program("exit 1")
    stayd = make_stayd(redis.url, options={"redis.user": "app", **setting})
    assert "no password: " in stayd.status()["shard"]["reason"]
    program("echo old")
    stayd.wait_trusted(timeout=15)
    assert stayd.call("SET", "sess:1", "v") == "OK"
    assert redis.call("GET", "sess:1") == b"v"


def test_command_ends_with_stayd(redis, make_stayd, program, folder):
    """A hanging command keeps nobody from stopping, and does not live on."""
    mine = folder / "pid"
    setting = program(f"echo $$ > {mine}; exec tail -f /dev/null")
    stayd = make_stayd(redis.url, options=setting, wait="live")
    wait_until(lambda: mine.exists() and mine.read_text(), 5, "the command runs")
    began = time.monotonic()
    stayd.stop()
    assert time.monotonic() - began < 3
    pid = int(mine.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 5, "the command has ended")


# -- tokens of ElastiCache --------------------------------------------------------------------------


@pytest.fixture
def iam(redis, folder):
    """(port, options, environment, write_keys): what lets in tokens, and what stayd needs for them."""
    authority = Authority(folder / "authority")
    port = IamPort(redis, "my-cache", "app", *authority.issue("cache"))
    options = {
        "redis.user": "app", "redis.iam_cache": "my-cache",
        "redis.tls_ca_file": authority.ca_file, **PROBE,
    }
    file = folder / "aws-credentials"

    def write_keys(key_id, secret):
        lines = ["[default]", f"aws_access_key_id = {key_id}", f"aws_secret_access_key = {secret}"]
        fresh = file.with_suffix(".fresh")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.rename(file)

    # The keys of whoever runs the tests must not be taken.
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": ""}
    environment = {**nobody, "AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_REGION": REGION}
    yield port, options, environment, write_keys
    port.close()


def test_iam_tokens(redis, make_stayd, iam):
    """Each connection has a token of its own; keys are rotated without a restart, and a botched
    rotation is found while the connections in use work."""
    port, options, environment, write_keys = iam
    port.keys["AKID1"] = "secret1"
    write_keys("AKID1", "secret1")
    url = f"rediss://127.0.0.1:{port.port}/0"
    stayd = make_stayd(url, options=options, env=environment)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    wait_probes(stayd, 3)
    assert port.refused == [] and len(set(port.tokens)) >= 2
    port.keys = {"AKID2": "secret2"}
    wait_failing(stayd, "WRONGPASS")
    users.go_on()
    assert stayd.metric("stayd_shard_out_total") == 0
    write_keys("AKID2", "secret2")
    wait_well(stayd)
    port.drop()
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(redis)
    assert set(port.refused) == {"another key"}


def test_check_signs_a_token(iam, folder):
    """`stayd check` logs in with one too, or says which keys it has not found."""
    port, options, environment, write_keys = iam
    flags = [f"--{key}={value}" for key, value in options.items()]
    flags += ["--ledger.path", folder / "ledger"]
    url = f"rediss://127.0.0.1:{port.port}/0"
    code, out = check(url, *flags, env=environment)
    assert code == 1 and "aws-credentials: No such file" in out, out
    port.keys["AKID1"] = "secret1"
    write_keys("AKID1", "secret1")
    code, out = check(url, *flags, env=environment)
    assert "a token, signed with the key AKID1" in out and "PROBLEM redis " not in out, out
    assert port.tokens


# -- what is found besides passwords ---------------------------------------------------------------


def test_no_connection_is_left(redis, make_stayd):
    """F15: others hold every connection; those in use work."""
    set_passwords(redis, "old")
    options = {"redis.user": "app", "redis.password": "old", **PROBE}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    with redis.client() as admin:
        limit = admin.call("CONFIG", "GET", "maxclients")
        in_use = len(admin.call("CLIENT", "LIST").splitlines())
        assert admin.call("CONFIG", "SET", "maxclients", in_use) == "OK"
        wait_failing(stayd, "max number of clients")
        users.go_on()
        assert admin.call("CONFIG", "SET", *limit) == "OK"
    wait_well(stayd)


def test_authority_that_a_new_connection_refuses(make_redis, make_stayd, folder):
    """F20: Redis gets a certificate of another authority. The connections in use never look again."""
    authorities = [Authority(folder / "first"), Authority(folder / "second")]
    (cert, key), (other_cert, other_key) = [a.issue("redis") for a in authorities]
    redis = make_redis(
        tls_port=free_port(), tls_cert_file=cert, tls_key_file=key,
        tls_ca_cert_file=authorities[0].ca_file, tls_auth_clients="no",
    )
    url = f"rediss://127.0.0.1:{redis.config['tls-port']}/0"
    stayd = make_stayd(url, options={"redis.tls_ca_file": authorities[0].ca_file, **PROBE})
    stayd.wait_trusted()
    users = Users(stayd)
    users.login(5)
    with redis.client() as admin:
        files = ["tls-cert-file", other_cert, "tls-key-file", other_key]
        assert admin.call("CONFIG", "SET", *files) == "OK"
        wait_failing(stayd, "certificate")
        users.go_on()
        assert stayd.metric("stayd_shard_out_total") == 0
        files = ["tls-cert-file", cert, "tls-key-file", key]
        assert admin.call("CONFIG", "SET", *files) == "OK"
    wait_well(stayd)


def test_probe_behind_sentinel(folder, make_redis, make_stayd):
    """The present primary is asked, and after a failover the new one."""
    servers = SentinelSet(folder, make_redis)
    try:
        stayd = make_stayd(servers.url, options=PROBE)
        stayd.wait_trusted()
        users = Users(stayd)
        users.login(5)
        set_passwords(servers.primary, "new")
        wait_failing(stayd, "WRONGPASS")
        assert stayd.status()["login_probes"][0]["redis"].endswith(f":{servers.primary.port}")
        set_passwords(servers.primary, "secret")
        wait_well(stayd)
        servers.primary.kill()
        wait_until(servers.promoted_port, 20, "another primary is named")
        stayd.wait_trusted(timeout=15)
        promoted = servers.redis_at(servers.promoted_port())
        set_passwords(promoted, "new")
        wait_until(lambda: failing(stayd) == 1, 10, "the probe asks the new primary")
        assert stayd.status()["login_probes"][0]["redis"].endswith(f":{promoted.port}")
        users.go_on()
    finally:
        servers.end()


# -- ACL users -------------------------------------------------------------------------------------


def least_rules():
    """The rules of ACL SETUSER that docs/operating.md gives."""
    page = (Path(__file__).resolve().parents[2] / "docs/operating.md").read_text()
    command = re.search(r"ACL SETUSER stayd on >PASSWORD ((?:.|\\\n)*?)\n\n", page)[1]
    return command.replace("\\\n", " ").split()


@pytest.fixture
def least(redis):
    """The URL of a user that may do only what the page says, and what the test's sessions need."""
    rules = ["on", ">pw", *least_rules(), "+expire", "+ttl"]
    assert redis.call("ACL", "SETUSER", "least", *rules) == "OK"
    return f"redis://least:pw@127.0.0.1:{redis.port}/0"


def denied(redis):
    """(command, user) of everything that was refused since it was last asked."""
    found = redis.call("ACL", "LOG")
    redis.call("ACL", "LOG", "RESET")
    entries = [dict(zip(entry[::2], entry[1::2])) for entry in found]
    refused = [e for e in entries if e[b"reason"] != b"auth"]
    return {(e[b"object"].decode(), e[b"username"].decode()) for e in refused}


def test_least_permissions(redis, least, make_stayd):
    """Through an outage with loss, with nothing denied."""
    for n in range(20):
        redis.call("SET", f"sess:before{n}", "v")
    redis.call("HSET", "sess:hash", "f", "v")
    redis.call("SADD", "sess:set", "m")
    redis.call("ZADD", "sess:zset", 1, "m")
    redis.call("RPUSH", "sess:list", "e")
    stayd = make_stayd(least, options=PROBE, config_text='[[sessions]]\nmatch = "sess:*"\n')
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = Users(stayd)
    users.login(10)
    users.go_on()
    wait_probes(stayd)
    kept = redis.call("ACL", "LIST")
    redis.restart_empty()
    for rules in kept:
        redis.call("ACL", "SETUSER", *rules.decode().split()[1:])
    stayd.wait_trusted(timeout=15)
    users.go_on()
    users.wait_in_redis(redis)
    for key, kind in {"hash": "hash", "set": "set", "zset": "zset", "list": "list"}.items():
        assert redis.call("TYPE", f"sess:{key}") == kind
    redis.call("FLUSHALL")
    wait_until(lambda: redis.call("EXISTS", "sess:hash") == 1, 10, "what was flushed is put back")
    stayd.wait_trusted()
    users.go_on()
    assert denied(redis) == set()
    assert stayd.metric("stayd_login_probe_failures_total") == 0


def test_user_on_every_connection(redis, make_stayd):
    """Data, auxiliary, subscriber, pinned and probe connections are the user's."""
    set_passwords(redis, "pw")
    redis.config_set(requirepass="other")
    redis.password = "other"
    options = {"redis.user": "app", "redis.password": "pw", **PROBE}
    stayd = make_stayd(redis.url, options=options)
    stayd.wait_trusted()
    with stayd.client() as client, stayd.client() as listener, redis.client() as admin:
        listener.send("SUBSCRIBE", "news")
        listener.read()
        assert client.call("WATCH", "sess:1") == "OK"
        assert client.call("MULTI") == "OK"
        assert client.call("SET", "sess:1", "v") == "QUEUED"
        assert client.call("EXEC") == ["OK"]
        seen = set()

        def all_seen():
            lines = admin.call("CLIENT", "LIST").decode().splitlines()
            fields = [dict(f.split("=", 1) for f in line.split()) for line in lines]
            seen.update((f["name"], f["user"]) for f in fields if f["name"].startswith("stayd"))
            return {name for name, _ in seen} >= {
                "stayd-data", "stayd-aux", "stayd-pubsub", "stayd-client",
            }

        wait_until(all_seen, 10, "every kind of connection is there")
    assert {user for _, user in seen} == {"app"}
    wait_probes(stayd)
    assert stayd.metric("stayd_login_probe_failures_total") == 0


def check(url, *flags, env=None):
    run = subprocess.run(
        [stayd_binary(), "check", "--redis.url", url, *map(str, flags)],
        capture_output=True, text=True, timeout=20, env={**os.environ, **(env or {})},
    )
    return run.returncode, run.stdout


def test_check_names_the_missing_permission(redis, least, folder):
    """As rules that mend it. Nothing is written to find out."""
    ledger = ["--ledger.path", folder / "ledger", "--sessions.preset", "express"]
    code, out = check(least, *ledger)
    assert code == 0 and "the user least may do what stayd needs" in out, out
    before = redis.info("keyspace")
    for rule in ["+evalsha", "+pexpireat", "+script|load", "+client|kill", "+ping", "+exec", "+info"]:
        redis.call("ACL", "SETUSER", "least", "-" + rule[1:])
        code, out = check(least, *ledger)
        assert code == 1 and f"ACL SETUSER least {rule}\n" in out, (rule, out)
        redis.call("ACL", "SETUSER", "least", rule)
    redis.call("ACL", "SETUSER", "least", "resetkeys", "~sess:*")
    code, out = check(least, *ledger)
    assert code == 1 and "ACL SETUSER least ~stayd:{}*\n" in out, out
    redis.call("ACL", "SETUSER", "least", "resetkeys", "~stayd:{}*", "%R~sess:*")
    code, out = check(least, *ledger)
    assert code == 1 and "ACL SETUSER least ~sess:*\n" in out, out
    redis.call("ACL", "SETUSER", "least", "-multi")
    code, out = check(least, *ledger)
    assert code == 1 and "+multi" in out, out
    assert redis.info("keyspace") == before


def test_check_runs_the_command(redis, folder, program):
    """With what it prints, or with the reason why it prints nothing."""
    set_passwords(redis, "pw")
    flags = ["--ledger.path", folder / "ledger", "--redis.user", "app"]
    path = program("echo pw")["redis.password_command"]
    code, out = check(redis.url, *flags, "--redis.password_command", path)
    assert code == 0 and "the user app may do what stayd needs" in out, out
    program("echo sealed >&2; exit 1")
    code, out = check(redis.url, *flags, "--redis.password_command", path)
    assert code == 1 and f"password_command: {path}: exit code 1: sealed" in out, out
