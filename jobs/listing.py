"""Which jobs a page of the list holds: all by age, or what the index behind the filters finds.

It reads ids only; whoever asks reads the jobs, which may have begun or ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.store import JobStore

INDEX_AT_ONCE = 4  # times as many as are ended at once: it takes less
_LOOK_AT_ONCE = 500  # jobs that one call of the script looks at, at most: some 5 ms of Redis' time


def pages_of_ids(
    store: JobStore, owner: str | None, before: str, wanted: Mapping[str, str], at_once: int
) -> Iterator[list[str]]:
    """Ids from the newest to the oldest, older than `before` ("" for all), in pages of at most `at_once`.

    A page of filtered ids may be empty though others follow. Raises: redis.RedisError.
    """
    if wanted:
        return _found(store, before, dict(wanted) | ({} if owner is None else {"owner": owner}), at_once)
    return _by_age(store, owner, before, at_once)


def index_more(store: JobStore, *, fresh: bool = False) -> bool:
    """One step of building the index behind the filters; answers whether older jobs are left.

    Raises: redis.RedisError.
    """
    more = {"fresh": True} if fresh else {}
    at_once = INDEX_AT_ONCE * store.limits.at_once
    return bool(store.run("index", at_once=at_once, retention_s=store.limits.job_retention_s, **more))


def _by_age(store: JobStore, owner: str | None, before: str, at_once: int) -> Iterator[list[str]]:
    index = f"{store.prefix}:jobs" + (f":{owner}" if owner is not None else "")
    ids = [""] * at_once
    while len(ids) == at_once:
        ids = store.redis.zrange(
            index, f"({before}" if before else "+", "-", desc=True, bylex=True, offset=0, num=at_once
        )
        yield ids
        before = ids[-1] if ids else ""


def _found(store: JobStore, before: str, wanted: Mapping[str, str], at_once: int) -> Iterator[list[str]]:
    most, at_the_end = at_once, False
    while not at_the_end:
        answer = store.run("find", before=before, want=at_once, most=most, **wanted)
        if answer == "unbuilt":  # once, after an update from a version that kept no index
            index_more(store)
            continue
        ids, before, at_the_end = answer
        yield ids
        most = at_once if len(ids) == at_once else min(2 * most, _LOOK_AT_ONCE)
