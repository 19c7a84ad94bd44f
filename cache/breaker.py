"""Stop asking a server that does not answer, and try again with one caller at a time.

It counts and waits; it knows neither the server nor what is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal


class Breaker:
    """Closed until `failures` calls in a row have failed; then open, but for one probe every `pause_s` seconds.

    A probe that never reports back (its thread was killed) blocks nothing: the next one is let through a pause later.
    """

    def __init__(self, *, failures: int = 2, pause_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold = failures
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._next_probe = 0.0

    def allow(self) -> bool:
        """Whether this caller may ask now."""
        if self._failed < self._threshold:  # unlocked: one call more or less to a failing server does no harm
            return True
        with self._lock:
            now = self._clock()
            if now < self._next_probe:
                return False
            self._next_probe = now + self._pause_s
            return True

    def succeeded(self) -> bool:
        """Note an answer; `True` when it closed the breaker."""
        if not self._failed:
            return False
        with self._lock:
            closed, self._failed = self._failed >= self._threshold, 0
            return closed

    def failed(self) -> bool:
        """Note a failure; `True` when it opened the breaker."""
        with self._lock:
            self._failed += 1
            self._next_probe = self._clock() + self._pause_s
            return self._failed == self._threshold

    @property
    def state(self) -> Literal["closed", "open"]:
        return "closed" if self._failed < self._threshold else "open"
