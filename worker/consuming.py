"""Whether this worker takes messages: the parent process consumes, its children beat, and each knows only its own part.

The parent notes in memory that it shares with its children when it last saw that its event loop turns and is subscribed
to its queue. A child that reads this tells the fleet, and may ask for the subscription back.
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
_TIMES = struct.Struct("=dd")


class Consuming:
    """Two times by the monotonic clock, which all processes of a host share; made before the fork."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, _TIMES.size)
        self._clock = clock

    def confirm(self) -> None:
        """In the parent: it takes messages."""
        struct.pack_into("=d", self._memory, 0, self._clock())

    def confirmed(self) -> bool:
        """In a child: the parent has taken messages until just now."""
        at = _TIMES.unpack_from(self._memory)[0]
        return bool(at) and self._clock() - at < FRESH_S

    def ask_back(self) -> None:
        """In a child: work waits that nobody else takes."""
        struct.pack_into("=d", self._memory, 8, self._clock())

    def asked_back(self) -> bool:
        """In the parent: a child has just asked for the subscription."""
        at = _TIMES.unpack_from(self._memory)[1]
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
        if consumer.task_consumer.consuming_from(queue):
            if time.monotonic() - self._since >= STEADY_S:
                self.consuming.confirm()
        elif self.consuming.asked_back():
            log.warning("work waits in the queue %s and nobody else takes it: this worker subscribes again", queue)
            consumer.add_task_queue(queue)
