"""A small raw RESP2/3 client for tests: bytes out, one reply at a time in, every wait with a limit.

It hides nothing that a test may want to see: errors are values (`ErrorReply`), a simple string is
told from a bulk string, and a closed connection raises `Closed`. Not thread-safe: one client, one
thread.
"""

import socket


class Closed(ConnectionError):
    """The server closed or reset the connection before the reply."""


class Status(str):
    """A simple string (+OK)."""


class Push(list):
    """A RESP3 push message."""


class ErrorReply(str):
    """An error reply; its text without the leading '-'."""

    def __repr__(self):
        return f"ErrorReply({str(self)!r})"


def encode(*args):
    """One command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Client:
    """`address` is a TCP port on 127.0.0.1, a (host, port) pair or the path of a unix socket. `tls`:
    an SSLContext; `session`: of an earlier client's socket, to be resumed."""

    def __init__(self, address, timeout=5.0, proto=2, tls=None, session=None):
        self.timeout = timeout
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout=timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0], session=session)
        self.buffer = bytearray()
        if proto == 3:
            self.call("HELLO", 3)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # -- sending ---------------------------------------------------------------------------------

    def raw(self, data):
        """Sends these bytes, whatever they are."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def send(self, *args):
        """Sends one command without waiting for its reply."""
        self.raw(encode(*args))

    def call(self, *args, timeout=None):
        """One command, one reply."""
        self.send(*args)
        return self.read(timeout)

    def pipeline(self, *commands, timeout=None):
        """All commands in one write; the replies in order."""
        self.raw(b"".join(encode(*command) for command in commands))
        return [self.read(timeout) for _ in commands]

    # -- receiving -------------------------------------------------------------------------------

    def read(self, timeout=None):
        """One reply. Raises TimeoutError after `timeout` seconds of silence, Closed at the end."""
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        kind, rest = self._line()
        if kind == b"+":
            return Status(rest.decode())
        if kind == b"-":
            return ErrorReply(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b"=":
            return self._bulk(int(rest))[4:]
        if kind in b"*~>":
            if rest == b"-1":
                return None
            items = [self.read() for _ in range(int(rest))]
            return Push(items) if kind == b">" else items
        if kind == b"%":
            pairs = [(self.read(), self.read()) for _ in range(int(rest))]
            return dict(pairs)
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        if kind == b"!":
            return ErrorReply(self._bulk(int(rest)).decode(errors="replace"))
        raise AssertionError(f"not RESP: {kind + rest!r}")

    def closed(self, timeout=5.0):
        """True if the server closes the connection within `timeout` (and sends nothing before)."""
        self.sock.settimeout(timeout)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _fill(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def _line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._fill()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line[:1], line[1:]

    def _bulk(self, length):
        while len(self.buffer) < length + 2:
            self._fill()
        data = bytes(self.buffer[:length])
        del self.buffer[: length + 2]
        return data
