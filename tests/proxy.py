"""A proxy between a client and a real server that lets something happen at exactly one command."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress


class Proxy:
    """Forwards bytes both ways. Before a request that holds `marker` goes on, `act` is called, once; what it answers
    is sent to the server in the place of the request, and `None` means that `act` has seen to everything."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._open: list[socket.socket] = []
        self._marker: bytes | None = None
        self._act: Callable[[socket.socket, bytes], bytes | None] | None = None
        self.struck = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def strike(self, marker: bytes, act: Callable[[socket.socket, bytes], bytes | None]) -> None:
        """Arm it: at the next request with the marker, `act(client, request)`."""
        self.struck.clear()
        self._act, self._marker = act, marker

    def refuse(self) -> None:
        """Accept nobody any more and cut everybody off."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that would keep the port
        self._listener.close()
        self.cut()

    def accept_again(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection."""
        for connection in self._open:
            reset(connection)
        self._open.clear()

    def close(self) -> None:
        self.refuse()

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, watched: bool) -> None:
        with suppress(OSError), closing(source), closing(sink):
            while data := source.recv(1 << 20):
                if watched and self._marker is not None and self._marker in data:
                    act, self._marker = self._act, None
                    self.struck.set()
                    replaced = act(source, data)
                    if replaced is None:
                        continue
                    data = replaced
                sink.sendall(data)


def reset(connection: socket.socket) -> None:
    """End a connection with RST instead of FIN."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
