"""One computation per key in this process: the first caller computes, all who come meanwhile share what it got.

What it got may be an exception; they share that too, because calling a failing function once per waiter, one after
the other, is what makes an outage long. Nothing is remembered after the flight has landed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Hashable
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, pilot: int) -> None:
        self.pilot = pilot
        self.waiting = 0
        self.landed = threading.Event()
        self.value: T
        self.error: BaseException | None = None


class SingleFlight(Generic[T]):
    """For threads."""

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
            elif flight.pilot != me:
                flight.waiting += 1
        if flight is None:
            return self._lead(key, leading, compute)
        if flight.pilot == me:
            return compute()
        flight.landed.wait()
        if flight.error is not None:
            raise flight.error
        return flight.value

    def waiting(self, key: Hashable) -> int:
        """How many callers wait for the one that computes."""
        with self._lock:
            return self._flights[key].waiting if key in self._flights else 0

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


class _AsyncFlight(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class AsyncSingleFlight(Generic[T]):
    """For coroutines; each event loop has its own flights.

    The computation is a task of its own: a caller that is cancelled leaves the others waiting, and only when all
    have left it is cancelled too.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[asyncio.AbstractEventLoop, Hashable], _AsyncFlight[T]] = {}

    async def run(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `compute` answers or raises, for one of the callers that are here with this key at the same time.

        A computation that asks for its own key again computes it plainly, instead of waiting for itself.
        """
        if (id(self), key) in _aboard.get():
            return await compute()
        place = (asyncio.get_running_loop(), key)
        flight = self._flights.get(place)
        if flight is None:
            flight = self._flights[place] = _AsyncFlight(place[0].create_task(self._fly(key, compute)))
            flight.task.add_done_callback(lambda task: self._land(place, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._land(place, flight.task)  # first, so that nobody joins a flight that is being called off
                flight.task.cancel()

    async def _fly(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        _aboard.set(_aboard.get() | {(id(self), key)})
        return await compute()

    def _land(self, place: tuple[asyncio.AbstractEventLoop, Hashable], task: asyncio.Task[T]) -> None:
        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report one that nobody waited for any more
        flight = self._flights.get(place)
        if flight is not None and flight.task is task:
            del self._flights[place]


_aboard: ContextVar[frozenset[tuple[int, Hashable]]] = ContextVar("_aboard", default=frozenset())
