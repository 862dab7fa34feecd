#!/usr/bin/env python3
"""Writes src/resp/command_rows.inc from a real redis-server's COMMAND reply.

    tools/command_table.py [redis-server] > src/resp/command_rows.inc

Names, arity, flags and key positions are Redis' own; nothing is edited by hand.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

FLAGS = {
    "write": "kCmdWrite", "readonly": "kCmdReadonly", "denyoom": "kCmdDenyOom",
    "admin": "kCmdAdmin", "pubsub": "kCmdPubsub", "noscript": "kCmdNoscript",
    "blocking": "kCmdBlocking", "loading": "kCmdLoading", "stale": "kCmdStale",
    "fast": "kCmdFast", "no_auth": "kCmdNoAuth", "may_replicate": "kCmdMayReplicate",
    "no_multi": "kCmdNoMulti", "movablekeys": "kCmdMovableKeys",
    "no_mandatory_keys": "kCmdNoMandatoryKeys", "allow_busy": "kCmdAllowBusy",
}


def read_reply(stream):
    line = stream.readline().rstrip(b"\r\n").decode()
    kind, rest = line[0], line[1:]
    if kind in "+-":
        return rest
    if kind == ":":
        return int(rest)
    if kind == "$":
        return stream.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
    return [read_reply(stream) for _ in range(int(rest))]


def ask(server, *command):
    """The reply of a fresh, empty server to one command, and to INFO server."""
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "redis.sock")
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            if process.poll() is not None:
                sys.exit(f"{server} does not start")
            time.sleep(0.01)
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            link.sendall((" ".join(command) + "\r\nINFO server\r\n").encode())
            stream = link.makefile("rb")
            return read_reply(stream), read_reply(stream)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def key_spec(spec):
    """One KeySpec initialiser; None for keys that are not keys."""
    spec = pairs(spec)
    flags = spec["flags"]
    if "not_key" in flags:
        return None
    begin, find = pairs(spec["begin_search"]), pairs(spec["find_keys"])
    begin["spec"], find["spec"] = pairs(begin["spec"]), pairs(find["spec"])
    if "incomplete" in flags or "unknown" in (begin["type"], find["type"]):
        return "kIncomplete"
    if begin["type"] == "index":
        start = f'"", {begin["spec"]["index"]}'
    else:
        start = f'"{begin["spec"]["keyword"].lower()}", {begin["spec"]["startfrom"]}'
    how = find["spec"]
    if find["type"] == "range":
        return f'{{{start}, KeySpec::range, {how["lastkey"]}, {how["keystep"]}, {how["limit"]}}}'
    return f'{{{start}, KeySpec::keynum, {how["keynumidx"]}, {how["keystep"]}, {how["firstkey"]}}}'


def rows(command):
    name, arity, flags, first, last, step = command[:6]
    bits = " | ".join(FLAGS[f] for f in sorted(flags) if f in FLAGS) or "0"
    specs = [s for s in map(key_spec, command[8]) if s]
    specs = ["kIncomplete"] if "kIncomplete" in specs else specs
    container = "true" if command[9] else "false"
    yield (f'{{"{name}", {arity}, {bits}, {first}, {last}, {step}, {container}, '
           f'{{{", ".join(specs)}}}}},')
    for subcommand in sorted(command[9]):
        yield from rows(subcommand)


def main():
    server = sys.argv[1] if len(sys.argv) > 1 else "redis-server"
    commands, info = ask(server, "COMMAND")
    version = pairs(info.replace("\r\n", ":").split(":")[1:])["redis_version"]
    print(f"// Made by tools/command_table.py from redis-server {version}. Do not edit.")
    print("// name, arity, flags, first key, last key, step, container, key specs")
    print("// clang-format off")
    for command in sorted(commands):
        for row in rows(command):
            print(row)


if __name__ == "__main__":
    main()
