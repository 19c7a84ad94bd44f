"""Ends a child process that stands still as a whole: native code that hangs while it holds the interpreter's lock.

Such a child has no heartbeat, so its work was taken over long before; but it would keep its GPU until Celery's hard
limit, and so would every other worker that the same input reaches. The parent sees it: each child ticks once a second
into shared memory from a thread that needs nothing but the lock.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import struct
from collections.abc import Callable, Iterable
from itertools import count
from typing import Protocol

from cache.loops import Loop

log = logging.getLogger(__name__)

EVERY_S = 1.0
_TICK = struct.Struct("=Q")
_MOST_CHILDREN = 512


class Child(Protocol):
    index: int

    @property
    def pid(self) -> int | None: ...


class Ticks:
    """One counter per child, by its index in the pool; made before the fork, shared after it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TICK.size * _MOST_CHILDREN)

    def read(self, index: int) -> int:
        return int(_TICK.unpack_from(self._memory, index * _TICK.size)[0])

    def tick(self, index: int, number: int) -> None:
        _TICK.pack_into(self._memory, index * _TICK.size, number)

    def start(self, index: int) -> None:
        """In the child: ticks for as long as the interpreter lives. Zero says that it has not begun yet."""
        numbers = count(1)
        Loop("ticks", lambda: self.tick(index, next(numbers)), every_s=EVERY_S).start()


class Guard:
    """In the parent: counts rounds in which a child did not tick. A parent that was frozen itself counts none."""

    def __init__(self, ticks: Ticks, *, patience_s: float, end: Callable[[int], None] | None = None) -> None:
        self._ticks = ticks
        self._rounds = max(2, round(patience_s / EVERY_S))
        self._end = end or (lambda pid: os.kill(pid, signal.SIGKILL))
        self._seen: dict[int, tuple[int, int]] = {}  # by process id: its last tick, and for how many rounds

    def round(self, children: Iterable[Child]) -> None:
        seen: dict[int, tuple[int, int]] = {}
        for child in children:
            if child.pid is None:
                continue
            tick = self._ticks.read(child.index)
            before, rounds = self._seen.get(child.pid, (tick, -1))
            rounds = rounds + 1 if tick == before and tick else 0
            seen[child.pid] = (tick, rounds)
            if rounds == self._rounds:
                log.error("process %d stands still for %d s and is ended", child.pid, rounds * EVERY_S)
                self._end(child.pid)
        self._seen = seen

    def start(self, children: Callable[[], Iterable[Child]]) -> None:
        """Goes round once a second in a thread of its own."""
        Loop("guard", lambda: self.round(children()), every_s=EVERY_S, waits_first=True).start()
