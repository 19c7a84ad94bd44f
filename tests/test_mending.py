"""A work whose place was lost in Redis is found and put back, whatever was lost of it."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs import mending
from jobs.fleet import Fleet
from jobs.mending import LOST_AFTER_MS, mend
from jobs.store import JobStore
from jobs.watch import Watch
from tests.job_fleet import a_request, a_worker, claimed, finish, submitted
from tests.test_watch import Broker


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def fleet(store: JobStore) -> Fleet:
    fleet = Fleet(store)
    fleet.register(a_worker("w1"), [])
    return fleet


def lose(store: JobStore, *names: str) -> None:
    assert store.redis.delete(*(f"{store.prefix}:{name}" for name in names)) == len(names)


@pytest.mark.parametrize("lost", [["queued:generate"], ["due"], ["queued:generate", "due"]])
def test_what_waits_is_sent_again(store: JobStore, fleet: Fleet, lost: list[str]) -> None:
    job_id, broker = submitted(store), Broker()
    lose(store, *lost)
    Watch(store, fleet, broker).round()
    assert [work.key for work in broker.messages] == [a_request().key]
    finish(store, claimed(store))
    assert store.job(job_id).status == "succeeded"


def test_what_was_sent_and_is_known_to_no_list_is_sent_again(store: JobStore, fleet: Fleet) -> None:
    submitted(store)
    (work,) = store.due(only=a_request().key)
    store.sent(work)
    lose(store, "sent:generate")
    assert mend(store, fleet) == [work.key] and mend(store, fleet) == []
    assert [again.key for again in store.due()] == [work.key]


@pytest.mark.parametrize("lost", [["owns:w1"], ["owns:w1", "workers", "worker:w1"]])
def test_what_runs_goes_back_to_its_worker_or_to_the_next(store: JobStore, fleet: Fleet, lost: list[str]) -> None:
    job_id = submitted(store)
    work = claimed(store, worker="w1")
    lose(store, *lost)
    assert mend(store, fleet) == [work.key]
    if len(lost) == 1:
        assert [one.token for one in fleet.beat(a_worker("w1"))] == [work.token]
        finish(store, work)
    else:
        assert store.progress(work, "solve", 1) == "stale"
        finish(store, claimed(store, worker="w2"))
    assert store.job(job_id).status == "succeeded"


@pytest.mark.parametrize("lost", ["", ":parts"])
def test_a_rendition_does_not_wait_for_a_generation_that_forgot_it(store: JobStore, fleet: Fleet, lost: str) -> None:
    job_id = submitted(store)
    lose(store, f"work:{a_request().key}{lost}")
    (rendition,) = mend(store, fleet)
    if lost:
        finish(store, claimed(store))
    else:
        work = store.claim(rendition, "w1")
        assert work is not None and work.queue == "render"
        store.complete_rendition(work, {"format": "glb"}, "HIT-ARCHIVE", timings={})
    assert store.job(job_id).status == "succeeded"


@pytest.mark.parametrize("running", [False, True])
def test_a_job_that_its_work_forgot_is_put_back(store: JobStore, fleet: Fleet, running: bool) -> None:
    jobs = [submitted(store), submitted(store)]
    work = claimed(store) if running else None
    lose(store, f"work:{store.job(jobs[0]).rendition_key}:jobs")
    assert sorted(mend(store, fleet)) == sorted(jobs) and mend(store, fleet) == []
    finish(store, work or claimed(store))
    assert [store.job(job_id).status for job_id in jobs] == ["succeeded"] * 2


def test_a_job_without_any_work_ends_in_words(store: JobStore, fleet: Fleet) -> None:
    job_id = submitted(store)
    lose(store, f"work:{store.job(job_id).rendition_key}", f"work:{a_request().key}")
    assert mend(store, fleet) == [] and store.job(job_id).status == "queued"
    store.redis.hincrby(f"{store.prefix}:job:{job_id}", "lost_at", -LOST_AFTER_MS)
    assert mend(store, fleet) == [job_id]
    error = store.job(job_id).error
    assert error["code"] == "result_gone" and "submit the picture again" in error["message"]


def test_all_jobs_are_looked_at_in_turn(store: JobStore, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "JOBS_AT_ONCE", 2)
    jobs = [submitted(store, picture) for picture in "abcde"]
    for job_id in jobs:
        lose(store, f"work:{store.job(job_id).rendition_key}")
    for seen in (2, 4, 5):
        mend(store, fleet)
        assert sum(store.redis.hexists(f"{store.prefix}:job:{job_id}", "lost_at") for job_id in jobs) == seen


def test_what_is_in_its_place_is_left_there(store: JobStore, fleet: Fleet) -> None:
    for picture in "abc":
        submitted(store, picture)
    claimed(store, "a")
    assert mend(store, fleet) == []
