"""A name server that fails on command, and a way to start a program that asks nobody else.

    names = NameServer(); names.addresses["redis.test"] = "127.0.0.1"
    names.fault = "silent"      or "refused" (SERVFAIL); None: well

Needs root: port 53, and a mount of /etc/resolv.conf that only the program sees.
"""

import socket
import struct
import threading

from .processes import free_port

NO_ERROR, SERVFAIL, NO_SUCH_NAME = 0, 2, 3
TYPE_A = 1


class NameServer:
    def __init__(self):
        # The address is made from a free port's number, so that no two tests use the same one.
        port = free_port()
        self.address = f"127.53.{port >> 8}.{port & 255}"
        self.addresses = {}
        self.fault = None
        self.asked = 0
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
            if self.fault != "silent":
                self._socket.sendto(self._answer(query), asker)

    def _answer(self, query):
        labels, at = [], 12
        while (length := query[at]) != 0:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[12 : at + 5]
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        address = self.addresses.get(".".join(labels).lower())
        code = NO_ERROR if address else NO_SUCH_NAME
        code = SERVFAIL if self.fault == "refused" else code
        record = b""
        if code == NO_ERROR and kind == TYPE_A:
            record = struct.pack(">HHHIH", 0xC00C, TYPE_A, 1, 0, 4) + socket.inet_aton(address)
        header = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, 1 if record else 0, 0, 0)
        return header + question + record
