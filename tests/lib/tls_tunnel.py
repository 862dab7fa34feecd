"""A plain port on 127.0.0.1 whose connections go on to another port over TLS, for clients that cannot speak it.

    tunnel = TlsTunnel(tls_port, ca_file); tunnel.port
"""

import asyncio
import ssl
import threading

from .processes import free_port

CHUNK = 1 << 16


class TlsTunnel:
    def __init__(self, tls_port, ca_file):
        self.tls_port, self.port = tls_port, free_port()
        self.context = ssl.create_default_context(cafile=ca_file)
        self.loop = asyncio.new_event_loop()
        listening = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self.thread.start()
        assert listening.wait(10)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    def _run(self, listening):
        asyncio.set_event_loop(self.loop)
        server = asyncio.start_server(self._link, "127.0.0.1", self.port, limit=CHUNK)
        self.loop.run_until_complete(server)
        listening.set()
        self.loop.run_forever()

    async def _link(self, reader, writer):
        try:
            there = await asyncio.open_connection(
                "127.0.0.1", self.tls_port, ssl=self.context, limit=CHUNK
            )
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))

    @staticmethod
    async def _pump(reader, writer):
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()
