"""Adds up the failures of background threads in the job store, so that one process tells them of the whole fleet."""

from __future__ import annotations

from cache.loops import THREADS, Threads
from jobs.store import JobStore


def report_failures(store: JobStore, threads: Threads = THREADS) -> None:
    """Counts what has failed in this process since the last call.

    Raises: redis.RedisError: nothing is lost, the next call counts it.
    """
    failures = threads.take_failures()
    if not failures:
        return
    pipeline = store.redis.pipeline()
    for name, count in failures.items():
        pipeline.hincrby(f"{store.prefix}:counters", f"thread_failed:{name}", count)
    try:
        pipeline.execute()
    except Exception:
        threads.put_back(failures)
        raise
