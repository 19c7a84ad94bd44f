"""Places for callers that wait: an event stream and a long poll hold a thread each, and nobody gets all of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app

from api.errors import Problem, unavailable
from settings import Settings

# Of a process's threads, those that may be held; the rest answers everything else.
_SHARE_OF_THREADS = 7 / 8
_NAME = "orfeas-gate"


class Gate:
    """Counts who waits in this process, and lets no more in than `limit`, nor more of one owner than `share`."""

    def __init__(self, limit: int, share: int | None = None) -> None:
        self.limit = limit
        self._share = limit if share is None else share
        self._taken = Counter[str]()
        self._lock = threading.Lock()

    @property
    def open(self) -> int:
        return self._taken.total()

    def enter(self, owner: str = "") -> bool:
        with self._lock:
            if self.open >= self.limit or self._taken[owner] >= self._share:
                return False
            self._taken[owner] += 1
            return True

    def leave(self, owner: str = "") -> None:
        with self._lock:
            self._taken[owner] -= 1
            if not self._taken[owner]:
                del self._taken[owner]


class Place:
    """One stream's place behind the gate and its body; closing it gives the place back, also when it never began."""

    def __init__(self, gate: Gate, owner: str, body: Iterator[str]) -> None:
        self._gate = gate
        self._owner = owner
        self._body = body
        self._left = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._body)

    def close(self) -> None:
        self._body.close()  # type: ignore[attr-defined]  # a generator's
        if not self._left:
            self._left = True
            self._gate.leave(self._owner)


def keep_places(app: Flask, settings: Settings) -> None:
    """Half of the places for one key at most; without keys all callers are one."""
    limit = int(settings.api_threads * _SHARE_OF_THREADS)
    app.extensions[_NAME] = Gate(limit, max(1, limit // 2) if settings.api_keys or settings.admin_keys else limit)


def gate() -> Gate:
    """That of the app which answers this request."""
    return current_app.extensions[_NAME]


def full() -> Problem:
    """What a caller hears who cannot be answered without waiting."""
    detail = f"{gate().open} streams and waiting calls are open already (API_THREADS); poll without wait instead"
    return unavailable("streams_full", detail)


@contextmanager
def place(owner: str) -> Iterator[bool]:
    """Whether there is a place to wait in, held for as long as the block runs."""
    behind = gate()
    entered = behind.enter(owner)
    try:
        yield entered
    finally:
        if entered:
            behind.leave(owner)
