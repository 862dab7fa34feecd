"""Values in the ledger are encrypted: nothing of a session can be read from its folder, keys are changed
while it serves, and a stayd with a wrong key refuses to start and loses nothing."""

import os
import secrets
import signal
import subprocess

import pytest

from lib.at_rest import KeyFile, ledger_stats, logged
from lib.processes import wait_until
from lib.servers import stayd_binary

NEEDLE = "needle-in-the-session"


@pytest.fixture
def key_file(folder):
    return KeyFile(folder / "keys")


def encrypted(key_file, **more):
    return {"at_rest.encryption_key_file": key_file, **more}


def new_stayd(make_stayd, redis, **more):
    stayd = make_stayd(redis.url, **more)
    stayd.wait_trusted()
    stayd.wait_adopted()
    return stayd


def on_disk(stayd, text):
    files = [path for path in (stayd.folder / "ledger").rglob("*") if path.is_file()]
    assert files
    return any(text.encode() in path.read_bytes() for path in files)


def write_sessions(stayd):
    with stayd.client() as client:
        for n in range(20):
            client.call("SET", f"sess:{n}", f"{NEEDLE}-{n}", "EX", 3600)
        client.call("HSET", "sess:hash", f"{NEEDLE}-field", f"{NEEDLE}-value", "other", "x")
        client.call("HSET", "sess:hash", "late", f"{NEEDLE}-late")
        client.call("SADD", "sess:set", f"{NEEDLE}-member", "m")
        client.call("ZADD", "sess:zset", 7, f"{NEEDLE}-scored")


def expect_sessions(stayd):
    with stayd.client() as client:
        for n in range(20):
            assert client.call("GET", f"sess:{n}") == f"{NEEDLE}-{n}".encode()
        assert client.call("HGET", "sess:hash", f"{NEEDLE}-field") == f"{NEEDLE}-value".encode()
        assert client.call("HGET", "sess:hash", "late") == f"{NEEDLE}-late".encode()
        assert client.call("SISMEMBER", "sess:set", f"{NEEDLE}-member") == 1
        assert client.call("ZSCORE", "sess:zset", f"{NEEDLE}-scored") == b"7"


def test_nothing_of_a_session_is_in_the_folder(make_stayd, redis, key_file):
    options = encrypted(key_file, **{"at_rest.compression": "zstd"})
    stayd = new_stayd(make_stayd, redis, options=options)
    write_sessions(stayd)
    assert not on_disk(stayd, NEEDLE)
    redis.kill()
    expect_sessions(stayd)
    stayd.restart(wait="live")  # Redis is out: all of it is from disk
    expect_sessions(stayd)
    stayd.stop()
    assert not on_disk(stayd, NEEDLE)
    assert on_disk(stayd, "sess:hash"), "keys are in clear, as documented"
    stats = ledger_stats(stayd)
    assert (stats["values_in_clear"], list(stats["values_sealed"])) == (0, ["1"])
    export = [stayd_binary(), "ledger", "get", "sess:1", "--ledger.path", stayd.folder / "ledger"]
    with_key = [*export, "--at_rest.encryption_key_file", key_file]
    assert NEEDLE in subprocess.check_output([str(a) for a in with_key], text=True)
    refused = subprocess.run([str(a) for a in export], capture_output=True, text=True)
    assert refused.returncode == 1 and "encryption_key_file" in refused.stderr


def test_encryption_begins_and_keys_change_while_it_serves(make_stayd, redis, key_file):
    text = f'[at_rest]\nencryption_key_file = "{key_file}"\n'
    stayd = new_stayd(make_stayd, redis, config_text="")
    write_sessions(stayd)
    assert on_disk(stayd, NEEDLE)
    assert stayd.metric("stayd_ledger_data_key") == 0
    for data_key in (1, 2, 3):
        (stayd.folder / "stayd.toml").write_text(text)
        os.kill(stayd.pid, signal.SIGHUP)
        wait_until(lambda k=data_key: stayd.metric("stayd_ledger_data_key") == k, 10, "the new key")
        wait_until(lambda: stayd.metric("stayd_ledger_resealing") == 0, 20, "all is sealed")
        stats = ledger_stats(stayd)
        assert stats["values_in_clear"] == 0
        assert list(stats["values_sealed"]) == [str(data_key)]
        expect_sessions(stayd)
        key_file.rotate()
    # A key that opens nothing: told, and the one in use stays.
    key_file.write(secrets.token_hex(32))
    os.kill(stayd.pid, signal.SIGHUP)
    wait_until(lambda: logged(stayd, "encryption_key_refused"), 10, "the key is refused")
    redis.kill()
    expect_sessions(stayd)
    wait_until(lambda: logged(stayd, "reseal_ended"), 10, "the end is told")


def test_a_wrong_key_is_refused_and_nothing_is_lost(make_stayd, redis, key_file):
    stayd = new_stayd(make_stayd, redis, options=encrypted(key_file))
    write_sessions(stayd)
    right = key_file.keys
    stayd.stop()
    redis.kill()
    key_file.write(secrets.token_hex(32))
    code, output = stayd.check()
    assert code == 1 and "is encrypted under the master key" in output
    stayd.start(wait=None)
    wait_until(lambda: not stayd.process.alive, 10, "stayd refuses to start")
    message = logged(stayd, "start_failed")[-1]["message"]
    assert "[at_rest] encryption_key_file" in message and key_file.keys[0] not in message
    del stayd.options["at_rest.encryption_key_file"]
    stayd.start(wait=None)
    wait_until(lambda: not stayd.process.alive, 10, "stayd refuses to start")
    assert "give it with" in logged(stayd, "start_failed")[-1]["message"]
    key_file.write(*right)
    stayd.options["at_rest.encryption_key_file"] = key_file
    stayd.start(wait="live")
    expect_sessions(stayd)
