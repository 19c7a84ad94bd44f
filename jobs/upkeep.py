"""What the janitor asks of the job store: which ended jobs to forget, which files are still needed.

Everything here may take long and may be cut short; nothing here changes what waits or runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from jobs.listing import INDEX_AT_ONCE, index_more
from jobs.records import QUEUES
from jobs.store import JobStore

_AT_ONCE = 1000


def forget_ended(store: JobStore, *, kept: int) -> int:
    """Forgets ended jobs past their retention, and of the others the oldest beyond `kept`; answers how many.

    Raises: redis.RedisError.
    """
    young = f"{int((time.time() - store.limits.job_retention_s) * 1e6):013x}"
    forgotten, after, passed = 0, None, 0
    while after != "":
        gone, after, passed = store.run(
            "trim", after=after or "", passed=passed, young=young, kept=kept,
            at_once=store.limits.at_once, retention_s=store.limits.job_retention_s,
        )  # fmt: skip
        forgotten += gone
    return forgotten


def mend_index(store: JobStore) -> None:
    """Sees to it that the filters of the job list find every job: what processes of a version without this index, or
    a Redis that lost keys, left out of it comes in again.

    Raises: redis.RedisError.
    """
    after = None
    while after != "":
        after = store.run("recheck", after=after or "", at_once=INDEX_AT_ONCE * store.limits.at_once)
    pipeline = store.redis.pipeline(transaction=True)
    pipeline.zcard(f"{store.prefix}:jobs")
    pipeline.zlexcount(f"{store.prefix}:list", "[c/", "(c0")
    pipeline.get(f"{store.prefix}:list:built")
    jobs, indexed, built = pipeline.execute()
    more = built != "all" or jobs != indexed
    fresh = built == "all"
    while more:
        more, fresh = index_more(store, fresh=fresh), False


def needed_files(store: JobStore) -> set[str]:
    """Names of the pictures and meshes that works in flight read: what they lack cannot be made good.

    Raises: redis.RedisError.
    """
    needed: set[str] = set()
    keys = list(_in_flight(store))
    for start in range(0, len(keys), _AT_ONCE):
        pipeline = store.redis.pipeline(transaction=False)
        for key in keys[start : start + _AT_ONCE]:
            pipeline.hmget(f"{store.prefix}:work:{key}", "generation", "request")
        for generation, request in pipeline.execute():
            needed |= {generation} if generation else set()
            needed |= {json.loads(request)["image_sha256"]} if request else set()
    return needed


def _in_flight(store: JobStore) -> Iterator[str]:
    """Keys of works that wait, run or end. All is read twice: a work may go back while those that run are read."""
    for _ in range(2):
        for queue in QUEUES:
            yield from store.redis.zrange(f"{store.prefix}:queued:{queue}", 0, -1)
        for worker in store.redis.zrange(f"{store.prefix}:workers", 0, -1):
            yield from store.redis.smembers(f"{store.prefix}:owns:{worker}")
        yield from store.redis.zrange(f"{store.prefix}:ending", 0, -1)
