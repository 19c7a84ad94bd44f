"""Find a value or make it, so that of all processes that want it at the same time only one makes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cache.lease import Lease
from cache.missing import MISSING
from cache.values import Entry, Meta

if TYPE_CHECKING:
    from cache.tiered import TieredCache

Make = Callable[[], tuple[bytes, Meta]]


def found_or_made(tiers: TieredCache, key: str, make: Make) -> Entry:
    """The value of the first tier that has it, or of the one process that holds the key's lease; see `cache.lease`."""
    while True:
        found = tiers.lookup(key)
        if found is not MISSING:
            return found
        if tiers.shared is None:
            return _made(tiers, key, make)
        lease = Lease(tiers.shared.link, key)
        if lease.acquire():
            with lease:  # somebody may have stored it between our look and our lease
                found = tiers.lookup(key) if tiers.was_stored(key) else MISSING
                return _made(tiers, key, make) if found is MISSING else found
        lease.wait_until_gone()


def _made(tiers: TieredCache, key: str, make: Make) -> Entry:
    begun = time.monotonic()
    data, meta = make()
    tiers.store(key, data, meta, cost_s=time.monotonic() - begun)
    return Entry(data, meta)
