"""Receivers of webhooks for tests: real HTTP servers on a free port, which answer as they are told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """A status, headers, and whether the body never ends or the headers come a byte at a time."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False
    drips: bool = False


@dataclass
class Receiver:
    """What came in, in order. `replies` are used up one by one; then everything is answered with 204."""

    server: ThreadingHTTPServer
    scheme: str = "http"
    replies: list[Reply] = field(default_factory=list)
    got: list[tuple[str, Message, bytes]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["Webhook-Id"] for _, headers, _ in self.got]


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.told = told = Receiver(server, "https" if tls else "http")  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield told
    finally:
        told.gone.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        told: Receiver = self.server.told  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told.got.append((self.path, self.headers, body))
        reply = told.replies.pop(0) if told.replies else Reply()
        try:
            self._answer(reply, told.gone)
        except OSError:
            self.close_connection = True

    def _answer(self, reply: Reply, gone: threading.Event) -> None:
        while reply.drips and not gone.wait(0.05):
            self.wfile.write(b"X")
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        while reply.endless and not gone.is_set():
            self.wfile.write(b"x" * 65_536)

    def log_message(self, *_: object) -> None:
        pass
