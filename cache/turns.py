"""A bounded number of callers at a time, in the order in which they came, on a server that may fall silent.

While the server is silent one caller at a time tries it; the others are told at once instead of waiting one after the
other for the same time-out.
"""

from __future__ import annotations

import threading
from collections import deque


class Silent(Exception):
    """The server has not answered others lately, or has fallen silent while this caller waited for its turn."""


class _Waiter:
    def __init__(self) -> None:
        self.called = threading.Event()
        self.refused = False


class Turns:
    """`most` callers at a time. `join_s` is how long a caller waits for the outcome of another's try of a silent
    server, in seconds: long enough for one that answers again."""

    def __init__(self, most: int, *, join_s: float = 0.05) -> None:
        self._lock = threading.Lock()
        self._free = most
        self._waiting: deque[_Waiter] = deque()
        self._join_s = join_s
        self._silent = False
        self._trying = False

    def take(self) -> None:
        """Waits for a turn; each is to be given back.

        Raises:
            Silent: the server does not answer.
        """
        with self._lock:
            if not self._waiting and self._may_go():
                self._go()
                return
            mine = _Waiter()
            self._waiting.append(mine)
            limit_s = self._join_s if self._silent else None
        if not mine.called.wait(limit_s) and self._give_up(mine):
            raise Silent
        if mine.refused:
            raise Silent

    def give_back(self) -> None:
        with self._lock:
            self._free += 1
            self._trying = False
            self._call()

    def heard(self) -> None:
        """The server answered somebody."""
        if not self._silent:  # unlocked: this is called for every answer
            return
        with self._lock:
            self._silent = self._trying = False
            self._call()

    def fell_silent(self) -> None:
        """Somebody's time-out ran out: whoever waits is told."""
        with self._lock:
            self._silent = True
            while self._waiting:
                waiter = self._waiting.popleft()
                waiter.refused = True
                waiter.called.set()

    def _may_go(self) -> bool:
        return self._free > 0 and not (self._silent and self._trying)

    def _go(self) -> None:
        self._free -= 1
        self._trying = self._silent

    def _call(self) -> None:
        while self._waiting and self._may_go():
            self._go()
            self._waiting.popleft().called.set()

    def _give_up(self, mine: _Waiter) -> bool:
        """Leaves the line; False when the turn came in this very moment."""
        with self._lock:
            if mine.called.is_set():
                return False
            self._waiting.remove(mine)
            return True
