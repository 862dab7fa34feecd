"""A port with TLS that lets in who shows an ElastiCache IAM token, in front of a plain Redis: the
tokens are checked by a second implementation of AWS' signatures."""

import calendar
import hashlib
import hmac
import socket
import ssl
import threading
import time
from urllib.parse import parse_qsl, quote, urlencode

REGION, SERVICE = "eu-west-1", "elasticache"


def signature(secret, host, query):
    """Of GET / with these parameters, as AWS computes it."""
    when, date = query["X-Amz-Date"], query["X-Amz-Date"][:8]
    canonical = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    request = f"GET\n/\n{canonical}\nhost:{host}\n\nhost\n{hashlib.sha256().hexdigest()}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{when}\n{date}/{REGION}/{SERVICE}/aws4_request\n{digest}"
    key = ("AWS4" + secret).encode()
    for part in (date, REGION, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class IamPort:
    """`keys`: {access key id: secret} that are let in, changed by the test at will."""

    def __init__(self, redis, cache, user, cert, key):
        self.redis, self.cache, self.user, self.keys = redis, cache, user, {}
        self.tokens = []  # of those that were let in
        self.refused = []  # why others were not
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        """Ends every connection."""
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sockets.clear()

    def problem(self, user, token):
        host, _, text = token.partition("/?")
        query = dict(parse_qsl(text))
        signed = query.pop("X-Amz-Signature", "")
        key_id = query.get("X-Amz-Credential", "").split("/")[0]
        then = calendar.timegm(time.strptime(query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ"))
        if user != self.user or query.get("User") != user or query.get("Action") != "connect":
            return "another user"
        if host != self.cache:
            return "another cache"
        if key_id not in self.keys:
            return "another key"
        if not 0 <= time.time() - then + 1 <= int(query["X-Amz-Expires"]) <= 900:
            return "expired"
        return "" if signature(self.keys[key_id], host, query) == signed else "a wrong signature"

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        try:
            client = self.context.wrap_socket(raw, server_side=True)
            self.sockets.append(client)
            words, rest = read_command(client)
            at = words.index(b"AUTH")
            user, token = (word.decode() for word in words[at + 1 : at + 3])
            if why := self.problem(user, token):
                self.refused.append(why)
                client.sendall(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
                client.close()
                return
            self.tokens.append(token)
            server = socket.create_connection(("127.0.0.1", self.redis.port))
            self.sockets.append(server)
            words[at : at + 3] = []
            if words:
                server.sendall(command(words) + rest)
            else:
                client.sendall(b"+OK\r\n")
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)
        except (OSError, ValueError):
            raw.close()


def command(words):
    parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
    return b"".join(parts)


def read_command(sock):
    """(the first command, what came behind it)."""
    data = b""
    while True:
        data += (more := sock.recv(65536))
        if not more:
            raise OSError("end of stream")
        try:
            head, rest = data.split(b"\r\n", 1)
            words = []
            for _ in range(int(head[1:])):
                size, rest = rest.split(b"\r\n", 1)
                if len(rest) < int(size[1:]) + 2:
                    raise ValueError
                words.append(rest[: int(size[1:])])
                rest = rest[int(size[1:]) + 2 :]
            return words, rest
        except ValueError:
            continue


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
