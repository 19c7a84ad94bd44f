"""Counters of one process, and of a fleet: snapshots of processes that are there plus totals of those that are gone.

Only counters are summed over time; loads and limits are summed over the processes that are alive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cache.lru import LRUCache
from cache.tiered import TieredCache

COUNTED = ("hits", "misses", "evictions_by_count", "evictions_by_size")
LOADS = ("current_items", "current_memory_mb", "max_items", "max_memory_mb", "max_memory_seen_mb")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One process as of its last heartbeat; `counters` are absolute since its start and never go down."""

    id: str = ""
    host: str = ""
    queue: str = ""
    pid: int = 0
    started: float = 0.0
    enabled: bool = True
    counters: dict[str, int] = field(default_factory=dict)
    loads: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: bytes) -> Snapshot:
        """Read what any version has written: unknown fields are left out, missing ones are empty."""
        read = json.loads(text)
        return cls(**{name: read[name] for name in cls.__slots__ if name in read})

    def stats(self) -> dict[str, float]:
        """In the words of the local tier."""
        return local_stats(self.counters, [self.loads])


def counters_of(tiers: TieredCache) -> dict[str, int]:
    """What this process has counted since its start."""
    local = tiers.local.get_stats() if tiers.local is not None else {}
    return {name: int(local.get(name, 0)) for name in COUNTED} | tiers.counts()


def loads_of(local: LRUCache | None) -> dict[str, float]:
    """What the local tier holds, and may hold."""
    stats = local.get_stats() if local is not None else {}
    return {name: stats.get(name, 0) for name in LOADS}


def local_stats(counters: Mapping[str, int], loads: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The keys of `LRUCache.get_stats` for any number of local tiers together."""
    sums = dict.fromkeys(LOADS, 0.0)
    for load in loads:
        for name in LOADS:
            sums[name] += load.get(name, 0)
    hits, misses = counters.get("hits", 0), counters.get("misses", 0)
    by_count, by_size = counters.get("evictions_by_count", 0), counters.get("evictions_by_size", 0)
    limit = sums["max_memory_mb"]
    return {
        "hits": hits,
        "misses": misses,
        "hit_rate_percent": round(100 * hits / (hits + misses), 2) if hits + misses else 0.0,
        "evictions": by_count + by_size,
        "evictions_by_count": by_count,
        "evictions_by_size": by_size,
        "current_items": int(sums["current_items"]),
        "current_memory_mb": sums["current_memory_mb"],
        "max_items": int(sums["max_items"]),
        "max_memory_mb": limit,
        "memory_utilization_percent": round(100 * sums["current_memory_mb"] / limit, 2) if limit else 0.0,
        "max_memory_seen_mb": sums["max_memory_seen_mb"],
    }


def add_counters(parts: Iterable[Mapping[Any, Any]]) -> dict[str, int]:
    """The sum of counters, name by name."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            text = name.decode() if isinstance(name, bytes) else name
            total[text] = total.get(text, 0) + int(value)
    return total
