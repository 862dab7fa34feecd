"""The raw client of a chaos run, a process of its own: sessions at a steady rate, every answer recorded.

    load.py --port N --seed N --sessions N --rate N --history FILE [--tls-port N --tls-ca FILE]

With a port for TLS, half of the connections speak that. Writes "started" when every connection is open, ends at SIGTERM. Sessions that are over are followed by
new ones. A client asks when it is due and not before its last answer; its latency counts from then.
"""

import argparse
import asyncio
import itertools
import signal
import ssl
from pathlib import Path
from random import Random
import sys

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.record import Recorder, now_us  # noqa: E402
from chaos.resp_stream import Error, Incomplete, parse, text_of  # noqa: E402
from chaos.scripts import Session, writes  # noqa: E402
from lib.resp import encode  # noqa: E402

CONNECTIONS = 40
PATIENCE_S = 15  # without an answer for so long, a client gives up: longer than any fault's silence
REDIAL_S = 0.05


class Lost(Exception):
    """No answer will come. `sent`: it may have been executed."""

    def __init__(self, why, sent):
        super().__init__(why)
        self.sent = sent


class Connection(asyncio.Protocol):
    """Commands of several clients in a pipeline; opened again by whoever needs it next."""

    def __init__(self, port, proto, tls=None):
        self.port, self.proto, self.tls = port, proto, tls
        self.transport, self.waiting, self.buffer = None, [], bytearray()
        self.dialling = asyncio.Lock()

    async def ask(self, commands):
        """The last reply. Raises Lost."""
        async with self.dialling:
            if self.transport is None:
                await self._dial()
        block = [["MULTI"], *commands, ["EXEC"]] if len(commands) > 1 else commands
        reply = asyncio.get_running_loop().create_future()
        self._send(block, reply)
        try:
            return await asyncio.wait_for(reply, PATIENCE_S)
        except asyncio.TimeoutError:
            self._lose(f"no answer for {PATIENCE_S} s")
            raise Lost(f"no answer for {PATIENCE_S} s", sent=True) from None

    async def _dial(self):
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, "127.0.0.1", self.port, ssl=self.tls)
        except OSError as error:
            await asyncio.sleep(REDIAL_S)
            raise Lost(f"connect: {type(error).__name__}", sent=False) from None
        if self.proto == 3:
            self._send([["HELLO", "3"]], loop.create_future())

    def _send(self, commands, reply):
        self.waiting += [None] * (len(commands) - 1) + [reply]
        self.transport.write(b"".join(encode(*command) for command in commands))

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        at = 0
        try:
            while at < len(self.buffer):
                value, at = parse(self.buffer, at)
                reply = self.waiting.pop(0)
                if reply is not None and not reply.done():
                    reply.set_result(value)
        except Incomplete:
            pass
        del self.buffer[:at]

    def connection_lost(self, error):
        self._lose(type(error).__name__ if error else "connection closed")

    def _lose(self, why):
        if self.transport is not None:
            self.transport.abort()
        self.transport, waiting, self.waiting = None, self.waiting, []
        self.buffer.clear()
        for reply in waiting:
            if reply is not None and not reply.done():
                reply.set_exception(Lost(why, sent=True))


class Load:
    def __init__(self, options):
        self.options = options
        self.recorder = Recorder(options.history)
        self.numbers = itertools.count()
        self.stopping = False

    async def run(self):
        options, random = self.options, Random(f"{self.options.seed}/pauses")
        connections = [self.connection(i) for i in range(CONNECTIONS)]
        for connection in connections:
            await connection._dial()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
        # 1.95 clients a session on average: each pauses so long that all together make the rate.
        self.pause_s = options.sessions * 1.95 / options.rate
        places = [self.place(connections, random) for _ in range(options.sessions)]
        print("started", flush=True)
        await asyncio.gather(*places)
        self.recorder.close()

    def connection(self, number):
        options = self.options
        if not options.tls_port or number < CONNECTIONS // 2:
            return Connection(options.port, 2 + number % 2)
        context = ssl.create_default_context(cafile=options.tls_ca)
        return Connection(options.tls_port, 2 + number % 2, context)

    def stop(self):
        self.stopping = True

    async def place(self, connections, random):
        """One session after the other."""
        while not self.stopping:
            number = next(self.numbers)
            session = Session(self.options.seed, number)
            await asyncio.gather(
                *(
                    self.client(session, client, random.choice(connections), random)
                    for client in range(session.clients)
                )
            )

    async def client(self, session, client, connection, random):
        script, reply = session.script(client), None
        loop = asyncio.get_running_loop()
        due = loop.time() + random.random() * self.pause_s
        while not self.stopping:
            try:
                commands = script.send(reply)
            except StopIteration:
                return
            await asyncio.sleep(max(0, due - loop.time()))
            reply = await self.ask(session.key, client, connection, commands)
            due = max(due + random.uniform(0.2, 1.8) * self.pause_s, loop.time())

    async def ask(self, key, client, connection, commands):
        """Its recorded reply, or "" if there was none."""
        ask_us, recorder = now_us(), self.recorder
        try:
            value = await connection.ask(commands)
        except Lost as lost:
            outcome = recorder.doubt if lost.sent else recorder.refused
            outcome(key, client, commands, ask_us, str(lost))
            return ""
        failed = error_in(value)
        if failed:
            # Of a write nothing is claimed, although stayd's errors mean "not done".
            outcome = recorder.doubt if writes(commands) else recorder.refused
            outcome(key, client, commands, ask_us, f"-{failed}")
            return ""
        reply = text_of(value, commands if len(commands) > 1 else commands[0])
        recorder.told(key, client, commands, ask_us, reply)
        return reply


def error_in(value):
    if isinstance(value, list):
        return next((item for item in value if isinstance(item, Error)), None)
    return value if isinstance(value, Error) else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--sessions", type=int, default=220)
    parser.add_argument("--rate", type=int, default=460)
    parser.add_argument("--history", required=True)
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--tls-ca")
    asyncio.run(Load(parser.parse_args()).run())


if __name__ == "__main__":
    main()
