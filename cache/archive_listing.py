"""What the archive holds: objects below a prefix, as any store lists them, and what is to be known of each.

Stores list in an order of their own; whoever wants another one chooses from the whole list.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cache.keys import is_key
from cache.values import MB, Meta, cost_of


class Item(NamedTuple):
    """One object; items sort by age, the oldest first. `written` is the store's wall clock, in seconds."""

    written: float
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an archive held when it was counted, and what went while it was."""

    objects: int
    size_bytes: int
    deleted: int = 0

    def shown(self) -> dict[str, float]:
        """The figures as the administration shows them, with the time of now."""
        return {"objects": self.objects, "memory_mb": self.size_bytes / MB, "counted_at": time.time()}


def item_of(found: Mapping[str, Any]) -> Item:
    """An object as obstore describes it; the key is the last part of its path."""
    return Item(found["last_modified"].timestamp(), str(found["path"]).rpartition("/")[2], found["size"])


def listed(store: Any, prefix: str) -> Iterator[Item]:
    """Every object below a prefix, in the store's order."""
    for chunk in store.list(prefix):
        yield from (item for item in map(item_of, chunk) if is_key(item.key))


def newest(items: Iterable[Item], limit: int, cursor: str) -> tuple[list[Item], str]:
    """The page of the latest written items behind the cursor, and the cursor of the next page.

    Raises:
        ValueError: the cursor is none of ours.
    """
    if cursor:
        written, _, key = cursor.partition(" ")
        if not is_key(key):
            raise ValueError(f"cursor is {cursor!r}; it must be one that an answer gave")
        items = (item for item in items if item[:2] < (float(written), key))
    page = heapq.nlargest(limit, items)
    return page, f"{page[-1].written!r} {page[-1].key}" if len(page) == limit else ""


def summary(item: Item, meta: Meta) -> dict[str, Any]:
    """One object as the administration shows it."""
    return {
        "key": item.key,
        "size_mb": item.size_bytes / MB,
        "timestamp": item.written,
        "age_seconds": max(0.0, time.time() - item.written),
        "access_count": None,
        "expires_at": None,
        "expired": False,
        "cost_s": cost_of(meta),
        "meta": meta,
    }
