"""A proxy that speaks Redis and hides which server answers: it moves to another one and keeps its clients.

    proxy = MovingProxy(port); proxy.move(other_port)

What a client has sent before has been answered by the server of before, or never is.
"""

import socket
import threading

from .processes import free_port
from .resp import encode

HELLO = encode("HELLO", 3)


class MovingProxy:
    def __init__(self, port):
        self.server_port, self.port = port, free_port()
        self._links = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept)

    def move(self, port):
        self.server_port = port
        for link in self._links:
            link.move(port)

    def close(self):
        # Wakes the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self):
        try:
            while True:
                link = _Link(self._listener.accept()[0], self.server_port)
                self._links.append(link)
                self._start(link.forward)
                self._start(link.back, link.server)
        except OSError:
            pass

    @staticmethod
    def _start(work, *args):
        threading.Thread(target=work, args=args, daemon=True).start()


class _Link:
    def __init__(self, client, port):
        self.client, self.lock = client, threading.Lock()
        self.server = socket.create_connection(("127.0.0.1", port))

    def move(self, port):
        fresh = socket.create_connection(("127.0.0.1", port))
        fresh.sendall(HELLO)
        assert fresh.recv(65536).startswith(b"%")
        with self.lock:
            before, self.server = self.server, fresh
        before.close()
        MovingProxy._start(self.back, fresh)

    def forward(self):
        try:
            while data := self.client.recv(65536):
                with self.lock:
                    self.server.sendall(data)
        except OSError:
            pass
        self.close()

    def back(self, server):
        try:
            while data := server.recv(65536):
                self.client.sendall(data)
        except OSError:
            pass
        if server is self.server:  # it has ended by itself
            self.close()

    def close(self):
        for end in (self.client, self.server):
            end.close()
