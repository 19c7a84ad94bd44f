"""One entry of the local tier, and how it is shown to people."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from cache.values import MB

NEVER = float("inf")


@dataclass(slots=True)
class CacheEntry:
    """One stored value. `timestamp` is wall-clock seconds for people; the other times are the cache's own clock."""

    value: Any
    size_bytes: int
    timestamp: float
    stored_at: float
    deadline: float = NEVER
    access_count: int = 0

    def summary(self, key: Hashable, now: float, wall_now: float) -> dict[str, Any]:
        """Everything but the value; times in wall-clock seconds."""
        return {
            "key": key,
            "size_mb": self.size_bytes / MB,
            "timestamp": self.timestamp,
            "age_seconds": now - self.stored_at,
            "access_count": self.access_count,
            "expires_at": None if self.deadline == NEVER else wall_now + self.deadline - now,
            "expired": self.deadline <= now,
        }
