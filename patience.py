"""gunicorn's threaded worker with limits for slow clients: reading one request ends in time, and takes few threads.

The poller gathers a request's head, and a small body with it; a thread is taken when they are whole. A larger body is
read by a thread as long as it keeps coming at a modest rate. One address gets a part of the threads for such bodies;
what comes beyond that waits in order and is not refused. Neither the speed at which answers are fetched nor the number
of addresses is limited. A Unix socket has one client, the proxy behind it, which has to guard against slow ones itself.

It stands beside `gunicorn.conf.py` and not in `api`: gunicorn's first process loads it, and what that has loaded no
other loads anew.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

# As Apache's mod_reqtimeout has them, whose rate is lower still: 20 s, and one more for each so many bytes.
LIMIT_S, LEAST_BYTES_PER_S = 20.0, 10_000
_HEAD_END, _HEAD_LIMIT_BYTES = b"\r\n\r\n", 65_536  # longer ones are gunicorn's to refuse
_GATHERED_BYTES = 65_536  # head and body up to this together are gathered before a thread is taken
# A body of unknown length, one that waits for "100 Continue", or its length.
_BODY = re.compile(
    rb"\r\n(?:(transfer-encoding|expect)[ \t]*:|content-length[ \t]*:[ \t]*(\d{1,15})[ \t]*(?=\r\n))", re.IGNORECASE
)
_PARKED = object()  # waits for a place and is brought back by whoever gives one back


class Places:
    """How many unfinished requests each address has: at most `most`. The address "" has no limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = Counter[str]()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    def take(self, address: str, then: Callable[[], None] | None = None) -> bool:
        """Whether there was a place; if not, `then` is called when there is one, which is taken already."""
        with self._lock:
            if address and self._taken[address] >= self._most:
                if then is not None:
                    self._waiting.setdefault(address, deque()).append(then)
                return False
            self._taken[address] += 1
            return True

    def give_back(self, address: str) -> None:
        with self._lock:
            waiting = self._waiting.get(address)
            then = waiting.popleft() if waiting else None
            if not waiting:
                self._waiting.pop(address, None)
            if then is None:
                self._taken[address] -= 1
                if not self._taken[address]:
                    del self._taken[address]
        if then is not None:
            then()


class PatientSocket:
    """A client's connection; reading a request from it ends in time, all else is the socket's own."""

    def __init__(self, own: socket.socket, address: str, heads: Places, bodies: Places) -> None:
        self._own = own
        self._address = address
        self._heads = heads
        self._bodies = bodies
        self._held: Places | None = None
        self._gathered = bytearray()
        self._got_bytes = 0
        self._wanted_bytes: int | None = None  # of head and body; None: not known
        self._since: float | None = None
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def gather(self) -> bool:
        """Takes what has come of a request; answers whether a thread can go on with it, or must, to end it."""
        self._since = self._since or time.monotonic()
        while not self._enough():
            try:
                part = self._own.recv(8192, socket.MSG_DONTWAIT)
            except BlockingIOError:
                limit_s = LIMIT_S + len(self._gathered) / LEAST_BYTES_PER_S
                self.cut = time.monotonic() - self._since > limit_s or not self._hold_head()
                return self.cut
            if not part:
                break
            self._gathered += part
        return True

    def begin(self, then: Callable[[], None]) -> bool:
        """Whether the rest may be read now; if not, `then` is called when it may."""
        if self._held is not self._bodies:
            self._let_go()
            whole = self._wanted_bytes is not None and len(self._gathered) >= self._wanted_bytes
            if not whole and not self._bodies.take(self._address, lambda: self._resume(then)):
                return False
            self._held = None if whole else self._bodies
        self._since, self._got_bytes = time.monotonic(), len(self._gathered)
        return True

    def end(self) -> None:
        """The request is answered."""
        self._let_go()
        self._since = self._wanted_bytes = None

    def recv(self, size: int) -> bytes:
        """As the socket's, but a time-out reads as the client's end."""
        if self._gathered:
            gathered, self._gathered = bytes(self._gathered), bytearray()
            return gathered
        if self._since is None or self.cut:
            return b"" if self.cut else self._own.recv(size)
        part = self._in_time(size)
        self.cut = part is None
        self._got_bytes += len(part or b"")
        if self._wanted_bytes is not None and self._got_bytes >= self._wanted_bytes:
            self._let_go()
        return part or b""

    def setblocking(self, blocking: bool) -> None:
        """Gunicorn closes once more what was closed here, and counts a connection twice if that raises."""
        if self._own.fileno() >= 0:
            self._own.setblocking(blocking)

    def close(self) -> None:
        self._let_go()
        self._own.close()

    def _enough(self) -> bool:
        """Whether a thread is needed for what comes next."""
        end = self._gathered.find(_HEAD_END)
        if end < 0:
            return len(self._gathered) >= _HEAD_LIMIT_BYTES
        if self._wanted_bytes is None:
            head = bytes(self._gathered[: end + 2])
            bodies = _BODY.findall(head)
            if any(unknown for unknown, _ in bodies):
                return True
            self._wanted_bytes = end + len(_HEAD_END) + max((int(length) for _, length in bodies), default=0)
        return len(self._gathered) >= self._wanted_bytes or self._wanted_bytes > _GATHERED_BYTES

    def _in_time(self, size: int) -> bytes | None:
        """What comes next, or None when it does not come in time, or in gunicorn's own where that is shorter."""
        passed_s = time.monotonic() - (self._since or 0.0)
        left_s = min(LIMIT_S, LIMIT_S + self._got_bytes / LEAST_BYTES_PER_S - passed_s)
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

    def _hold_head(self) -> bool:
        if self._held is None and self._heads.take(self._address):
            self._held = self._heads
        return self._held is self._heads

    def _resume(self, then: Callable[[], None]) -> None:
        self._held = self._bodies
        then()

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
            conn.sock = PatientSocket(conn.sock, _address_of(conn), self._heads, self._bodies)
        read_ahead = conn.parser is not None and conn.parser.unreader.buf.getvalue()
        if not read_ahead and not conn.sock.gather():
            return _DEFER
        if not conn.sock.begin(lambda: self.method_queue.defer(self.enqueue_req, conn)):
            return _PARKED
        conn.data_ready = True
        keep = not conn.sock.cut and super().handle(conn)
        conn.sock.end()
        if not keep or conn.sock.cut:
            # Here, since gunicorn would wait for the client's end in the thread that accepts connections.
            conn.close(graceful=not conn.sock.cut)
            return False
        return keep

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """As gunicorn's; what waits for a place is left alone, and who connected may take LIMIT_S to say something."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is _PARKED:
            return
        super().finish_request(conn, fs)
        if self.pending_conns and self.pending_conns[-1] is conn:
            conn.timeout = time.monotonic() + LIMIT_S


def _address_of(conn: TConn) -> str:
    """The client's address; "" at a Unix socket, where all clients are one proxy."""
    return str(conn.client[0]) if isinstance(conn.client, tuple) else ""
