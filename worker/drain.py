"""What a worker process does with SIGTERM: finish in time, or hand over, but never lose its job.

The parent stops taking messages and waits for its children without limit, and whoever stops the service waits for
STOP_GRACE_S and then kills. So a child lets its work run for most of that time, then gives it back into the queue,
where another worker finds it at once and the attempt does not count.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable

from cache.loops import Loop
from worker.attending import Attending

log = logging.getLogger(__name__)

HEAR_S = 2.0  # for work to notice, at its next step, that it is to stop
WIND_DOWN_S = 2.0  # for the parent to end after its children
_LOOK_S = 0.05


def set_signal_aside() -> None:
    """Call it before any other thread of the process starts, those of numpy and torch included: each inherits that
    SIGTERM is not for it, and a single one that does not would end the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


class Drain:
    """Waits for SIGTERM in a thread of its own, so that work which never returns to Python cannot hold it up."""

    def __init__(
        self,
        attending: Attending,
        *,
        grace_s: float,
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attending = attending
        self._grace_s = grace_s
        self._end = end
        self._clock = clock
        self._pause = pause

    def listen(self) -> None:
        """Starts to wait for the signal, which `set_signal_aside` must have made free for this thread."""
        Loop("drain", self._wait_for_signal).start()

    def drain(self) -> None:
        """Returns when nothing is held any more; ends the process when its work does not listen."""
        if self._idle_within(self._grace_s - HEAR_S - WIND_DOWN_S):
            return
        self._attending.stopping = True
        if not self._idle_within(HEAR_S):
            log.warning("work does not listen and is handed over; this process ends")
            self._end()
        self._attending.stopping = False

    def _wait_for_signal(self) -> float:
        signal.sigwait({signal.SIGTERM})
        self.drain()
        return 0.0

    def _idle_within(self, seconds: float) -> bool:
        deadline = self._clock() + seconds
        while self._attending.held:
            if self._clock() >= deadline:
                return False
            self._pause(_LOOK_S)
        return True
