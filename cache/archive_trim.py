"""Retention of an archive: what is too old goes, then the oldest until the rest is small enough."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator

from cache.archive_listing import Item, Usage

STEP = 10_000  # objects deleted between two listings, so that of millions only so many are remembered


def trim(
    items: Callable[[], Iterator[Item]],
    delete: Callable[[str], bool],
    *,
    max_age_s: float = math.inf,
    max_bytes: float = math.inf,
    spare: Callable[[Item], bool] = lambda item: False,
) -> Usage:
    """List, delete, and say what is left; what is to `spare` counts but stays."""
    oldest_s, objects, size_bytes, expired = time.time() - max_age_s, 0, 0, 0
    for item in items():
        if item.written < oldest_s and not spare(item):
            expired += delete(item.key)
        else:
            objects, size_bytes = objects + 1, size_bytes + item.size_bytes
    shed, shed_bytes = _shed(items, delete, size_bytes - max_bytes, spare)
    return Usage(objects - shed, size_bytes - shed_bytes, expired + shed)


def _shed(
    items: Callable[[], Iterator[Item]],
    delete: Callable[[str], bool],
    excess_bytes: float,
    spare: Callable[[Item], bool],
) -> tuple[int, int]:
    """Delete the oldest until so much is gone; answers how many that were, and their bytes."""
    shed, shed_bytes = 0, 0
    while shed_bytes < excess_bytes:
        oldest = heapq.nsmallest(STEP, (item for item in items() if not spare(item)))
        for item in oldest:
            if shed_bytes < excess_bytes:
                delete(item.key)
                shed, shed_bytes = shed + 1, shed_bytes + item.size_bytes
        if len(oldest) < STEP:
            break
    return shed, shed_bytes
