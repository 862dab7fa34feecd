"""A name server that moves names and fails on command, and a way to start a program that asks nobody else.

    names = NameServer(); names.addresses["redis.test"] = "127.0.0.1"      or several, in a list
    names.aliases["redis.test"] = "node1.test"     a CNAME
    names.fault = "silent"     or "refused" (SERVFAIL), "unknown" (NXDOMAIN), "empty"; None: well

Several addresses are told in an order drawn by lot. Needs root: port 53, and a mount of /etc/resolv.conf
that only the program sees.
"""

import ipaddress
import random
import socket
import struct
import threading
from collections import Counter

from .processes import free_port

NO_ERROR, SERVFAIL, NO_SUCH_NAME = 0, 2, 3
TYPE_A, TYPE_CNAME, TYPE_AAAA = 1, 5, 28
TTL_S = 15  # as ElastiCache's


class NameServer:
    def __init__(self):
        # The address is made from a free port's number, so that no two tests use the same one.
        port = free_port()
        self.address = f"127.53.{port >> 8}.{port & 255}"
        self.addresses, self.aliases = {}, {}
        self.fault = None
        self.asked = 0
        self.questions = Counter()  # for IPv4 addresses, by name
        self._lot = random.Random(1)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def prefix(self, folder):
        """The command in front of a program that shall ask this server."""
        config = folder / "resolv.conf"
        config.write_text(f"nameserver {self.address}\noptions timeout:5 attempts:1\n")
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, config]

    def close(self):
        self._socket.sendto(b"end", (self.address, 53))
        self._thread.join(5)
        self._socket.close()

    def _run(self):
        while True:
            query, asker = self._socket.recvfrom(512)
            if query == b"end":
                return
            self.asked += 1
            answer = self._answer(query)
            if self.fault != "silent":
                self._socket.sendto(answer, asker)

    def _answer(self, query):
        labels, at = [], 12
        while (length := query[at]) != 0:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[12 : at + 5]
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        name = ".".join(labels).lower()
        if kind == TYPE_A:
            self.questions[name] += 1
        records, known = self._records(name, kind)
        code = NO_ERROR if known else NO_SUCH_NAME
        code = {"refused": SERVFAIL, "unknown": NO_SUCH_NAME}.get(self.fault, code)
        if self.fault:
            records = []
        header = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return header + question + b"".join(records)

    def _records(self, name, kind):
        """(the records of the answer, whether there is such a name)"""
        records, owner = [], b"\xc0\x0c"
        while alias := self.aliases.get(name):
            target = _spelt(alias)
            records.append(_record(owner, TYPE_CNAME, target))
            name, owner = alias.lower(), target
        addresses = self.addresses.get(name, [])
        addresses = [addresses] if isinstance(addresses, str) else list(addresses)
        self._lot.shuffle(addresses)
        for text in addresses:
            address = ipaddress.ip_address(text)
            if kind == (TYPE_A if address.version == 4 else TYPE_AAAA):
                records.append(_record(owner, kind, address.packed))
        return records, bool(addresses)


def _spelt(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def _record(owner, kind, content):
    return owner + struct.pack(">HHIH", kind, 1, TTL_S, len(content)) + content
