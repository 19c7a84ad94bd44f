"""Whether this worker takes messages: the parent process consumes, its children beat, and each knows only its own part.

The parent notes in memory that it shares with its children when it last saw that its event loop turns and is subscribed
to its queue. A child that reads this tells the fleet, and may ask for the subscription back or for a new connection: a
network that loses a connection without a word leaves the parent waiting for an answer that never comes.
"""

from __future__ import annotations

import logging
import mmap
import struct
import time
from collections.abc import Callable
from typing import Any

from celery import bootsteps

log = logging.getLogger(__name__)

TICK_S = 0.5
STEADY_S = 1.0  # a connection that Redis refuses its keys lasts for less
FRESH_S = 5.0
_TIME = struct.Struct("=d")
_CONFIRMED, _SUBSCRIBE, _RECONNECT = (number * _TIME.size for number in range(3))


class Consuming:
    """Times by the monotonic clock, which all processes of a host share; made before the fork."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, 3 * _TIME.size)
        self._clock = clock

    def confirm(self) -> None:
        """In the parent: it takes messages."""
        self._note(_CONFIRMED)

    def confirmed(self) -> bool:
        """In a child: the parent has taken messages until just now."""
        return self._is_fresh(_CONFIRMED)

    def subscribe(self) -> None:
        """In a child: work waits that nobody else takes."""
        self._note(_SUBSCRIBE)

    def reconnect(self) -> None:
        """In a child: messages wait, and none comes through."""
        self._note(_RECONNECT)

    def is_to_subscribe(self) -> bool:
        """In the parent: a child has just asked for it."""
        return self._is_fresh(_SUBSCRIBE)

    def is_to_reconnect(self) -> bool:
        """In the parent: a child has just asked for it; once for each time."""
        asked = self._is_fresh(_RECONNECT)
        _TIME.pack_into(self._memory, _RECONNECT, 0.0)
        return asked

    def _note(self, what: int) -> None:
        _TIME.pack_into(self._memory, what, self._clock())

    def _is_fresh(self, what: int) -> bool:
        at = _TIME.unpack_from(self._memory, what)[0]
        return bool(at) and self._clock() - at < FRESH_S


class ConsumingStep(bootsteps.StartStopStep):
    """Part of the consumer of a Celery worker, started again with each connection: looks at it from its event loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    consuming: Consuming  # set by the composition root
    queue: Callable[[], str]

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        self._since = time.monotonic()
        self._timer = consumer.timer.call_repeatedly(TICK_S, self._look, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, consumer: Any) -> None:
        queue = type(self).queue()
        if self.consuming.is_to_reconnect():
            # To the event loop this is a connection that broke: it makes another, and running tasks go on.
            raise consumer.connection_errors[0]("messages wait, and none comes through")
        if consumer.task_consumer.consuming_from(queue):
            if time.monotonic() - self._since >= STEADY_S:
                self.consuming.confirm()
        elif self.consuming.is_to_subscribe():
            log.warning("work waits in the queue %s and nobody else takes it: this worker subscribes again", queue)
            consumer.add_task_queue(queue)
