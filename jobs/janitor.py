"""The janitor: deletes what has outlived its settings, jobs every minute, archived files less often.

Every worker process keeps one; a key in Redis that expires says that it was done lately, so one of them does it. It
never touches what waits or runs, and a round that is cut short is simply continued by the next.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cache.archive import Archive
from cache.archive_listing import Item, Usage
from cache.loops import Loop
from jobs.store import JobStore
from jobs.upkeep import forget_ended, mend_index, needed_files

log = logging.getLogger(__name__)

_JOBS_EVERY_S = 60
_FILES_EVERY_S = (60, 600, 3600)  # at least, with a limit on bytes, at most: listing a bucket costs
_FRESH_S = 60  # a picture is stored before its job exists, a mesh before its renditions are asked for


@dataclass(frozen=True)
class Shelf:
    """An archive, the age at which its files go in seconds, and the bytes that they may take, the oldest go first;
    0 sets no limit. `told` hears what was left each time."""

    archive: Archive
    retention_s: float
    max_bytes: float = 0
    told: Callable[[Usage], None] = lambda usage: None


class Janitor:
    """Of the ended jobs the newest `jobs_kept` stay; of each shelf what its own limits leave."""

    def __init__(self, store: JobStore, shelves: Sequence[Shelf], *, jobs_kept: int) -> None:
        self._store = store
        self._shelves = shelves
        self._jobs_kept = jobs_kept

    def run(
        self, stop: threading.Event, *, every_s: float = 10.0, pause: Callable[[float], bool] | None = None
    ) -> None:
        """Goes round until `stop` is set."""
        self.loop(stop, every_s=every_s, pause=pause).run()

    def loop(
        self, stop: threading.Event, *, every_s: float = 10.0, pause: Callable[[float], bool] | None = None
    ) -> Loop:
        return Loop("janitor", self.round, every_s=every_s, waits_first=True, stop=stop, wait=pause)

    def round(self) -> None:
        """Does what no process has done lately.

        Raises: redis.RedisError, cache.errors.ArchiveError.
        """
        if self._is_time_for("jobs", _JOBS_EVERY_S):
            self.clean_jobs()
        if self._shelves and self._is_time_for("files", self._files_every_s()):
            self.clean_files()

    def clean_jobs(self) -> int:
        """Answers how many jobs were forgotten."""
        forgotten = forget_ended(self._store, kept=self._jobs_kept)
        mend_index(self._store)
        return forgotten

    def clean_files(self) -> int:
        """Answers how many files went."""
        needed = needed_files(self._store)
        return sum(self._clean(shelf, needed) for shelf in self._shelves)

    def _clean(self, shelf: Shelf, needed: set[str]) -> int:
        young_s = time.time() - _FRESH_S

        def spare(item: Item) -> bool:
            return item.written > young_s or item.key in needed

        left = shelf.archive.trim(
            max_age_s=shelf.retention_s or math.inf, max_bytes=shelf.max_bytes or math.inf, spare=spare
        )
        shelf.told(left)
        if left.deleted:
            log.info("%d files of %s went; %d are left", left.deleted, shelf.archive.prefix, left.objects)
        return left.deleted

    def _files_every_s(self) -> int:
        least_s, limited_s, most_s = _FILES_EVERY_S
        due_s = [max(shelf.retention_s / 10, least_s) for shelf in self._shelves if shelf.retention_s]
        if any(shelf.max_bytes for shelf in self._shelves):
            due_s.append(limited_s)
        return int(min([most_s, *due_s]))

    def _is_time_for(self, what: str, every_s: int) -> bool:
        return bool(self._store.redis.set(f"{self._store.prefix}:janitor:{what}", "1", nx=True, ex=every_s))
