"""What each application does with an error in place of a session: the table of docs/adr/0005.

    PYTHONPATH=tests /usr/bin/python3 tests/clients/measure_texts.py

Each line: application, text, which commands got it, then: what the page said, how long it took, how
often the error was sent and a connection was opened for that one page, and whether the user is still
logged in with the cookies of afterwards.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis as redis_py
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

sys.path.insert(0, str(Path(__file__).parents[1]))

from clients.apps import APPS, App, Browser  # noqa: E402
from lib.refuser import READS, WRITES, Refuser  # noqa: E402
from lib.servers import RedisServer  # noqa: E402

REST = "stayd: session state temporarily unknown"
TEXTS = ["LOADING", "TRYAGAIN", "BUSY", "ERR"]


def page(app, cookies, path):
    """(what it said, seconds, the cookies of afterwards)"""
    browser = Browser(app, 30).with_cookies(cookies)
    start = time.monotonic()
    try:
        said = "logged in" if browser.get(path).get("user") else "200, NOBODY"
    except AssertionError as error:
        said = str(error).split(": ", 1)[1][:3]
    except OSError as error:
        said = f"HANGS ({type(error).__name__})"
    return said, time.monotonic() - start, browser.cookies


def measure(app, refuser, text, commands):
    browser = Browser(app, 30)
    browser.login("anna")
    refuser.refuse(f"-{text} {REST}", commands)
    said, took, cookies = page(app, browser.cookies, "/read" if commands is READS else "/update?v=1")
    refused, accepted = refuser.refused, refuser.accepted
    refuser.refuse(None)
    after, _, _ = page(app, cookies, "/read")
    return f"{said:12} {took:5.2f} s  {refused} errors  {accepted} connections  then: {after}"


def phpredis(port):
    """Redis::get, as Symfony's and Laravel's handlers call it."""
    get = f'$r = new Redis(); $r->connect("127.0.0.1", {port}); var_export($r->get("k"));'
    run = subprocess.run(["php", "-r", f"try {{ {get} }} catch (Exception $e) {{ echo 'exception'; }}"],
                         capture_output=True, text=True)  # fmt: skip
    return run.stdout


def redis_py_with_retries(port):
    """GET with the retries that are the default from redis-py 6 on."""
    retry = Retry(ExponentialBackoff(cap=10, base=1), 3)
    client = redis_py.Redis(port=port, retry=retry, retry_on_error=[redis_py.ConnectionError])
    try:
        return client.get("k")
    except redis_py.RedisError as error:
        return type(error).__name__


def drivers(refuser):
    for text in TEXTS:
        for driver in (phpredis, redis_py_with_retries):
            refuser.refuse(f"-{text} {REST}", READS)
            start = time.monotonic()
            said = driver(refuser.port)
            took = time.monotonic() - start
            print(f"{driver.__name__:30} {text:9} {said}  {took:.2f} s  {refuser.refused} errors  "
                  f"{refuser.accepted} connections")  # fmt: skip


def main():
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder) / "redis").start()
        for name in APPS:
            with Refuser(redis.port) as refuser:
                app = App(name, refuser.port, folder).start()
                for text in TEXTS:
                    for what, commands in (("reads", READS), ("writes", WRITES)):
                        line = measure(app, refuser, text, commands)
                        print(f"{name:20} {text:9} {what:7} {line}", flush=True)
                app.kill()
        with Refuser(redis.port) as refuser:
            drivers(refuser)
        redis.kill()


if __name__ == "__main__":
    main()
