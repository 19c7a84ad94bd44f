"""What an operator revokes is canceled: the task that stands for the work now, and everybody who waits for it."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.revocation import cancel_revoked
from jobs.store import JobStore
from tests.job_fleet import a_request, claimed, finish, submitted
from worker.revocations import Revocations


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.mark.parametrize("running", [False, True])
def test_everybody_who_waits_for_the_work_is_canceled(store: JobStore, running: bool) -> None:
    jobs = [submitted(store), submitted(store), submitted(store, format="stl")]
    work = claimed(store) if running else None
    task_id = store.job(jobs[0]).task_id
    assert cancel_revoked(store, a_request().key, task_id) == 3
    assert {store.job(job_id).status for job_id in jobs} == {"canceled"}
    assert "revoked" in store.job(jobs[0]).error["message"]
    if work is not None:
        assert store.progress(work, "solve", 50) == "canceled"
        store.release(work)
    assert not store.in_flight(a_request().key)


def test_a_rendition_of_its_own_is_canceled(store: JobStore) -> None:
    job_id = submitted(store, found="mesh", cache="HIT-L2")
    job = store.job(job_id)
    assert cancel_revoked(store, job.rendition_key, job.task_id) == 1
    assert store.job(job_id).status == "canceled"


@pytest.mark.parametrize("task_id", ["another", ""])
def test_a_task_that_stands_for_nothing_any_more_cancels_nothing(store: JobStore, task_id: str) -> None:
    job_id = submitted(store)
    assert cancel_revoked(store, a_request().key, task_id) == 0
    assert cancel_revoked(store, "no such work", task_id) == 0
    finish(store, claimed(store))
    assert store.job(job_id).status == "succeeded"


def test_the_parent_process_cancels_in_turn(store: JobStore) -> None:
    revocations = Revocations(lambda: store)
    jobs = [submitted(store, picture) for picture in "ab"]
    for picture, job_id in zip("ab", jobs, strict=True):
        revocations.put(a_request(picture).key, store.job(job_id).task_id)
    for _ in jobs:
        revocations.cancel_next()
    assert {store.job(job_id).status for job_id in jobs} == {"canceled"}
