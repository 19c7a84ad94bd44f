"""Finds works in flight that no queue, no worker and no outbox knows of, and has them put back.

A wrong eviction policy loses them, a hand that deletes keys, or a Redis that came back with a part of its data.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.fleet import Fleet
from jobs.store import JobStore

EVERY_S = 60
_AT_ONCE = 500


def mend(store: JobStore, fleet: Fleet) -> list[str]:
    """Looks at every work in flight; answers the keys of those that were put back.

    Raises: redis.RedisError.
    """
    mended: list[str] = []
    for keys in _works(store):
        mended += fleet.mend(keys)
    return mended


def _works(store: JobStore) -> Iterator[list[str]]:
    """Keys of works, some at a time; sets that belong to a work have a colon more in their names."""
    start, keys = f"{store.prefix}:work:", []
    for name in store.redis.scan_iter(f"{start}*", count=1000, _type="hash"):
        keys.append(name.removeprefix(start))
        if len(keys) == _AT_ONCE:
            yield keys
            keys = []
    if keys:
        yield keys
