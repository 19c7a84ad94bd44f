"""The shared tier: an exact LRU in Redis that many processes use at once, beside whatever else that Redis carries.

Limits on entries and bytes are kept by scripts that see lengths and metadata only. It never raises for a fault of
Redis and never retries: a read that fails is a miss, a write that fails is `False`, both counted. It promises no
durability; that is the archive's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cache import redis_admin as admin
from cache.breaker import Breaker
from cache.errors import SharedUnavailable
from cache.limits import positive
from cache.missing import MISSING, Missing
from cache.redis_link import RedisLink, connect
from cache.redis_stream import STAGE_TTL_S
from cache.redis_transfer import Offer, Transfer
from cache.values import JSON, Entry, Meta, checked_key, cost_of, encoded_meta

SCHEMA = 2  # of names and records; readers of another number see an empty tier


class RedisCache:
    """Entries of one namespace: at most `max_size`, at most `max_memory_mb` of Redis' memory, each for `ttl_s` seconds.

    The limits live in Redis and hold for every process; what is given here applies when Redis knows none, or when it
    differs from what was given at the last start. `timeout_s` bounds one answer, `transfer_timeout_s` a whole call.
    `policy` is "lru", or "gdsf", which also weighs what an entry cost to make against the room that it takes.
    `compress` packs values that get at least a fifth smaller. Make one instance per process, after a fork.

    Raises:
        ValueError: a limit makes no sense, or the URL is no Redis URL.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "orfeas",
        max_size: int = 10_000,
        max_memory_mb: float = 1024.0,
        ttl_s: float | None = 86_400.0,
        policy: admin.Policy = "lru",
        compress: bool = False,
        connect_timeout_s: float = 0.2,
        timeout_s: float = 0.5,
        transfer_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        seed = admin.limit_fields(max_size=max_size, max_memory_mb=max_memory_mb, ttl_s=ttl_s, policy=policy)
        client = connect(url, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s)
        self.link = RedisLink(client, f"{{{namespace}:cache:{SCHEMA}}}", seed, Breaker(clock=clock))
        limit_s = positive("transfer_timeout_s", transfer_timeout_s)
        if limit_s > STAGE_TTL_S:
            raise ValueError(f"transfer_timeout_s is {limit_s}; the limit is {STAGE_TTL_S} (STAGE_TTL_S)")
        self._transfer = Transfer(self.link, limit_s, compress=compress, clock=clock)
        self._owed: dict[str, None] = {}  # keys of entries that are wrong by now and could not be deleted yet

    @property
    def version(self) -> int:
        """The version of the shared state as of the last answer; 0 before the first."""
        return self.link.version

    def lookup(self, key: str, *, saves_work: bool = True) -> Entry | Missing:
        """The value and its metadata, now the most recently used, or `MISSING`.

        A hit counts its cost as saved unless `saves_work` is false (a download of what is finished saves none).

        Raises:
            InvalidKey: the key has not the form of one.
        """
        if self._is_wrong(checked_key(key)):
            return MISSING
        return self.link.attempt("lookup", lambda: self._transfer.read(key, saves_work), MISSING)

    def describe(self, key: str, *, saves_work: bool = True) -> Meta | Missing:
        """The metadata of a value that is there; no value moves, everything else is as with `lookup`.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        if self._is_wrong(checked_key(key)):
            return MISSING
        return self.link.attempt("describe", lambda: self._transfer.describe(key, saves_work), MISSING)

    def store(
        self,
        key: str,
        data: bytes,
        meta: Mapping[str, JSON],
        *,
        cost_s: float = 0.0,
        ttl_s: float | None = None,
        unless_changed_since: int | None = None,
        replaces: bool = False,
    ) -> bool:
        """Store a value, whole or not at all, in the place of an older one; `False` when it was not taken.

        `cost_s` is what making it took (or `meta["cost_s"]`), `ttl_s` another life span than the tier's. A copy from
        another tier gives in `unless_changed_since` the `version` from before it was read there, and is not taken
        when anything was deleted in between. One that `replaces` other bytes is told to every local tier, which then
        forgets its copy; copies from other tiers that are under way are refused.

        Raises:
            InvalidKey: the key has not the form of one.
            BadEntry: the metadata is not JSON or too long.
            ValueError: `ttl_s` is not above 0.
        """
        cost_ms = max(0, round(1000 * (cost_s or cost_of(meta))))
        ttl_ms = None if ttl_s is None else max(1, round(1000 * positive("ttl_s", ttl_s)))
        offer = Offer(checked_key(key), encoded_meta(meta), cost_ms, ttl_ms, unless_changed_since, replaces)
        return self.link.attempt("store", lambda: self._transfer.write(offer, data), False)

    def delete(self, key: str) -> bool:
        """Forget one entry here and tell every local tier; `False` when it was not here, or Redis failed.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        try:
            return self.delete_or_fail(key)
        except SharedUnavailable:
            return False

    def delete_or_fail(self, key: str) -> bool:
        """As `delete`, for callers who promise that the entry is gone; `False` only when it was not here.

        Raises:
            InvalidKey: the key has not the form of one.
            SharedUnavailable: Redis failed or refused; the entry may still be here and in local tiers.
        """
        checked_key(key)
        return self.link.ask("delete", lambda: bool(self.link.run("delete", key)[0][0] == b"deleted"))

    def invalidate(self, key: str) -> None:
        """Delete an entry that other bytes have replaced elsewhere, now or as soon as Redis does it.

        Until then this process does not answer with it; `settle` tries again.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        self._owed[checked_key(key)] = None
        self._is_wrong(key)

    def settle(self) -> None:
        """Delete what `invalidate` could not; for whoever beats.

        Raises:
            redis.RedisError: the server failed or refused; what is left is tried again by the next call.
        """
        for key in list(self._owed):
            self.link.run("delete", key)
            self._owed.pop(key, None)

    def clear(self) -> int | None:
        """Forget everything, at once for readers; answers how many entries that were, `None` on a fault."""
        return self.link.attempt("clear", lambda: admin.clear(self.link), None)

    def tidy(self) -> bool:
        """One bounded step of housekeeping: expired, cleared, over the limits. `False`: there is more, or a fault."""
        return self.link.attempt("tidy", lambda: admin.tidy(self.link, self._transfer), False)

    def limits(self) -> dict[str, Any] | None:
        """The limits in force for all processes, `None` on a fault."""
        return self.link.attempt("limits", lambda: admin.read_limits(self.link), None)

    def update_limits(
        self,
        max_size: int | None = None,
        max_memory_mb: float | None = None,
        *,
        ttl_s: float | Missing | None = MISSING,
        policy: admin.Policy | None = None,
    ) -> bool:
        """Change limits for all processes, all or none, and evict what is over them; `False` on a fault.

        A new life span holds for entries stored from now on; a new policy empties the tier.

        Raises:
            ValueError: a limit makes no sense; nothing has changed then.
        """
        fields = admin.limit_fields(max_size=max_size, max_memory_mb=max_memory_mb, ttl_s=ttl_s, policy=policy)
        return self.link.attempt("limits", lambda: admin.write_limits(self.link, self._transfer, fields), False)

    def stats(self) -> dict[str, Any]:
        """Counters of all processes since the state began, the present load, and advice; `available` tells a fault."""
        return self.link.attempt("stats", lambda: admin.stats(self.link), {"available": False}) | {
            "breaker": self.link.breaker.state,
            "faults": self.link.fault_counts(),
        }

    def entries(self, limit: int = 100, cursor: str = "") -> tuple[list[dict[str, Any]], str]:
        """A page of entries, most recently used first, and the cursor of the next ("" after the last, on a fault)."""
        return self.link.attempt("entries", lambda: admin.entries(self.link, limit, cursor), ([], ""))

    def entry(self, key: str) -> dict[str, Any] | Missing:
        """One entry as `entries` shows it; not counted as a lookup.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        if self._is_wrong(checked_key(key)):
            return MISSING
        return self.link.attempt("entry", lambda: admin.entry(self.link, key), MISSING)

    def _is_wrong(self, key: str) -> bool:
        """Whether the key's entry is still to be deleted, and could not be deleted now either."""
        if key not in self._owed:
            return False
        try:
            self.delete_or_fail(key)
        except SharedUnavailable:
            return True
        self._owed.pop(key, None)
        return False
