"""Wakes whoever waits for a job: one reader per process follows the fleet's stream of changes.

A wake-up says only that something changed; the waiter reads the state itself, and looks again every few seconds
anyway, so a lost or trimmed event costs a moment and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from cache.loops import Loop
from jobs.scripts import TextRedis

T = TypeVar("T")

LOOK_AGAIN_S = 2.0
_BLOCK_MS = 1000


class ChangeFeed:
    """Follows `P:changes`; the reading thread starts with the first waiter, so after any fork."""

    def __init__(
        self, connect: Callable[[], TextRedis], *, prefix: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._stream = f"{prefix}:changes"
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._reader: Loop | None = None
        self._redis: TextRedis | None = None
        self._last = ""

    @contextmanager
    def watching(self, *ids: str) -> Iterator[threading.Event]:
        """An event that is set when one of the ids has changed; clear it before you look."""
        changed = threading.Event()
        with self._lock:
            for one in ids:
                self._waiting[one].add(changed)
            if self._reader is None or not self._reader.alive:
                self._reader = Loop("change-feed", self._read).start()
        try:
            yield changed
        finally:
            with self._lock:
                for one in ids:
                    self._waiting[one].discard(changed)
                    if not self._waiting[one]:
                        del self._waiting[one]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _read(self) -> None:
        try:
            self._redis = self._redis or self._connect()
            self._last = self._last or self._newest(self._redis)
            answer = self._redis.xread({self._stream: self._last}, block=_BLOCK_MS, count=500)
            for _stream, events in answer or ():
                self._last = events[-1][0]
                self._wake({fields["id"] for _id, fields in events})
        except Exception:
            self._last = ""
            self._wake(None)  # what was missed meanwhile, each of them looks up
            raise

    def _wake(self, ids: set[str] | None) -> None:
        with self._lock:
            for one in list(self._waiting) if ids is None else ids & self._waiting.keys():
                for changed in self._waiting[one]:
                    changed.set()

    def _newest(self, redis: TextRedis) -> str:
        """Id of the newest event: `$` would lose what comes between two reads."""
        events = redis.xrevrange(self._stream, count=1)
        return str(events[0][0]) if events else "0-0"

    def wait_for(self, look: Callable[[], T], done: Callable[[T], bool], *ids: str, timeout_s: float) -> T:
        """What `look` answers once `done` says so, at the latest after `timeout_s`; it looks whenever an id changed."""
        deadline = self._clock() + timeout_s
        with self.watching(*ids) as changed:
            while True:
                changed.clear()
                answer = look()
                left_s = deadline - self._clock()
                if done(answer) or left_s <= 0:
                    return answer
                changed.wait(min(left_s, LOOK_AGAIN_S))
