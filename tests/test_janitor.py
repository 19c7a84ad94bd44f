"""What has outlived its setting goes; nothing in Redis grows without bound; what waits or runs stays."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from cache import MISSING
from cache.archive import Archive
from cache.archive_listing import Usage
from jobs.janitor import Janitor, Shelf
from jobs.store import JobStore, StoreLimits
from jobs.upkeep import needed_files
from tests.cache_keys import key
from tests.job_fleet import a_request, a_submission, claimed, finish, submitted

DAY_S = 86400


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis, StoreLimits(queue_limit=100))


def keeps(store: JobStore, jobs: int = 1000, *shelves: Shelf) -> Janitor:
    return Janitor(store, shelves, jobs_kept=jobs)


def test_ten_thousand_jobs_leave_no_more_behind_than_is_kept(store: JobStore) -> None:
    janitor = keeps(store, 200)
    rounds, jobs = 10, 1000
    sizes, memory = [], []
    for number in range(rounds):
        for picture in range(jobs // 10):
            # One generation, joined by four, under a key of its own each; five more are answered from the caches.
            for _ in range(5):
                store.submit(a_submission(f"{number:02x}{picture:02x}", idempotency=None, owner=f"owner-{picture % 3}"))
            finish(store, claimed(store, f"{number:02x}{picture:02x}"))
            for _ in range(5):
                store.submit(a_submission("f", found="rendition", cache="HIT-L2", result={}))
        janitor.clean_jobs()
        sizes.append(store.redis.dbsize())
        memory.append(store.redis.info("memory")["used_memory_dataset"])
    assert store.redis.hget(f"{store.prefix}:counters", "submitted") == str(rounds * jobs)
    assert max(sizes) <= 200 + 30
    assert sizes[-1] == sizes[1]
    assert store.redis.zcard(f"{store.prefix}:jobs") == 200
    assert store.redis.xlen(f"{store.prefix}:changes") < 10_500
    # Growth with the number of jobs would double it; the rest is noise of the allocator and of clients' buffers.
    full, late = statistics.median(memory[3:6]), statistics.median(memory[-3:])
    assert late < full * 1.4, "flat once the stream of changes is full"


def test_of_the_ended_jobs_the_oldest_go_first_and_the_others_stay(store: JobStore) -> None:
    waits = submitted(store, "a")
    ids = []
    for picture in "bcde":
        ids.append(submitted(store, picture, owner="ada"))
        finish(store, claimed(store, picture))
    assert keeps(store, 3).clean_jobs() == 1, "five are there, one may go, the oldest waits"
    assert [store.job(one) is None for one in ids] == [True, False, False, False]
    assert store.job(waits) is not None
    assert [job.id for job in store.newest(owner="ada")] == ids[:0:-1]


def test_an_upload_that_is_needed_again_is_young_again(tmp_path: Path, store: JobStore) -> None:
    inputs = Archive.open(str(tmp_path), prefix="inputs")
    for name in ("old", "used"):
        inputs.put(key(name), b"picture", {})
        (path,) = (tmp_path / "inputs").rglob(key(name))
        week_ago = time.time() - 8 * DAY_S
        os.utime(path, (week_ago, week_ago))
    inputs.replace(key("used"), b"picture", {})  # as the intake does with every submission
    assert keeps(store, 10, Shelf(inputs, 7 * DAY_S)).clean_files() == 1
    assert inputs.get(key("old")) is MISSING
    assert inputs.get(key("used")) is not MISSING


def test_over_its_size_the_oldest_uploads_go_but_none_that_a_job_waits_for(tmp_path: Path, store: JobStore) -> None:
    inputs = Archive.open(str(tmp_path), prefix="inputs")
    told: list[Usage] = []
    queued, running = a_request("a"), a_request("b")
    submitted(store, "a")
    submitted(store, "b")
    claimed(store, "b")
    store.redis.zadd(f"{store.prefix}:workers", {"w1": 1})
    names = [queued.image_sha256, running.image_sha256, key("old"), key("new")]
    for hours, name in enumerate(reversed(names), start=1):
        inputs.put(name, bytes(1000), {})
        at = time.time() - 3600 * hours
        os.utime(tmp_path / "inputs" / name[:2] / name, (at, at))
    inputs.put(key("just now"), bytes(1000), {})
    keeps(store, 10, Shelf(inputs, 0, max_bytes=4500, told=told.append)).clean_files()
    assert inputs.get(key("old")) is MISSING
    for name in (queued.image_sha256, running.image_sha256, key("new"), key("just now")):
        assert inputs.get(name) is not MISSING
    keeps(store, 10, Shelf(inputs, 60, max_bytes=1, told=told.append)).clean_files()
    assert inputs.get(key("new")) is MISSING
    for name in (queued.image_sha256, running.image_sha256, key("just now")):
        assert inputs.get(name) is not MISSING, "neither age nor size takes what is needed"
    assert [left.objects for left in told] == [4, 3]


def test_the_mesh_that_a_rendition_waits_for_is_needed(store: JobStore) -> None:
    submitted(store, "a", found="mesh", cache="HIT-ARCHIVE")
    assert a_request("a").key in needed_files(store)
    finish_rendition = store.claim(a_submission("a").options.key(a_request("a").key), "w1")
    assert finish_rendition is not None
    store.redis.zadd(f"{store.prefix}:workers", {"w1": 1})
    assert a_request("a").key in needed_files(store), "it runs"
    store.complete_rendition(finish_rendition, {}, "HIT-ARCHIVE", timings={})
    assert needed_files(store) == set()


class RequeuesMeanwhile:
    """A client during whose look at the workers a work that ran goes back into the queue."""

    def __init__(self, redis: Redis, requeue: Callable[[], object]) -> None:
        self._redis = redis
        self._requeue: Callable[[], object] | None = requeue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    def zrange(self, name: str, *args: Any, **more: Any) -> Any:
        if name.endswith(":workers") and self._requeue is not None:
            self._requeue()
            self._requeue = None
        return self._redis.zrange(name, *args, **more)


@pytest.mark.parametrize("found", ["nothing", "mesh"])
def test_what_goes_back_into_the_queue_while_the_janitor_looks_stays_needed(store: JobStore, found: str) -> None:
    submitted(store, "a", found=found)
    request = a_request("a")
    key = request.key if found == "nothing" else a_submission("a").options.key(request.key)
    store.redis.zadd(f"{store.prefix}:workers", {"w1": 1})
    work = store.claim(key, "w1")
    looks = JobStore(RequeuesMeanwhile(store.redis, lambda: store.release(work)))
    assert {request.key} | ({request.image_sha256} if found == "nothing" else set()) == needed_files(looks)


def test_a_retention_of_nothing_keeps_for_ever(tmp_path: Path, store: JobStore) -> None:
    results = Archive.open(str(tmp_path))
    results.put(key("a"), b"mesh", {})
    (path,) = (tmp_path / "results").rglob(key("a"))
    os.utime(path, (0, 0))
    keeps(store, 10, Shelf(results, 0)).round()
    assert results.get(key("a")) is not MISSING


def test_what_one_process_did_lately_no_other_does_again(tmp_path: Path, store: JobStore) -> None:
    inputs = Archive.open(str(tmp_path), prefix="inputs")
    keeps(store, 10, Shelf(inputs, DAY_S)).round()
    inputs.put(key("a"), b"picture", {})
    (path,) = (tmp_path / "inputs").rglob(key("a"))
    os.utime(path, (0, 0))
    other = keeps(store, 10, Shelf(inputs, DAY_S))
    other.round()
    assert inputs.get(key("a")) is not MISSING
    store.redis.delete(f"{store.prefix}:janitor:files")
    other.round()
    assert inputs.get(key("a")) is MISSING


def test_a_redis_that_is_away_does_not_end_the_janitor() -> None:
    rounds = iter([False, False, True])
    keeps(JobStore(Redis(port=1, retry=None))).run(threading.Event(), pause=lambda _: next(rounds))
