"""The heartbeat of one worker process, in a thread of its own: it lives as long as the process does.

It also ends the process when its work is hung, or is wanted no longer and does not listen; the parent starts another.
What the process held is given back or failed first, so nothing waits for the fleet to notice.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cache.loops import THREADS, Loop, Threads
from jobs.errors import TimedOut
from jobs.fleet import Fleet, GeneratorCard, Owned, WorkerInfo
from jobs.store import STALL_SHOWN_S, JobStore
from worker.attending import Attending

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a claim may run, be silent, or ignore that nobody wants it any more, and another worker be silent.

    In seconds.
    """

    job_time_limit_s: float = 1800.0
    stall_limit_s: float = 600.0
    unwanted_grace_s: float = 1.5
    silence_s: float = 10.0


# A canceled job frees its worker within 5 s: a beat to hear of it (HEARTBEAT_S), the grace, and this to look again.
LOOK_AGAIN_S = 0.5
ANNOUNCE_S = 10.0
RESUME_S = 5.0
RECONNECT_S = STALL_SHOWN_S + 1.0  # a stall that was seen for so long was seen twice by the watch


def end_process() -> None:
    """SIGKILL to oneself: a hung model listens to nothing less."""
    os.kill(os.getpid(), signal.SIGKILL)


class Pulse:
    """Beats for one worker; `also` is called with every beat (cache snapshots, the watch of the config).

    `memory_mb` tells what of the device's memory is used, and how much there is; `consuming` whether the worker takes
    messages, `subscribe` makes it do so again, and `reconnect` over a new connection.
    """

    def __init__(
        self,
        worker: WorkerInfo,
        cards: list[GeneratorCard],
        fleet: Fleet,
        store: JobStore,
        attending: Attending,
        patience: Patience,
        *,
        also: Callable[[], None] = lambda: None,
        consuming: Callable[[], bool] = lambda: True,
        subscribe: Callable[[], None] = lambda: None,
        reconnect: Callable[[], None] = lambda: None,
        threads: Threads = THREADS,
        memory_mb: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0),
        end: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._cards = cards
        self._fleet = fleet
        self._store = store
        self._attending = attending
        self._patience = patience
        self._also = also
        self._consuming = consuming
        self._subscribe = subscribe
        self._reconnect = reconnect
        self._stalled_since: float | None = None
        self._threads = threads
        self._announced_at: float | None = None
        self._apart_since: float | None = None
        self._memory_mb = memory_mb
        self._end = end
        self._clock = clock
        self._unwanted_since: dict[str, float] = {}
        self._strays: set[str] = set()

    def loop(self, stop: threading.Event, *, every_s: float) -> Loop:
        """Beats until `stop` is set; registers at the first beat and whenever the fleet has forgotten it."""

        def step() -> float:
            self.beat()
            soon = self._unwanted_since or self._apart_since is not None
            return min(every_s, LOOK_AGAIN_S) if soon else every_s

        return Loop("pulse", step, every_s=every_s, stop=stop)

    def beat(self) -> None:
        self._check_clock()
        used_mb, total_mb = self._memory_mb()
        told = replace(
            self._worker, doing=self._attending.doing, memory_used_mb=used_mb, memory_total_mb=total_mb,
            consuming=self._consuming(), threads_gone=tuple(self._threads.gone()),
        )  # fmt: skip
        owned = self._fleet.beat(told)
        if owned is None:
            self._fleet.register(told, self._cards)
            self._announced_at = self._clock() if told.consuming else None
            owned = []
        self._check_unwanted(owned)
        self._return_strays(owned)
        self._check_subscription(told.consuming)
        self._also()

    def _check_subscription(self, consuming: bool) -> None:
        """A worker that takes messages says what it can run; one that was told to take none does so again when work
        waits for which nobody else is ready."""
        now = self._clock()
        if consuming:
            self._apart_since = None
            if self._announced_at is None or now - self._announced_at >= ANNOUNCE_S:
                self._fleet.announce(self._cards, fresh=self._announced_at is None)
                self._announced_at = now
            self._check_connection(now)
            return
        self._apart_since = now if self._apart_since is None else self._apart_since
        if now - self._apart_since >= RESUME_S and self._is_needed():
            self._subscribe()

    def _check_connection(self, now: float) -> None:
        """Work that was sent again and still waits beside this idle worker does not come through to it."""
        if self._attending.held or not self._store.stalls().get(self._worker.queue):
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since >= RECONNECT_S:
            log.warning("work waits in the queue %s and does not come through: connecting again", self._worker.queue)
            self._stalled_since = None
            self._reconnect()

    def _is_needed(self) -> bool:
        queue, limit_s = self._worker.queue, self._patience.silence_s
        others = [one for one in self._fleet.workers() if one.queue == queue and one.ready(limit_s)]
        return not others and self._store.depths().get(queue, 0) > 0

    def _check_clock(self) -> None:
        """A claim that ran or was silent for too long fails, and takes the process with it."""
        now = self._clock()
        for key, work in list(self._attending.held.items()):
            running_s = now - self._attending.started.get(key, now)
            silent_s = now - self._attending.moved.get(key, now)
            if running_s > self._patience.job_time_limit_s:
                self._time_out(work, f"it ran longer than {self._patience.job_time_limit_s:g} s (JOB_TIME_LIMIT_S)")
            elif silent_s > self._patience.stall_limit_s:
                self._time_out(work, f"it told nothing for {self._patience.stall_limit_s:g} s (STALL_LIMIT_S)")

    def _time_out(self, work: Owned, reason: str) -> None:
        log.error("work %s timed out: %s; this process ends", work.key, reason)
        try:
            self._store.fail(work, TimedOut(f"the generation was ended: {reason}"), max_attempts=1)
        finally:
            self._end()

    def _check_unwanted(self, owned: list[Owned]) -> None:
        """What runs here though it was canceled, or though its claim is lost, gets a moment to notice by itself."""
        now = self._clock()
        claims = {one.token: one for one in owned}
        unwanted = {
            key: work
            for key, work in list(self._attending.held.items())
            if work.token not in claims or claims[work.token].canceled
        }
        self._unwanted_since = {key: self._unwanted_since.get(key, now) for key in unwanted}
        for key, work in unwanted.items():
            if key not in self._attending.started:  # its turn never came; when it does, the claim is gone
                self._store.release(work)
            elif now - self._unwanted_since[key] >= self._patience.unwanted_grace_s:
                log.warning("work %s is wanted no longer and does not listen; this process ends", key)
                self.give_back_and_end()

    def give_back_and_end(self) -> None:
        """Everything held goes back into the queue, then this process ends."""
        try:
            for work in list(self._attending.held.values()):
                self._store.release(work)
        finally:
            self._end()

    def _return_strays(self, owned: list[Owned]) -> None:
        """What the store thinks is ours but nobody here works on, twice in a row, goes back into the queue."""
        strays = [one for one in owned if one.key not in self._attending.held]
        for one in strays:
            if not self._attending.settle(one) and one.token in self._strays:
                log.warning("work %s was left over: %s", one.key, self._attending.return_lost(one))
        self._strays = {one.token for one in strays}
