"""One computation per key in this process: the first caller computes, all who come meanwhile share what it got.

What it got may be an exception; they share that too, because calling a failing function once per waiter, one after
the other, is what makes an outage long. Nothing is remembered after the flight has landed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, pilot: int) -> None:
        self.pilot = pilot
        self.landed = threading.Event()
        self.value: T
        self.error: BaseException | None = None


class SingleFlight(Generic[T]):
    """For threads; `decorators.cached_result` has its own for coroutines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight[T]] = {}

    def run(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` answers or raises, for one of the callers that are here with this key at the same time.

        A computation that asks for its own key again computes it plainly, instead of waiting for itself.
        """
        me = threading.get_ident()
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                leading = self._flights[key] = _Flight(me)
        if flight is None:
            return self._lead(key, leading, compute)
        if flight.pilot == me:
            return compute()
        flight.landed.wait()
        if flight.error is not None:
            raise flight.error
        return flight.value

    def _lead(self, key: Hashable, flight: _Flight[T], compute: Callable[[], T]) -> T:
        try:
            flight.value = compute()
            return flight.value
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
