"""A TCP proxy that fails on command: the network between stayd and Redis, or between app and stayd.

    proxy = FaultProxy(redis_port); Redis is then reached on proxy.port
    proxy.blackhole()           nothing gets through, nobody is told (a lost route, a frozen peer)
    proxy.heal()                everything as at the start; what was held back is delivered late

It runs an asyncio loop in a thread of its own; the methods may be called from any one thread and
return when the change is in force.
"""

import asyncio
import socket
import struct
import threading

from .processes import free_port

CHUNK = 65536
LINGER_RST = struct.pack("ii", 1, 0)  # close() sends RST


class FaultProxy:
    def __init__(self, target_port, port=None):
        self.target_port = target_port
        self.port = port or free_port()
        self.delay_ms = 0
        self.bytes_per_second = 0
        self.idle_s = None
        self.accepted = 0
        self._links = set()
        self._server = None
        self._fillers = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._open())

    # -- faults ----------------------------------------------------------------------------------

    def blackhole(self, direction="both"):
        """Holds back everything: direction "both", "to_server" or "to_client". New connections are
        accepted (as a frozen Redis' kernel does) and as silent."""
        self._run(self._set_gates(direction, open_=False))

    def heal(self):
        """Opens everything again, delivers what was held back, and listens."""
        self.delay_ms = self.bytes_per_second = 0

        async def heal():
            await self._set_gates("both", open_=True)
            await self._open()

        self._run(heal())

    def drop_new(self):
        """New connections get no answer to their SYN; established ones go on."""
        self._run(self._drop_new())

    def refuse(self):
        """New connections are refused; established ones go on."""
        self._run(self._close_listener())

    def reset_all(self):
        """RST to both ends of every connection; new ones are welcome."""
        self._run(self._reset_all())

    def half_open(self):
        """The server's ends are reset, the clients' ends stay open and silent."""
        self._run(self._half_open())

    def delay(self, ms):
        """Each byte arrives `ms` later, in both directions (the throughput stays)."""
        self.delay_ms = ms

    def bandwidth(self, bytes_per_second):
        """At most so many bytes per second in each direction of each connection; 0: no limit."""
        self.bytes_per_second = bytes_per_second

    def retarget(self, port):
        """The address belongs to another server from now on, as after a failover behind it."""
        self.target_port = port
        self.reset_all()

    def inject(self, data):
        """Sends these bytes to every client, as if the server had."""
        self._run(self._inject(data))

    def drop_idle(self, seconds):
        """Resets connections that were silent for so long, as NATs and balancers do; None: none."""
        self.idle_s = seconds

    @property
    def connections(self):
        return len(self._links)

    def close(self):
        async def close():
            await self._close_listener()
            await self._reset_all()

        if self._loop.is_running():
            self._run(close())
            self._run(self._end_tasks())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()

    # -- the loop's side -------------------------------------------------------------------------

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _end_tasks(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _open(self):
        if self._server is None or self._fillers:
            await self._close_listener()
            if not hasattr(self, "_gates"):
                self._gates = {"to_server": asyncio.Event(), "to_client": asyncio.Event()}
                await self._set_gates("both", open_=True)
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, backlog=511, reuse_address=True
            )

    async def _close_listener(self):
        if self._server is not None:
            # Only the listener: Server.wait_closed() would wait for the connections as well.
            self._server.close()
            self._server = None
        for filler in self._fillers:
            filler.close()
        self._fillers = []
        await asyncio.sleep(0)

    async def _set_gates(self, direction, open_):
        for name, gate in self._gates.items():
            if direction in ("both", name):
                gate.set() if open_ else gate.clear()

    async def _drop_new(self):
        # A listener whose backlog is full: the kernel drops further SYNs in silence.
        await self._close_listener()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._fillers = [listener]
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        await asyncio.sleep(0.05)

    async def _serve(self, reader, writer):
        self.accepted += 1
        link = Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _reset_all(self):
        for link in list(self._links):
            link.abort()
        await asyncio.sleep(0)

    async def _inject(self, data):
        for link in list(self._links):
            link.client[1].write(data)
        await asyncio.sleep(0)

    async def _half_open(self):
        for link in list(self._links):
            link.abort_server_side()
        await asyncio.sleep(0)


class Link:
    """One connection through the proxy: two pumps, each with its gate, delay and bandwidth."""

    def __init__(self, proxy, reader, writer):
        self.proxy, self.client = proxy, (reader, writer)
        self.server = None
        self.half_open = False
        self.last_bytes = asyncio.get_running_loop().time()
        self.broken = False  # one end was reset: what is still held back is lost with it

    async def run(self):
        # A connect waits at the gate too: a black hole answers nobody.
        try:
            self.server = await asyncio.open_connection("127.0.0.1", self.proxy.target_port)
        except OSError:
            self.client[1].close()
            return
        pumps = [
            asyncio.ensure_future(self._pump(self.client[0], self.server[1], "to_server")),
            asyncio.ensure_future(self._pump(self.server[0], self.client[1], "to_client")),
        ]
        watcher = asyncio.ensure_future(self._drop_idle())
        self.pumps = pumps
        await asyncio.wait(pumps)
        watcher.cancel()
        if not self.half_open:
            for _, writer in (self.client, self.server):
                writer.close()
        else:
            await asyncio.Event().wait()  # held open until the proxy closes

    async def _drop_idle(self):
        loop = asyncio.get_running_loop()
        while True:
            limit = self.proxy.idle_s
            if limit is not None and loop.time() - self.last_bytes > limit:
                self.abort()
            await asyncio.sleep(0.05)

    async def _pump(self, reader, writer, direction):
        queue = asyncio.Queue(64)
        sender = asyncio.ensure_future(self._send(queue, writer, direction))
        try:
            while data := await reader.read(CHUNK):
                self.last_bytes = asyncio.get_running_loop().time()
                due = asyncio.get_running_loop().time() + self.proxy.delay_ms / 1000
                await queue.put((due, data))
        except OSError:
            self.broken = True
        await queue.put((0, b""))
        await sender

    async def _send(self, queue, writer, direction):
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self.proxy._gates[direction].wait()
            if self.half_open:
                return
            if self.broken:
                self.abort()
            try:
                if not data:
                    writer.write_eof()
                    return
                if rate := self.proxy.bytes_per_second:
                    await asyncio.sleep(len(data) / rate)
                writer.write(data)
                await writer.drain()
            except (OSError, RuntimeError):
                # The other end is gone: this end shall know it too.
                for _, end in (self.client, self.server):
                    end.close()
                # Drain what still comes so that the reader's put() never blocks.
                while data:
                    _, data = await queue.get()
                return

    def abort(self):
        self.half_open, self.broken = False, True
        for end in (self.client, self.server):
            if end is not None:
                reset(end[1])

    def abort_server_side(self):
        self.half_open = True
        reset(self.server[1])


def reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
        except OSError:
            pass
    writer.transport.abort()
