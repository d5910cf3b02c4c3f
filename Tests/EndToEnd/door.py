"""A way to a server that can be shut."""

import contextlib
import socket
import threading
import time

from ports import free_port


class Door:
    """A TCP proxy to a local port that can be shut: nobody gets in then, and who was in is out."""

    def __init__(self, port: int):
        self.target, self.port = port, free_port()
        self.pause = 0.0  # of what comes from the gateway, after each packet of 4 KiB
        self._listener = None
        self._open: list[socket.socket] = []

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self):
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 12):
                target.sendall(data)
                if self.pause and source.getsockname()[1] == self.port:
                    time.sleep(self.pause)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
