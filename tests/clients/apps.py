"""The client applications as processes, and a browser that uses them over HTTP.

See README.md for the routes. An application is started once per test module on one Redis URL.
"""

import http.client
import json
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote

from lib.processes import Process, free_port, wait_until

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"  # Debian's, where Debian's Django and Flask are


def _node(driver):
    return lambda port, redis, ca: [node_program(), HERE / "node/app.js", port, _url(redis, ca), driver]


def node_program():
    """The Node that package-lock.json names (node-redis 6 wants a newer one than Debian 12 has)."""
    found = list(HERE.glob("node/node_modules/node-linux-*/bin/node"))
    return found[0] if found else "node"


def _php(locking):
    def argv(port, redis, ca):
        settings = {
            "session.save_handler": "redis",
            "session.save_path": f'"{"tls" if ca else "tcp"}://127.0.0.1:{redis}?timeout=2"',
            "openssl.cafile": ca or "",
            "session.gc_maxlifetime": "3600",
            "session.use_strict_mode": "1",
            "redis.session.locking_enabled": int(locking),
            "redis.session.lock_wait_time": "20000",
            "redis.session.lock_retries": "100",
        }
        flags = [flag for key, value in settings.items() for flag in ("-d", f"{key}={value}")]
        return ["php", "-S", f"127.0.0.1:{port}", *flags, HERE / "php/app.php"]

    return argv


def _python(script):
    def argv(port, redis, ca):
        trust = f"?ssl_ca_certs={ca}" if ca else ""
        return [PYTHON, HERE / "python" / script, port, _url(redis, ca) + trust]

    return argv


def _url(redis_port, ca):
    return f"{'rediss' if ca else 'redis'}://127.0.0.1:{redis_port}/0"


APPS = {
    "express-node-redis": _node("node-redis"),
    "express-ioredis": _node("ioredis"),
    "php": _php(locking=False),
    "php-locking": _php(locking=True),
    "django": _python("django_app.py"),
    "flask": _python("flask_app.py"),
}


class App:
    """One client application on the Redis protocol at `redis_port` (Redis itself, or stayd). `ca_file`: it
    speaks TLS there, to whom that certifies."""

    def __init__(self, name, redis_port, folder, ca_file=None):
        self.name, self.port = name, free_port()
        argv = APPS[name](self.port, redis_port, ca_file)
        env = {"NODE_EXTRA_CA_CERTS": str(ca_file)} if ca_file else None
        self.process = Process(name, argv, Path(folder) / f"{name}.log", env=env)

    def start(self):
        self.process.start()
        wait_until(self._up, 20, f"{self.name} is up")
        return self

    def _up(self):
        self.process.must_be_alive()
        return request(self.port, "/ping", {}, 2)[0] == 200

    def kill(self):
        self.process.kill()

    def browser(self, timeout=10):
        return Browser(self, timeout)


def request(port, path, cookies, timeout):
    """(status, body, set-cookie headers) of one GET on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection.request("GET", path, headers={"Cookie": header} if header else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()


class Browser:
    """A cookie jar and the seven things a user does. Each answers {"user", "v"} or raises."""

    def __init__(self, app, timeout):
        self.app, self.timeout = app, timeout
        self.cookies = {}
        self.slowest = 0.0

    def get(self, path):
        start = time.monotonic()
        status, body, set_cookies = request(self.app.port, path, self.cookies, self.timeout)
        took = time.monotonic() - start
        self.slowest = max(self.slowest, took)
        for header in set_cookies:
            for name, morsel in SimpleCookie(header).items():
                self._keep(name, morsel)
        if status != 200:
            raise AssertionError(f"{self.app.name} {path}: {status} after {took:.2f} s: {body[:400]}")
        return json.loads(body)

    def _keep(self, name, morsel):
        dead = morsel["max-age"] == "0" or morsel["expires"].find("1970") >= 0
        if dead or morsel.value in ("", "deleted"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = morsel.value

    def login(self, user):
        return self.get(f"/login?u={quote(user)}")

    def read(self):
        return self.get("/read")

    def touch(self):
        return self.get("/touch")

    def update(self, value):
        return self.get(f"/update?v={quote(value)}")

    def regenerate(self):
        return self.get("/regenerate")

    def logout(self):
        return self.get("/logout")

    def with_cookies(self, cookies):
        """Another browser with a copy of earlier cookies (the stolen or stale ones)."""
        other = Browser(self.app, self.timeout)
        other.cookies = dict(cookies)
        return other
