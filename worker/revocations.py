"""An operator revokes or terminates a task (Celery, Flower): its jobs are canceled, in a thread of the parent process.

The worker discards the message of a revoked task, and nobody else ever hears of it. Should this fail, the watch sends
the work again under another id, so that it runs.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable

from cache.loops import Loop
from jobs.revocation import cancel_revoked
from jobs.store import JobStore

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class Revocations:
    """Cancels what `put` names, one after the other. `store` is called in the thread."""

    def __init__(self, store: Callable[[], JobStore]) -> None:
        self._make_store = store
        self._store: JobStore | None = None
        self._waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def start(self) -> Loop:
        return Loop("revocations", self.cancel_next).start()

    def put(self, key: str, task_id: str) -> None:
        self._waiting.put((key, task_id))

    def cancel_next(self) -> float:
        """Raises: redis.RedisError."""
        try:
            key, task_id = self._waiting.get(timeout=_LOOK_S)
        except queue.Empty:
            return 0.0
        self._store = self._store or self._make_store()
        canceled = cancel_revoked(self._store, key, task_id)
        log.warning("task %s was revoked: %d jobs are canceled", task_id, canceled)
        return 0.0
