"""Is this Redis a safe place for a cache beside a queue, and how much may the cache still grow on it?

It only reads and advises; it changes no setting of the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cache.values import MB

HIGH_WATER = 0.9  # share of maxmemory above which the cache makes room instead of growing
REFUSE = 0.97  # share of maxmemory that a value on its way in may not reach
_FRESH_S = 1.0
_NOT_PERMITTED = (
    "this user may not run INFO, so memory and eviction policy of this Redis are not watched: make sure that"
    " maxmemory-policy is noeviction, or permit +info."
)


class Health:
    """Remembers `INFO memory` for a second, so that asking costs the server nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._info: Mapping[str, Any] = {}
        self._known_until = float("-inf")

    def stale(self) -> bool:
        return self._clock() >= self._known_until

    def note(self, info: Mapping[str, Any]) -> None:
        self._info = info
        self._known_until = self._clock() + _FRESH_S

    def room_bytes(self) -> int | None:
        """What the server may still grow by before the cache gives way; negative when it has to, `None`: no limit."""
        maximum = int(self._info.get("maxmemory", 0))
        return int(maximum * HIGH_WATER) - int(self._info.get("used_memory", 0)) if maximum else None

    def takes(self, length_bytes: int) -> bool:
        """Whether a value of this length may be sent without the queue's writes being refused soon."""
        maximum = int(self._info.get("maxmemory", 0))
        return not maximum or int(self._info.get("used_memory", 0)) + length_bytes <= maximum * REFUSE


def advice(info: Mapping[str, Any], cache_max_bytes: int) -> list[str]:
    """What an operator should change, in words; nothing when all is well. Without permission `info` is empty."""
    if not info:
        return [_NOT_PERMITTED]
    policy, maximum = info.get("maxmemory_policy", "noeviction"), int(info.get("maxmemory", 0))
    said = []
    if policy != "noeviction":
        said.append(
            f"maxmemory-policy is {policy}: at its limit this Redis deletes keys of the queue and of the cache's index."
            " Set `maxmemory-policy noeviction`; the cache keeps its own limits."
        )
    if not maximum:
        said.append(
            "maxmemory is 0: nothing keeps this Redis from taking all memory of its machine."
            f" Set `maxmemory` to at least twice the cache's limit ({2 * cache_max_bytes // MB} MB)."
        )
    elif cache_max_bytes > maximum * HIGH_WATER:
        said.append(
            f"the cache may take {cache_max_bytes // MB} MB of a maxmemory of {maximum // MB} MB, so the queue may be"
            " refused its writes. Raise `maxmemory`, lower CACHE_SHARED_MAX_MEMORY_MB, or give the cache its own Redis"
            " (CACHE_REDIS_URL)."
        )
    elif int(info.get("used_memory", 0)) > maximum * HIGH_WATER:
        said.append(
            f"{int(info['used_memory']) // MB} MB of {maximum // MB} MB (maxmemory) are in use: the cache is giving way"
            " and the queue will be refused its writes soon. Raise `maxmemory`, or look for what else is kept there."
        )
    return said
