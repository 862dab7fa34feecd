"""A server that is Redis for all commands but some: those get an error of the test's choice.

    with Refuser(redis_port) as refuser: the application talks to refuser.port
    refuser.refuse("-ERR not now", READS)     from now on
    refuser.refuse(None)                      as Redis again

One thread a connection; the methods may be called from any thread.
"""

import socket
import threading

from .processes import free_port

READS = {"get", "getex", "mget", "exists", "strlen", "ttl", "pttl", "hget", "hmget", "hgetall"}
WRITES = {"set", "setex", "psetex", "expire", "pexpire", "del", "unlink", "getdel", "hset", "eval"}


class Refuser:
    def __init__(self, redis_port):
        self.redis_port = redis_port
        self.port = free_port()
        self.accepted = self.refused = 0
        self._error, self._commands = None, frozenset()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listener.close()

    def refuse(self, error, commands=frozenset()):
        self._commands, self._error = frozenset(commands), error
        self.accepted = self.refused = 0

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.redis_port)) as redis:
            asked, answered = client.makefile("rb"), redis.makefile("rb")
            try:
                while request := _frame(asked):
                    name = request.split(b"\r\n", 3)[2].decode().lower()
                    if self._error and name in self._commands:
                        self.refused += 1
                        client.sendall(self._error.encode() + b"\r\n")
                        continue
                    redis.sendall(request)
                    client.sendall(_frame(answered))
            except OSError:
                return


def _frame(stream):
    """The bytes of one RESP request or reply; b"" at the end of the stream."""
    line = stream.readline()
    kind, nothing = line[:1], line[1:2] == b"-"
    if kind and kind in b"$=!" and not nothing:
        return line + stream.read(int(line[1:]) + 2)
    if kind and kind in b"*~>%" and not nothing:
        count = int(line[1:]) * (2 if kind == b"%" else 1)
        return line + b"".join(_frame(stream) for _ in range(count))
    return line
