"""Ends the jobs whose Celery task an operator has revoked or terminated."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.store import JobStore

REASON = "its task was revoked by an operator (Celery or Flower)"


def cancel_revoked(store: JobStore, key: str, task_id: str) -> int:
    """Cancels every job that waits for this work, if the task is the one that stands for it now; answers how many.

    A work that has another message since, or that somebody joins meanwhile, goes on.

    Raises: redis.RedisError.
    """
    if store.redis.hget(f"{store.prefix}:work:{key}", "task_id") != task_id:
        return 0
    return sum(store.cancel(job_id, because=REASON) == "canceled" for job_id in list(_jobs_of(store, key)))


def _jobs_of(store: JobStore, key: str) -> Iterator[str]:
    work = f"{store.prefix}:work:"
    for one in (key, *store.redis.smembers(f"{work}{key}:parts")):
        yield from store.redis.sscan_iter(f"{work}{one}:jobs", count=1000)
