"""`stayd backup` against DynamoDB: the table, what is in it, and what may go."""

import json
import secrets
import subprocess
import time

import pytest

from lib.dynamodb import KEYS, DynamodbServer, bytes_value
from lib.servers import stayd_binary

HEAD = {"p": {"S": "meta"}, "k": bytes_value(b"\0")}


@pytest.fixture
def database(folder, started, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = DynamodbServer(folder / "dynamodb")
    started.append(server)
    server.start()
    return server


def shard_of(key):
    value = 0xCBF29CE484222325
    for byte in key:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return (value ^ value >> 32) % 16


def insert(database, name, state=1, e=0, u=0, t=1, text="text"):
    """A row as a stayd writes it."""
    key, value = b"\0" + name.encode(), b"\1\1" + text.encode()
    numbers = {"c": 5, "i": 0, "s": state, "t": t, "h": 7, "o": 2**64 - 1, "l": 0, "e": e, "b": 0, "u": u}
    numbers["z"] = len(value) if state == 1 else 0
    item = {"p": {"S": f"r{shard_of(key)}"}, "k": bytes_value(key)}
    item |= {name: {"N": str(number)} for name, number in numbers.items()}
    database.put(**item, **({"v": bytes_value(value)} if state == 1 else {}))


def test_init_can_be_said_again(backup, database):
    code, out, err = backup("stats")
    assert code == 1 and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been made\n", "")
    before = database.ask("Scan")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    assert database.ask("Scan") == before
    table = database.ask("DescribeTable")["Table"]
    assert [one["AttributeName"] for one in table["KeySchema"]] == ["p", "k"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_init_at_the_same_time(backup, database):
    argv = [str(a) for a in [stayd_binary(), "backup", "init", "--url", database.url()]]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    texts = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0] * 4
    assert sum("has been made" in text for text in texts) == 1, texts


def test_stats_and_get(backup, database):
    backup("init")
    insert(database, "sess:1")
    insert(database, "sess:2", e=1000, t=0)
    insert(database, "sess:3", state=2)
    code, out, err = backup("stats", "--json")
    assert code == 0, err
    stats = json.loads(out)
    assert stats.pop("epoch") and stats.pop("disk_bytes") >= 0
    assert stats == {
        "live": 2, "expired": 1, "tombstones": 1, "without_redis": 1, "value_bytes": 12, "writable": True,
    }
    line, row = backup("get", "sess:1")[1].splitlines()
    assert line.split() == ["0", "live", "string", "-", "sess:1"]
    assert (json.loads(row)["value"], json.loads(row)["origin"]) == ("text", 2**64 - 1)
    assert json.loads(backup("get", "sess:3", "--json")[1])["state"] == "tomb"
    code, out, err = backup("get", "sess:9")
    assert code == 1 and 'knows no key "sess:9"' in err, err


def test_purge_takes_what_nobody_needs(backup, database):
    backup("init")
    now_ms = int(time.time() * 1000)
    insert(database, "tomb-past", state=2, u=now_ms - 1000)
    insert(database, "tomb-future", state=2, u=now_ms + 3_600_000)
    insert(database, "expired-lately", e=now_ms - 1000)
    insert(database, "expired", e=1000)
    insert(database, "live")
    assert backup("purge") == (0, "2 rows removed\n", "")
    assert backup("purge") == (0, "0 rows removed\n", "")
    assert json.loads(backup("stats", "--json")[1])["live"] == 2


def test_a_damaged_item_is_named(backup, database):
    backup("init")
    insert(database, "sess:1")
    key = b"\0sess:1"
    where = {"p": {"S": f"r{shard_of(key)}"}, "k": bytes_value(key)}
    values = {":v": bytes_value(b"\1\xff")}
    database.ask("UpdateItem", Key=where, UpdateExpression="SET v = :v", ExpressionAttributeValues=values)
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "byte 1: type 255" in err, err
    database.ask("UpdateItem", Key=where, UpdateExpression="REMOVE h")
    code, out, err = backup("get", "sess:1")
    assert code == 1 and 'item: no number "h"' in err, err


def test_a_later_schema_is_left_alone(backup, database):
    backup("init")
    values = {":n": {"N": "9"}}
    database.ask("UpdateItem", Key=HEAD, UpdateExpression="SET n = :n", ExpressionAttributeValues=values)
    for words in (["init"], ["stats"], ["get", "k"], ["purge"]):
        code, out, err = backup(*words)
        assert code == 1 and "version 9" in err and "upgrade stayd" in err, err


def test_an_encrypted_one_wants_its_key(backup, database, folder):
    options = {}
    for name in ("right", "wrong"):
        (folder / name).write_text(secrets.token_hex(32) + "\n")
        options[name] = ("--encryption-key-file", folder / name)
    assert backup("init", options=options["right"])[0] == 0
    insert(database, "sess:1")
    assert '"value":"text"' in backup("get", "sess:1", options=options["right"])[1]
    code, out, err = backup("get", "sess:1", options=options["wrong"])
    assert code == 1 and "its key ring does not open" in err, err
    code, out, err = backup("get", "sess:1")
    assert code == 1 and "no encryption key is given" in err, err
    assert backup("init", options=options["wrong"])[0] == 1
    assert backup("stats")[0] == 0


def test_mistakes_are_named(backup, database, monkeypatch):
    code, out, err = backup("init", url="dynamodb://eu-west-1")
    assert code == 1 and "names no table" in err, err
    database.ask("CreateTable", TableName="other", BillingMode="PAY_PER_REQUEST",
                 AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                 KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    code, out, err = backup("init", url=database.url("other"))
    assert code == 1 and 'the table "other" is none of stayd\'s' in err, err
    database.set_faults(denied=["CreateTable"])
    code, out, err = backup("init")
    assert code == 1 and "see docs/operating.md for the rights it needs" in err, err
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    code, out, err = backup("init")
    assert code == 1 and "look at the AWS credentials" in err, err
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")
    code, out, err = backup("init")
    assert code == 1 and "no AWS credentials" in err, err
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "right")
    database.kill()
    code, out, err = backup("init")
    assert code == 1 and "Failed to connect" in err, err
