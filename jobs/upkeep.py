"""What the janitor asks of the job store: which ended jobs to forget, which files are still needed.

Everything here may take long and may be cut short; nothing here changes what waits or runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from jobs.records import QUEUES
from jobs.store import JobStore

_AT_ONCE = 1000


def forget_ended(store: JobStore, *, kept: int, limit: int = _AT_ONCE) -> int:
    """Takes out of the listings what has expired, and of the ended jobs the oldest beyond `kept`; at most `limit`
    from each listing. Answers how many went.

    Raises: redis.RedisError.
    """
    oldest = f"{int((time.time() - store.limits.job_retention_s) * 1e6):013x}"
    every = f"{store.prefix}:jobs"
    indexes = [every, *(f"{every}:{owner}" for owner in store.redis.smembers(f"{store.prefix}:owners"))]
    expired = sum(_forget_expired(store, index, f"({oldest}", limit) for index in indexes)
    return expired + _forget_surplus(store, every, kept, limit)


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
    """Keys of works that wait or run. All is read twice: a work may go back while those that run are read."""
    for _ in range(2):
        for queue in QUEUES:
            yield from store.redis.zrange(f"{store.prefix}:queued:{queue}", 0, -1)
        for worker in store.redis.zrange(f"{store.prefix}:workers", 0, -1):
            yield from store.redis.smembers(f"{store.prefix}:owns:{worker}")


def _forget_expired(store: JobStore, index: str, before: str, limit: int) -> int:
    ids = store.redis.zrange(index, "-", before, bylex=True, offset=0, num=limit)
    gone = [job_id for job_id, job in zip(ids, store.jobs(ids), strict=True) if job is None]
    if gone:
        store.redis.zrem(index, *gone)
    return len(gone)


def _forget_surplus(store: JobStore, index: str, kept: int, limit: int) -> int:
    surplus = store.redis.zcard(index) - kept
    if surplus <= 0:
        return 0
    oldest = store.jobs(store.redis.zrange(index, 0, min(surplus, limit) - 1))
    ended = [job for job in oldest if job is not None and job.ended]
    pipeline = store.redis.pipeline(transaction=False)
    for job in ended:
        pipeline.delete(f"{store.prefix}:job:{job.id}")
        pipeline.zrem(index, job.id)
        pipeline.zrem(f"{index}:{job.owner}", job.id)
    pipeline.execute()
    return len(ended)
