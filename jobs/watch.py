"""The watch: sends what stayed unsent, takes over from lost workers what they left, lets no priority starve.

Every process of the service keeps it in turn, under a lock with a short life; two at once do no harm, since each
step is one of the job store's atomic ones.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cache.loops import Loop
from jobs.broker import Sender
from jobs.fleet import Fleet, Liveness
from jobs.mending import EVERY_S, mend
from jobs.records import QUEUES, Queue, Work
from jobs.store import JobStore, Overdue

log = logging.getLogger(__name__)

LOCK_S = 4


class Watch:
    """One round is one look at everything; `run` repeats it until told to stop."""

    def __init__(
        self,
        store: JobStore,
        fleet: Fleet,
        sender: Sender,
        *,
        heartbeat_timeout_s: float = 10.0,
        aging_s: float = 300.0,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._sender = sender
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._liveness = Liveness(heartbeat_timeout_s)
        self._aging_s = aging_s
        self._name = secrets.token_hex(8)
        self._lock = f"{store.prefix}:watch"
        self._over = False

    def run(self, stop: threading.Event, *, every_s: float = 1.0, pause: Callable[[float], bool] | None = None) -> None:
        """Keeps watch until `stop` is set; a Redis that does not answer is waited for."""
        self.loop(stop, every_s=every_s, pause=pause).run()

    def loop(
        self, stop: threading.Event, *, every_s: float = 1.0, pause: Callable[[float], bool] | None = None
    ) -> Loop:
        return Loop("watch", self.round, every_s=every_s, waits_first=True, stop=stop, wait=pause)

    def round(self) -> bool:
        """Looks once at everything; answers False, having done nothing, when another process keeps watch.

        A step that fails holds up none of the others; the first error is raised at the end.
        """
        if not self._hold_lock():
            return False
        failures: list[Exception] = []
        for step in (
            self._bury, self._forget_cards, self._store.end_left_over, self._age, self._mend, self._send_due,
            self._send_what_vanished,
        ):  # fmt: skip
            try:
                step()
            except (RedisConnectionError, RedisTimeoutError):
                raise  # each of the others would wait for the same answer
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return True

    def hand_over(self) -> None:
        """Lets another process keep watch at once; this one does not again.

        Raises: redis.RedisError.
        """
        self._over = True
        if self._store.redis.get(self._lock) == self._name:
            self._store.redis.delete(self._lock)

    def _hold_lock(self) -> bool:
        if self._over:
            return False
        redis = self._store.redis
        if redis.set(self._lock, self._name, nx=True, ex=LOCK_S):
            return True
        if redis.get(self._lock) != self._name:
            return False
        redis.expire(self._lock, LOCK_S)
        return True

    def _bury(self) -> None:
        for worker in self._liveness.dead(self._fleet.workers()):
            taken = self._fleet.forget(worker)
            log.warning("worker %s on %s is gone; %d of its works go back", worker.id, worker.host, taken)

    def _forget_cards(self) -> None:
        for name in self._fleet.forget_cards():
            log.info("no worker has announced the generator %s for long; it is forgotten", name)

    def _age(self) -> None:
        self._store.age(self._aging_s)

    def _send_due(self) -> None:
        self._send(self._store.due())

    def _mend(self) -> None:
        if self._store.redis.set(f"{self._store.prefix}:mended", "1", nx=True, ex=EVERY_S):
            for key in mend(self._store, self._fleet):
                log.warning("work %s had lost its place and is put back", key)

    def _send(self, works: Iterable[Work]) -> None:
        # Noted afterwards: a message sent twice is harmless, one that nobody sends is not.
        for work in works:
            self._sender.send(work)
            self._store.sent(work)

    def _send_what_vanished(self) -> None:
        """A message is lost with the worker that had taken it but not begun, or with a Redis that lost its last second.

        Which one it was nobody knows, so those that wait longest are sent again, as many as the broker is short of.
        """
        for queue in QUEUES:
            overdue = self._store.overdue(queue, alive_s=self._heartbeat_timeout_s)
            if overdue.works:
                self._send_again(queue, overdue)

    def _send_again(self, queue: Queue, overdue: Overdue) -> None:
        backlog = self._sender.backlog(queue)
        missing = overdue.messages - backlog
        if overdue.idle_workers:
            # Whatever the broker holds, it did not reach them; never more than twice as many messages as works, though.
            missing = max(missing, min(len(overdue.works), 2 * overdue.messages - backlog))
            works, idle = len(overdue.works), overdue.idle_workers
            log.warning("%d works wait in the queue %s beside %d idle workers; they are sent again", works, queue, idle)
            self._store.note_stall(queue, works)
        self._send(overdue.works[: max(0, missing)])
