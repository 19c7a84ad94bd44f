"""Any number of jobs may wait for one work: they end in short steps, and a death between two of them loses nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from jobs.errors import BadImage
from jobs.fleet import Fleet
from jobs.requests import RenditionOptions
from jobs.store import HAND_OVER, JobStore, StoreLimits
from jobs.upkeep import needed_files
from jobs.watch import Watch
from tests.house import Inbox
from tests.job_fleet import a_request, a_submission, a_worker, claimed, submitted

JOBS = 10
AT_ONCE = 2


class Died(Exception):
    """Stands for the end of the process."""


class Steps:
    """Runs scripts and notes what each step ended; after `last` steps beyond the first one the process dies."""

    def __init__(self, store: JobStore, last: int = 10**6) -> None:
        self._run, self._left = store.run, last
        self.ended: list[int] = []
        store.run = self

    def __call__(self, script: str, **arguments: Any) -> Any:
        if script == "end":
            if not self._left:
                raise Died
            self._left -= 1
        answer = self._run(script, **arguments)
        if script == "end" and answer:
            self.ended.append(answer[1])
        return answer


def open_store(redis: Redis, at_once: int = AT_ONCE) -> JobStore:
    return JobStore(redis, StoreLimits(queue_limit=10_000, at_once=at_once))


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    Fleet(JobStore(text_redis)).register(a_worker("w1"), [])
    return open_store(text_redis)


def succeed(store: JobStore) -> None:
    (part,) = store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    store.complete_rendition(part, {"format": "glb"}, "MISS", timings={}, cost_s=2.0)


def fail(store: JobStore) -> None:
    store.fail(claimed(store), BadImage("broken"), max_attempts=3)


def fail_a_rendition(store: JobStore) -> None:
    (part,) = store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    store.fail(part, BadImage("broken"), max_attempts=3)


def poison(store: JobStore) -> None:
    claimed(store)
    Fleet(store, max_attempts=1).leave("w1")


def poison_by_a_successor(store: JobStore) -> None:
    claimed(store)
    Fleet(store, max_attempts=1).register(a_worker("w2", slot="slot-w1"), [])


ENDINGS = [(succeed, "succeeded"), (fail, "failed"), (fail_a_rendition, "failed"), (poison, "failed"),
           (poison_by_a_successor, "failed")]  # fmt: skip
all_endings = pytest.mark.parametrize(("end", "status"), ENDINGS, ids=[end.__name__ for end, _ in ENDINGS])


def watch_until_over(redis: Redis) -> None:
    """Another process keeps watch; the lease of whoever was at it has run out."""
    for key in redis.zrange("{orfeas}:ending", 0, -1):
        redis.zadd("{orfeas}:ending", {key: 0})
    store = open_store(redis)
    redis.delete("{orfeas}:watch")
    Watch(store, Fleet(store), Inbox()).round()


@all_endings
def test_no_step_ends_more_jobs_than_fit_in_one(store: JobStore, end: Callable[[JobStore], None], status: str) -> None:
    ids = [submitted(store) for _ in range(JOBS)]
    steps = Steps(store)
    end(store)
    assert {job.status for job in store.jobs(ids)} == {status}
    assert max(steps.ended) <= AT_ONCE
    assert len(steps.ended) >= JOBS / AT_ONCE - 1
    assert not store.redis.exists("{orfeas}:ending")


@all_endings
@pytest.mark.parametrize("last", [0, 1, 3])
def test_what_a_dead_process_began_to_end_another_continues(
    store: JobStore, end: Callable[[JobStore], None], status: str, last: int
) -> None:
    ids = [submitted(store, webhook_url="https://example.org") for _ in range(JOBS)]
    Steps(store, last)
    with pytest.raises(Died):
        end(store)
    between = [job.status for job in open_store(store.redis).jobs(ids)]
    assert 0 < between.count("running") < JOBS or (last == 0 and between.count("running") == JOBS)
    watch_until_over(store.redis)
    assert {job.status for job in store.jobs(ids)} == {status}
    assert store.redis.hget("{orfeas}:counters", status) == str(JOBS), "each was ended once"
    assert store.redis.zcard("{orfeas}:webhooks:local") == JOBS
    assert not list(store.redis.scan_iter("{orfeas}:work:*")) and not store.redis.exists("{orfeas}:ending")


@all_endings
def test_who_joins_between_two_steps_is_ended_with_the_others(
    store: JobStore, end: Callable[[JobStore], None], status: str
) -> None:
    [submitted(store) for _ in range(JOBS)]
    Steps(store, 1)
    with pytest.raises(Died):
        end(store)
    other = open_store(store.redis)
    outcome, late, _ = other.submit(a_submission())
    assert outcome == "joined"
    watch_until_over(store.redis)
    assert other.job(late).status == status
    assert submitted(other) != late and other.depths()["generate"] == 1, "whoever comes later begins anew"


def test_another_form_asked_for_while_a_generation_fails_hears_of_it_too(store: JobStore) -> None:
    [submitted(store) for _ in range(JOBS)]
    Steps(store, 1)
    with pytest.raises(Died):
        fail(store)
    other = open_store(store.redis)
    late = submitted(other, format="stl")
    watch_until_over(store.redis)
    assert other.job(late).error["code"] == "bad_image"


@all_endings
def test_a_job_canceled_between_two_steps_is_canceled_and_nothing_else(
    store: JobStore, end: Callable[[JobStore], None], status: str
) -> None:
    ids = [submitted(store) for _ in range(JOBS)]
    Steps(store, 1)
    with pytest.raises(Died):
        end(store)
    other = open_store(store.redis)
    waiting = [job.id for job in other.jobs(ids) if not job.ended]
    assert [other.cancel(one) for one in waiting] == ["canceled"] * len(waiting)
    watch_until_over(store.redis)
    assert {job.status for job in other.jobs(waiting)} == {"canceled"}
    assert not list(store.redis.scan_iter("{orfeas}:work:*")) and not store.redis.exists("{orfeas}:ending")


def test_the_watch_leaves_an_ending_to_the_process_that_is_at_it(store: JobStore) -> None:
    ids = [submitted(store) for _ in range(JOBS)]
    Steps(store, 1)
    with pytest.raises(Died):
        succeed(store)
    assert open_store(store.redis).end_left_over() == 0
    store.redis.zadd("{orfeas}:ending", dict.fromkeys(store.redis.zrange("{orfeas}:ending", 0, -1), 9e12))
    assert open_store(store.redis).end_left_over() == JOBS - 2 * AT_ONCE, "due far ahead: the clock jumped back"
    assert all(job.ended for job in open_store(store.redis).jobs(ids))


def test_a_claim_ends_with_its_verdict(store: JobStore) -> None:
    [submitted(store) for _ in range(JOBS)]
    work = claimed(store)
    (part,) = store.complete_generation(work, "MISS", generate_s=1, timings={})
    Steps(store, 0)
    with pytest.raises(Died):
        store.complete_rendition(part, {"format": "glb"}, "MISS", timings={})
    other = open_store(store.redis)
    assert other.complete_rendition(part, {"format": "glb"}, "MISS", timings={}) is None
    assert other.fail(part, BadImage("late"), max_attempts=1) == "stale"
    assert other.release(part) == "stale" and other.progress(part, "render", 95) == "stale"
    assert Fleet(other).leave("w1") == 0, "a worker that has spoken its verdict has nothing to give back"


def test_who_led_and_who_joined_are_told_apart_in_every_step(store: JobStore) -> None:
    ids = [submitted(store) for _ in range(JOBS)]
    succeed(store)
    jobs = store.jobs(ids)
    assert [job.cache for job in jobs] == ["MISS"] + ["COALESCED"] * (JOBS - 1)
    assert [job.saved_s for job in jobs] == [0.0] + [2.0] * (JOBS - 1)


def test_renditions_beyond_what_one_worker_takes_go_to_the_render_queue(store: JobStore) -> None:
    """The sizes of a mesh are as many as callers ask for."""
    ids = [submit_size(store, size) for size in range(1, HAND_OVER + 8)]
    Steps(store, 1)
    with pytest.raises(Died):
        store.complete_generation(claimed(store), "MISS", generate_s=1, timings={"generate_s": 1.0})
    other = open_store(store.redis)
    late = submit_size(other, 500)
    assert a_request().key in needed_files(other)
    watch_until_over(store.redis)
    assert other.depths() == {"generate": 0, "render": 8}
    assert not other.in_flight(a_request().key)
    for key in store.redis.zrange("{orfeas}:queued:render", 0, -1):
        work = other.claim(key, "w2")
        assert (work.attempts, work.cache, work.timings) == (1, "MISS", {"generate_s": 1.0})
        other.complete_rendition(work, {"format": "glb"}, work.cache, timings={})
    statuses = [job.status for job in other.jobs([*ids, late])]
    assert statuses.count("succeeded") == 8 and statuses.count("running") == HAND_OVER


def test_a_rendition_from_the_queue_is_not_blamed_for_its_generations_attempts(store: JobStore) -> None:
    for size in range(1, HAND_OVER + 2):
        submit_size(store, size)
    claimed(store)
    Fleet(store, max_attempts=2).leave("w1")
    store.complete_generation(claimed(store, worker="w2"), "MISS", generate_s=1, timings={})
    (key,) = store.redis.zrange("{orfeas}:queued:render", 0, -1)
    work = store.claim(key, "w3")
    assert work.attempts == 2
    Fleet(store).register(a_worker("w3"), [])
    Fleet(store, max_attempts=2).leave("w3")
    assert store.depths()["render"] == 1, "its first try was lost, it has another"


def test_a_download_is_told_while_the_jobs_behind_its_rendition_are_being_ended(store: JobStore) -> None:
    [submitted(store) for _ in range(JOBS)]
    (part,) = store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    assert store.in_flight(part.key)
    Steps(store, 0)
    with pytest.raises(Died):
        store.fail(part, BadImage("broken"), max_attempts=1)
    assert not open_store(store.redis).in_flight(part.key)
    assert store.last_error(part.key)["code"] == "bad_image"


def test_a_claim_of_a_work_with_many_renditions_tells_only_so_many_jobs(store: JobStore) -> None:
    for size in range(1, 22):
        [submit_size(store, size) for _ in range(110)]
    before = store.redis.xlen("{orfeas}:changes")
    claimed(store)
    assert store.redis.xlen("{orfeas}:changes") - before <= 2001


def submit_size(store: JobStore, size_mm: float) -> str:
    submission = a_submission()
    sized = type(submission)(
        owner="local", generation=submission.generation, options=RenditionOptions(size_mm=size_mm)
    )  # fmt: skip
    return store.submit(sized)[1]
