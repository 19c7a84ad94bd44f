"""The janitor: deletes what has outlived its setting, jobs every minute, archived files less often.

Every worker process keeps one; a key in Redis that expires says that it was done lately, so one of them does it. It
never touches what waits or runs, and a round that is cut short is simply continued by the next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import RedisError

from cache.archive import Archive
from cache.errors import ArchiveError
from jobs.store import JobStore

log = logging.getLogger(__name__)

_JOBS_EVERY_S = 60
_FILES_EVERY_S = (60, 3600)  # at least and at most: a tenth of the shortest retention, for listing a bucket costs
_AT_ONCE = 1000


@dataclass(frozen=True)
class Shelf:
    """An archive and the age at which its files go, in seconds; 0 keeps them for ever."""

    archive: Archive
    retention_s: float


class Janitor:
    def __init__(self, store: JobStore, shelves: Sequence[Shelf], *, jobs_kept: int) -> None:
        self._store = store
        self._shelves = [shelf for shelf in shelves if shelf.retention_s]
        self._jobs_kept = jobs_kept

    def run(
        self, stop: threading.Event, *, every_s: float = 10.0, pause: Callable[[float], bool] | None = None
    ) -> None:
        """Goes round until `stop` is set."""
        while not (pause or stop.wait)(every_s):
            try:
                self.round()
            except (RedisError, ArchiveError) as error:
                log.warning("the janitor has to come back later: %s", error)
            except Exception:
                log.exception("a round of the janitor failed")

    def round(self) -> None:
        """Does what no process has done lately.

        Raises: redis.RedisError, cache.errors.ArchiveError.
        """
        if self._is_time_for("jobs", _JOBS_EVERY_S):
            self.clean_jobs()
        if self._shelves:
            shortest_s = min(shelf.retention_s for shelf in self._shelves)
            if self._is_time_for("files", int(min(max(shortest_s / 10, _FILES_EVERY_S[0]), _FILES_EVERY_S[1]))):
                self.clean_files()

    def clean_jobs(self) -> int:
        """Answers how many entries went."""
        forgotten = 0
        while gone := self._store.forget_ended(kept=self._jobs_kept, limit=_AT_ONCE):
            forgotten += gone
        return forgotten

    def clean_files(self) -> int:
        """Answers how many files went."""
        return sum(self._clean(shelf) for shelf in self._shelves)

    def _clean(self, shelf: Shelf) -> int:
        deleted = 0
        while gone := shelf.archive.expire(shelf.retention_s, limit=_AT_ONCE):
            deleted += gone
        if deleted:
            log.info("%d files of %s are older than %g s and went", deleted, shelf.archive.prefix, shelf.retention_s)
        return deleted

    def _is_time_for(self, what: str, every_s: int) -> bool:
        return bool(self._store.redis.set(f"{self._store.prefix}:janitor:{what}", "1", nx=True, ex=every_s))
