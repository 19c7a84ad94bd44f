"""Finds works in flight that no queue, no worker and no outbox knows of, and jobs that no work knows of.

A wrong eviction policy loses them, a hand that deletes keys, or a Redis that came back with a part of its data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from jobs.errors import ResultGone
from jobs.fleet import Fleet
from jobs.store import JobStore

EVERY_S = 60
JOBS_AT_ONCE = 5000
LOST_AFTER_MS = 50_000
_AT_ONCE = 500
_LOST = ResultGone("the work behind this job was lost in Redis; submit the picture again")


def mend(store: JobStore, fleet: Fleet) -> list[str]:
    """Looks at every work in flight and at some thousand jobs, others each time; answers what was put back or ended.

    Raises: redis.RedisError.
    """
    mended: list[str] = []
    for ids in _waiting_jobs(store):
        mended += store.run(
            "mend_jobs", ids=ids, after_ms=LOST_AFTER_MS, error=json.dumps(_LOST.as_dict()),
            retention_s=store.limits.job_retention_s,
        )  # fmt: skip
    for keys in _works(store):
        mended += fleet.mend(keys)
    return mended


def _waiting_jobs(store: JobStore) -> Iterator[list[str]]:
    """Ids of jobs that wait, some at a time, from the newest to the oldest and then from the newest again."""
    cursor = f"{store.prefix}:mended:jobs"
    last = store.redis.get(cursor)
    ids = store.redis.zrange(
        f"{store.prefix}:jobs", f"({last}" if last else "+", "-", desc=True, bylex=True, offset=0, num=JOBS_AT_ONCE
    )
    store.redis.set(cursor, ids[-1] if len(ids) == JOBS_AT_ONCE else "", ex=86400)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        pipeline = store.redis.pipeline(transaction=False)
        for job_id in some:
            pipeline.hget(f"{store.prefix}:job:{job_id}", "status")
        if waiting := [one for one, status in zip(some, pipeline.execute(), strict=True) if status == "queued"]:
            yield waiting


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
