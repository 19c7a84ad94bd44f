"""The local tier: an exact LRU in this process' memory, limited in entries and in bytes, with a life span for each.

It is thread-safe, and every call takes the same time at ten entries and at a million. It never copies values, never
measures them (the caller says what they weigh), and knows no other process.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Any

from cache.deadlines import Deadlines
from cache.entry import NEVER, CacheEntry
from cache.limits import bytes_of_mb, optional_positive, positive, whole_number
from cache.missing import MISSING, Missing
from cache.values import MB

_SWEPT_PER_SET = 4  # more than one, so that the expired go faster than the new come


class LRUCache:
    """Least recently used entries leave first, when there are more than `max_size` or they weigh more than
    `max_memory_mb` (1 MB = 1024 × 1024 bytes). An entry lives `default_ttl_seconds`, for ever when that is `None`.

    `clock` measures life spans and must not jump; `wall_clock` only dates the entries shown to people.

    Raises:
        ValueError: a limit is not a number above 0; the message names it.
    """

    def __init__(
        self,
        max_size: int = 1000,
        max_memory_mb: float = 512.0,
        default_ttl_seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_size = whole_number("max_size", max_size)
        self._max_bytes = bytes_of_mb("max_memory_mb", positive("max_memory_mb", max_memory_mb))
        self._default_ttl = optional_positive("default_ttl_seconds", default_ttl_seconds)
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.RLock()
        self._entries: OrderedDict[Hashable, CacheEntry] = OrderedDict()
        self._deadlines = Deadlines()
        self._bytes = self._peak_bytes = 0
        self._zero_counters()

    @property
    def max_size(self) -> int:
        """The most entries it may hold; `update_config` changes it."""
        return self._max_size

    @property
    def max_memory_mb(self) -> float:
        """The most that its entries may weigh, in MB of 1024 × 1024 bytes; `update_config` changes it."""
        return self._max_bytes / MB

    @property
    def default_ttl_seconds(self) -> float | None:
        """Life span in seconds of entries stored without one of their own; `None` when they do not expire."""
        return self._default_ttl

    def lookup(self, key: Hashable) -> Any | Missing:
        """The value, now the most recently used, or `MISSING` when there is none or it has expired."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._misses += 1
                return MISSING
            if entry.deadline != NEVER and entry.deadline <= self._clock():
                _expired = self._remove(key)  # a name, so that a large value is given back after the lock is left
                self._misses += 1
                return MISSING
            self._entries.move_to_end(key)
            entry.access_count += 1
            self._hits += 1
            return entry.value

    def peek(self, key: Hashable) -> Any | Missing:
        """The value or `MISSING`, without counting the look or refreshing the entry."""
        with self._lock:
            entry = self._entries.get(key)
            return MISSING if entry is None or entry.deadline <= self._clock() else entry.value

    def get(self, key: Hashable) -> Any | None:
        """The value, or `None` on a miss; `lookup` tells a miss from a stored `None`."""
        value = self.lookup(key)
        return None if value is MISSING else value

    def set(self, key: Hashable, value: Any, size_mb: float = 0.0, ttl_seconds: float | None = None) -> bool:
        """Store a value that weighs `size_mb`, as the most recently used, in the place of an older one.

        Returns `False`, and leaves everything as it was, when the value alone is over `max_memory_mb`.

        Raises:
            ValueError: `size_mb` is negative or `ttl_seconds` is not above 0.
        """
        size_bytes = bytes_of_mb("size_mb", size_mb)
        ttl = self._default_ttl if ttl_seconds is None else positive("ttl_seconds", ttl_seconds)
        freed: list[CacheEntry] = []  # large values are given back after the lock is left: 50 MB take 2 ms
        with self._lock:
            if size_bytes > self._max_bytes:
                return False
            now = self._clock()
            if self._deadlines.due(now):
                self._drop_expired(now, _SWEPT_PER_SET, freed)
            if key in self._entries:
                freed.append(self._remove(key))
            deadline = NEVER if ttl is None else now + ttl
            self._entries[key] = CacheEntry(value, size_bytes, self._wall_clock(), now, deadline)
            self._bytes += size_bytes
            if ttl is not None:
                self._deadlines.add(key, deadline)
                self._forget_replaced()
            if len(self._entries) > self._max_size or self._bytes > self._max_bytes:
                self._shrink(now, freed)
            if self._bytes > self._peak_bytes:
                self._peak_bytes = self._bytes
        return True

    def delete(self, key: Hashable) -> bool:
        """Forget one entry; `False` when it was not there or had expired."""
        with self._lock:
            if key not in self._entries:
                return False
            entry = self._remove(key)
            return entry.deadline > self._clock()

    def clear(self) -> None:
        """Forget every entry; the counters go on."""
        with self._lock:
            entries, self._entries = self._entries, OrderedDict()
            self._deadlines = Deadlines()
            self._bytes = 0
        entries.clear()

    def sweep(self) -> int:
        """Forget everything that has expired, and say how many entries that were."""
        freed: list[CacheEntry] = []
        with self._lock:
            self._drop_expired(self._clock(), len(self._deadlines), freed)
        return len(freed)

    def __len__(self) -> int:
        self.sweep()
        return len(self._entries)

    def get_stats(self) -> dict[str, float]:
        """Counters since the start or `reset_stats`, and the present load; entries that have expired are not in it."""
        self.sweep()
        with self._lock:
            lookups = self._hits + self._misses
            return {
                "hits": self._hits,
                "misses": self._misses,
                "hit_rate_percent": round(100 * self._hits / lookups, 2) if lookups else 0.0,
                "evictions": self._evicted_by_count + self._evicted_by_size,
                "evictions_by_count": self._evicted_by_count,
                "evictions_by_size": self._evicted_by_size,
                "current_items": len(self._entries),
                "current_memory_mb": self._bytes / MB,
                "max_items": self._max_size,
                "max_memory_mb": self._max_bytes / MB,
                "memory_utilization_percent": round(100 * self._bytes / self._max_bytes, 2),
                "max_memory_seen_mb": self._peak_bytes / MB,
            }

    def reset_stats(self) -> None:
        """Start every counter at 0 and the highest memory at the present one."""
        with self._lock:
            self._zero_counters()

    def get_entries_summary(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The entries without their values, most recently used first; times in wall-clock seconds."""
        with self._lock:
            now, wall_now = self._clock(), self._wall_clock()
            recent = islice(reversed(self._entries.items()), limit)
            return [entry.summary(key, now, wall_now) for key, entry in recent]

    def get_config(self) -> dict[str, float | None]:
        """The limits in force."""
        with self._lock:
            return {
                "max_size": self._max_size,
                "max_memory_mb": self._max_bytes / MB,
                "default_ttl_seconds": self._default_ttl,
            }

    def update_config(
        self,
        max_size: int | None = None,
        max_memory_mb: float | None = None,
        *,
        default_ttl_seconds: float | Missing | None = MISSING,
    ) -> None:
        """Change limits, all or none; what is over the new ones is evicted at once.

        A new life span holds for entries stored from now on.

        Raises:
            ValueError: a limit is not a number above 0; nothing has changed then.
        """
        new_size = self._max_size if max_size is None else whole_number("max_size", max_size)
        new_bytes = self._max_bytes
        if max_memory_mb is not None:
            new_bytes = bytes_of_mb("max_memory_mb", positive("max_memory_mb", max_memory_mb))
        new_ttl = self._default_ttl
        if default_ttl_seconds is not MISSING:
            new_ttl = optional_positive("default_ttl_seconds", default_ttl_seconds)
        freed: list[CacheEntry] = []
        with self._lock:
            self._max_size, self._max_bytes, self._default_ttl = new_size, new_bytes, new_ttl
            self._shrink(self._clock(), freed)

    # Everything below runs under the lock.

    def _zero_counters(self) -> None:
        self._hits = self._misses = self._evicted_by_count = self._evicted_by_size = 0
        self._peak_bytes = self._bytes

    def _remove(self, key: Hashable) -> CacheEntry:
        entry = self._entries.pop(key)
        self._bytes -= entry.size_bytes
        return entry

    def _over_limit(self) -> bool:
        return len(self._entries) > self._max_size or self._bytes > self._max_bytes

    def _shrink(self, now: float, freed: list[CacheEntry]) -> None:
        """Come down to the limits; nothing alive leaves while something expired still takes room."""
        while self._over_limit() and self._drop_expired(now, 1, freed):
            pass
        while self._over_limit():
            if len(self._entries) > self._max_size:
                self._evicted_by_count += 1
            else:
                self._evicted_by_size += 1
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.size_bytes
            freed.append(entry)

    def _drop_expired(self, now: float, limit: int, freed: list[CacheEntry]) -> int:
        """Remove up to `limit` expired entries, and say how many."""
        dropped = 0
        while dropped < limit and self._deadlines.due(now):
            key, deadline = self._deadlines.pop()
            entry = self._entries.get(key)
            if entry is not None and entry.deadline == deadline:
                freed.append(self._remove(key))
                dropped += 1
        return dropped

    def _forget_replaced(self) -> None:
        """Once deadlines of entries that are gone outnumber the others."""
        if len(self._deadlines) > 2 * len(self._entries) + 64:
            alive = ((key, entry.deadline) for key, entry in self._entries.items())
            self._deadlines.keep((key, deadline) for key, deadline in alive if deadline != NEVER)


_shared: LRUCache | None = None
_shared_lock = threading.Lock()


def get_cache() -> LRUCache:
    """The one instance that this process shares, made at the first call with the default limits."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = LRUCache()
        return _shared


def clear_cache() -> None:
    """Empty the shared instance."""
    get_cache().clear()
