"""Puts the index of the shared tier in order after some of its keys have vanished: deleted by hand, or evicted.

The scripts notice it and begin an empty index at once (`mend` in `scripts/common.lua`); this drives what follows, in
steps that each take the server well under a millisecond. Any process may run them, several at once do no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from cache.redis_link import RedisLink

log = logging.getLogger(__name__)

BUDGET_S = 0.25  # of one heartbeat or one call of `tidy`; what is left is done by the next
_SHOWN_S = 86_400.0


def rebuild(link: RedisLink, phase: bytes, *, budget_s: float = BUDGET_S) -> bool:
    """Take steps of a rebuild that is in `phase`, as a script answered it; `True` when nothing is left to do.

    Raises:
        redis.RedisError: the server failed or refused.
    """
    if not phase:
        return True
    if phase == b"begun":
        link.count("index: keys lost")
        log.error("shared tier: keys of its index are gone from Redis; it is being rebuilt from what is complete")
    deadline = time.monotonic() + budget_s
    while True:
        status, _, *told = link.run("rebuild")[0]
        lost, kept, swept = (part.decode() for part in told) if told else ("", "0", "0")
        if status == b"done" and (lost or swept != "0"):
            log.warning(
                "shared tier: its index is rebuilt (lost: %s): %s entries kept, %s values deleted",
                lost or "all", kept, swept,
            )  # fmt: skip
        if status != b"again":
            return True
        if time.monotonic() >= deadline:
            return False


def rebuild_advice(state: Mapping[bytes, bytes], now_s: float) -> list[str]:
    """What an operator should know of the last rebuild, for a day; `now_s` is seconds since 1970."""
    lost_at = float(state.get(b"lost_at", 0))
    if now_s - lost_at > _SHOWN_S:
        return []
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(lost_at))
    done = "is being rebuilt" if state.get(b"rebuild") else "was rebuilt"
    lost = state[b"lost"].decode()
    limits = " Limits set while it ran are back at the settings of the start." if lost in ("state", "all") else ""
    what = f"keys of the cache's index vanished at {when} ({lost}); it {done}.{limits}"
    return [f"{what} Look for what deletes keys of this Redis; its maxmemory-policy must be noeviction."]
