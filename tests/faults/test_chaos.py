"""Random kills and freezes under load: every accepted job ends once, nothing is stuck, nothing is left, nothing grows.

A minute of blows in CI; `ORFEAS_CHAOS_S=600` makes it the soak. Then the fleet, as it came out of that, is left in
peace under load for half as long, so that its processes live long enough to be measured. The seed is printed, and
`ORFEAS_CHAOS_SEED` sets it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.upkeep import forget_ended
from tests.e2e.fleet import Fleet
from tests.faults.chaos import WORKERS, Chaos, Load
from tests.faults.memory import Memory
from tests.servers import wait_until

CHAOS_S = float(os.environ.get("ORFEAS_CHAOS_S", "60"))
CALM_S = CHAOS_S / 2
SEED = int(os.environ.get("ORFEAS_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
SETTLE_S = 90.0
# Small, so that they are full before memory is measured: a cache that fills is no leak.
SMALL_CACHES = {"cache_max_size": 50, "cache_shared_max_size": 100}
# What may stay in Redis for ever: one of each, or one of each name that the operator chose.
FOR_EVER = ("cards", "changes", "counters", "list:built", "owners", "pace", "seconds:", "token", "workers", "worker:")
# The shared tier's hundred entries, the stream of changes, every client's buffers; and per job an idempotency key,
# which lives for a day.
REDIS_EMPTY_BYTES, REDIS_KEY_BYTES = 6_000_000, 500

Run = Callable[[threading.Event], None]


@pytest.mark.timeout(CHAOS_S + CALM_S + 400)
def test_random_kills_lose_no_job_and_double_none_and_nothing_grows(tmp_path: Path) -> None:
    print(f"ORFEAS_CHAOS_SEED={SEED} ORFEAS_CHAOS_S={CHAOS_S:g}")
    with Fleet(tmp_path, api_processes=2, generate_workers=3, max_attempts=50, **SMALL_CACHES) as fleet:
        fleet.start("api", *WORKERS)
        load, chaos = Load(fleet, random.Random(SEED)), Chaos(fleet, random.Random(SEED + 1))
        with running(load.run, chaos.run):
            time.sleep(CHAOS_S)
        chaos.raise_the_dead()
        assert_all_end(fleet, load, f"under {sum(chaos.done.values())} blows, {dict(chaos.done)}")
        for name in WORKERS:
            fleet.wait_for(name)

        stormy, memory = len(load.accepted), Memory(fleet, jobs=lambda: len(load.accepted))
        with running(load.run_fast, memory.run):
            time.sleep(CALM_S)
        assert_all_end(fleet, load, f"{len(load.accepted) - stormy} of them in peace")
        assert_ended_once(fleet, load)
        growth = memory.growth()
        for kind, grown in growth.items():
            print(f"measured: memory of {kind}: {grown}")
        assert not [kind for kind, grown in growth.items() if not grown.flat], growth
        assert_redis_forgets(fleet, len(load.accepted))


@contextmanager
def running(*runs: Run) -> Iterator[None]:
    """Each in a thread of its own, stopped at the end; what went wrong in one of them is raised here."""
    stop, failures = threading.Event(), []

    def guarded(run: Run) -> None:
        try:
            run(stop)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    assert not failures, failures


def assert_all_end(fleet: Fleet, load: Load, how: str) -> None:
    begun, jobs = time.monotonic(), list(load.accepted.values())
    wait_until(lambda: not unended(fleet, jobs), SETTLE_S, f"all jobs to end; {len(unended(fleet, jobs))} have not")
    print(f"measured: {len(jobs)} jobs {how}; all ended {time.monotonic() - begun:.1f} s later")


def unended(fleet: Fleet, jobs: list[str]) -> list[str]:
    found = fleet.store.jobs(jobs)
    assert all(job is not None for job in found), "a job is lost"
    return [job.id for job in found if job is not None and not job.ended]


def assert_ended_once(fleet: Fleet, load: Load) -> None:
    """As the store tells it of every job, as its counters do, and as a caller sees some of them."""
    jobs = list(load.accepted.values())
    assert len(set(jobs)) == len(jobs), "each idempotency key stands for one job"
    statuses = Counter(job.status for job in fleet.store.jobs(jobs) if job is not None)
    print(statuses, load.refused)
    assert statuses["failed"] == 0
    # A cancel whose answer was lost may have counted as well.
    assert statuses["canceled"] >= len(load.canceled)
    counters = fleet.store.redis.hgetall(f"{fleet.store.prefix}:counters")
    assert int(counters["submitted"]) == len(jobs)
    assert int(counters["succeeded"]) == statuses["succeeded"], "no job ended twice"
    for job_id in jobs[:: max(1, len(jobs) // 50)]:
        if fleet.job(job_id)["status"] == "succeeded":
            fleet.succeeded(job_id)
    wait_until(lambda: not fleet.busy(), 20, "every claim to be given back")
    fleet.assert_nothing_left()


def assert_redis_forgets(fleet: Fleet, jobs: int) -> None:
    """Once the jobs are forgotten, all that is left is of a fixed number, or has an age at which it goes."""
    while forget_ended(fleet.store, kept=0):
        pass
    redis, prefix = fleet.store.redis, f"{fleet.store.prefix}:"
    ours = [key.removeprefix(prefix) for key in redis.scan_iter(f"{prefix}*", count=1000) if redis.ttl(key) == -1]
    assert not [name for name in ours if not name.startswith(FOR_EVER)]
    assert len([name for name in ours if name.startswith("worker:")]) == len(fleet.register.workers())
    queues = {"generate", "render", "unacked", "unacked_index", "unacked_mutex"}
    others = {key for key in redis.scan_iter(count=1000) if not key.startswith(("{orfeas", "_kombu.binding"))}
    assert others <= queues, "the broker keeps nothing of its own"
    held_bytes = redis.info("memory")["used_memory"]
    print(f"measured: Redis holds {held_bytes / 1e6:.1f} MB once it has forgotten them")
    assert held_bytes < REDIS_EMPTY_BYTES + REDIS_KEY_BYTES * jobs
