"""What the archive holds, in the order of keys, on stores that list in order and on those that do not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from cache.keys import is_key
from cache.values import MB, Meta, cost_of

Found = Mapping[str, Any]  # path, size, last_modified, as obstore lists them


def key_of(found: Found) -> str:
    """The key is the last part of an object's path."""
    return str(found["path"]).rpartition("/")[2]


def listed(store: Any, prefix: str, after: str, *, in_order: bool) -> Iterator[Found]:
    """Objects below a prefix whose keys come behind `after`; buckets list `in_order`, folders do not."""
    if in_order:
        yield from _below(store, prefix, f"{prefix}/{after[:2]}/{after}" if after else None)
        return
    for part in range(int(after[:2] or "00", 16), 256):
        found = _below(store, f"{prefix}/{part:02x}", None)
        yield from sorted((item for item in found if key_of(item) > after), key=key_of)


def _below(store: Any, prefix: str, after: str | None) -> Iterator[Found]:
    for chunk in store.list(prefix, offset=after):
        yield from (item for item in chunk if is_key(key_of(item)))


def summary(found: Found, meta: Meta) -> dict[str, Any]:
    """One object as the administration shows it."""
    written = found["last_modified"].timestamp()
    return {
        "key": key_of(found),
        "size_mb": found["size"] / MB,
        "timestamp": written,
        "age_seconds": max(0.0, time.time() - written),
        "access_count": None,
        "expires_at": None,
        "expired": False,
        "cost_s": cost_of(meta),
        "meta": meta,
    }
