"""gunicorn's threaded worker, but nobody holds its threads by being slow: its patience with one request has an end.

A request's head is gathered by the poller and takes a thread only when it is whole. Its body is read by a thread, as
long as it keeps coming at a modest rate; one address gets a part of the threads for bodies that are not there yet. It
bounds neither how fast answers are fetched nor how many addresses come.

It stands beside `gunicorn.conf.py` and not in `api`: gunicorn's first process loads it, and what that has loaded no
other loads anew.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from typing import Any

from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

# As Apache's mod_reqtimeout has them, whose rate is lower still: 20 s, and one more for each so many bytes.
LIMIT_S, LEAST_BYTES_PER_S = 20.0, 10_000
AT_ONCE_S = 0.1  # a body that is whole by then takes nobody's place
_HEAD_END, _HEAD_LIMIT_BYTES = b"\r\n\r\n", 65_536  # longer ones are gunicorn's to refuse


class Places:
    """How many unfinished requests each address has; none gets more than `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = Counter[str]()
        self._lock = threading.Lock()

    def take(self, address: str) -> bool:
        with self._lock:
            if self._taken[address] >= self._most:
                return False
            self._taken[address] += 1
            return True

    def give_back(self, address: str) -> None:
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


class PatientSocket:
    """A client's connection; reading a request from it ends in time, all else is the socket's own."""

    def __init__(self, own: socket.socket, address: str, heads: Places, bodies: Places) -> None:
        self._own = own
        self._address = address
        self._heads = heads
        self._bodies = bodies
        self._held: Places | None = None
        self._head = bytearray()
        self._got_bytes = 0
        self._since: float | None = None
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def gather(self) -> bool:
        """Takes what has come of a request's head; answers whether a thread can go on with it, or must, to end it."""
        self._since = self._since or time.monotonic()
        while _HEAD_END not in self._head and len(self._head) < _HEAD_LIMIT_BYTES:
            try:
                part = self._own.recv(8192, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self.cut = time.monotonic() - self._since > LIMIT_S or not self._hold(self._heads)
                return self.cut
            if not part:
                break
            self._head += part
        return True

    def begin(self) -> None:
        """From here on the body is waited for."""
        self._let_go()
        self._since, self._got_bytes = time.monotonic(), len(self._head)

    def end(self) -> None:
        """The request is answered."""
        self._let_go()
        self._since = None

    def recv(self, size: int) -> bytes:
        """As the socket's, but an end of patience reads as the client's end."""
        if self._head:
            head, self._head = bytes(self._head), bytearray()
            return head
        if self._since is None or self.cut:
            return b"" if self.cut else self._own.recv(size)
        part = self._in_time(size)
        self.cut = part is None
        self._got_bytes += len(part or b"")
        return part or b""

    def setblocking(self, blocking: bool) -> None:
        """Gunicorn closes once more what was closed here, and counts a connection twice if that raises."""
        if self._own.fileno() >= 0:
            self._own.setblocking(blocking)

    def close(self) -> None:
        self._let_go()
        self._own.close()

    def _in_time(self, size: int) -> bytes | None:
        """What comes next; None when it does not come, or no longer in time."""
        passed_s = time.monotonic() - (self._since or 0.0)
        left_s = min(LIMIT_S, LIMIT_S + self._got_bytes / LEAST_BYTES_PER_S - passed_s)
        part = self._within(AT_ONCE_S - passed_s, size)
        if part is None and self._hold(self._bodies):
            part = self._within(left_s, size)
        return part

    def _within(self, left_s: float, size: int) -> bytes | None:
        """What comes in as many seconds, or in fewer where gunicorn has less patience by itself."""
        asked_s = self._own.gettimeout()
        if left_s <= 0:
            return None
        try:
            self._own.settimeout(left_s if asked_s is None else min(left_s, asked_s))
            return self._own.recv(size)
        except TimeoutError:
            return None
        finally:
            self._own.settimeout(asked_s)

    def _hold(self, places: Places) -> bool:
        if self._held is None and places.take(self._address):
            self._held = places
        return self._held is places

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.give_back(self._address)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no annotations
    """What `gunicorn.conf.py` names as `worker_class`."""

    def init_process(self) -> None:
        self._heads = Places(max(1, self.cfg.worker_connections // 4))
        self._bodies = Places(max(1, self.cfg.threads * 3 // 4))
        super().init_process()

    def handle(self, conn: TConn) -> Any:
        if self.cfg.is_ssl:
            return super().handle(conn)
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, str(conn.client[0]), self._heads, self._bodies)
        read_ahead = conn.parser is not None and conn.parser.unreader.buf.getvalue()
        if not read_ahead and not conn.sock.gather():
            return _DEFER
        conn.data_ready = True
        conn.sock.begin()
        keep = not conn.sock.cut and super().handle(conn)
        conn.sock.end()
        if not keep or conn.sock.cut:
            # Here, since gunicorn would wait for the client's end in the thread that accepts connections.
            conn.close(graceful=not conn.sock.cut)
            return False
        return keep
