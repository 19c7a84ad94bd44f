"""A download that waits for a rendition counts like a job that does, whoever asked for it first, but not for ever."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from jobs.records import Work
from jobs.requests import RenditionOptions
from jobs.store import JobStore
from tests.job_fleet import a_request, claimed, finish, submitted


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


GLB = RenditionOptions()


def order(store: JobStore) -> bool:
    return store.order("inflate", a_request().key, GLB)


def rendition_of(store: JobStore, worker: str = "w2") -> Work | None:
    return store.claim(GLB.key(a_request().key), worker)


def test_a_download_keeps_the_rendition_of_a_job_that_is_canceled(store: JobStore) -> None:
    job_id = submitted(store, found="mesh")
    order(store)
    store.cancel(job_id)
    work = rendition_of(store)
    assert work is not None, "the download waits for it"
    assert store.progress(work, "render", 95) == "ok"
    assert store.complete_rendition(work, {"format": "glb"}, "HIT-L2", timings={}) == 0


def test_a_download_keeps_a_running_rendition_whose_job_is_canceled(store: JobStore) -> None:
    job_id = submitted(store, found="mesh")
    work = rendition_of(store)
    order(store)
    store.cancel(job_id)
    assert store.progress(work, "render", 95) == "ok"
    assert store.release(work) == "requeued", "its worker stops: somebody else has to make it"


def test_a_download_that_comes_just_after_the_cancel_takes_the_rendition_up_again(store: JobStore) -> None:
    job_id = submitted(store, found="mesh")
    work = rendition_of(store)
    store.cancel(job_id)
    order(store)
    assert store.progress(work, "render", 95) == "ok"


def test_a_download_does_not_need_the_generation_that_its_job_asked_for_anew(store: JobStore) -> None:
    job_id = submitted(store, anew=True)
    work = claimed(store)
    order(store)
    store.cancel(job_id)
    assert store.progress(work, "solve", 50) == "canceled"
    assert store.release(work) == "dropped"
    assert rendition_of(store) is not None, "the mesh exists: the rendition goes on without"


def test_a_generation_that_others_wait_for_goes_on_without_the_rendition_of_a_download(store: JobStore) -> None:
    canceled = submitted(store, anew=True)
    other = submitted(store, format="stl", anew=True)
    work = claimed(store)
    order(store)
    store.cancel(canceled)
    assert store.progress(work, "solve", 50) == "ok"
    assert rendition_of(store) is not None
    finish(store, work)
    assert store.job(other).status == "succeeded"


@pytest.mark.parametrize("asked_by", ["download", "job and download"])
def test_a_download_that_went_away_keeps_work_only_for_a_while(store: JobStore, asked_by: str) -> None:
    job_id = submitted(store, found="mesh") if asked_by == "job and download" else None
    order(store)
    if job_id:
        store.cancel(job_id)
    key = GLB.key(a_request().key)
    until_ms = int(store.redis.hget(f"{{orfeas}}:work:{key}", "awaited_until"))
    assert 25_000 < until_ms - time.time() * 1000 <= 300_000, "longer than an answer is waited for, not for ever"
    store.redis.hset(f"{{orfeas}}:work:{key}", "awaited_until", 1)
    assert rendition_of(store) is None
    assert not store.in_flight(key) and store.depths()["render"] == 0


def test_every_request_of_a_download_keeps_the_work_for_longer(store: JobStore) -> None:
    order(store)
    key = GLB.key(a_request().key)
    store.redis.hset(f"{{orfeas}}:work:{key}", "awaited_until", 1)
    assert order(store) is False, "its message is out already"
    assert rendition_of(store) is not None


def test_a_download_moves_the_rendition_that_it_waits_for_to_the_front(store: JobStore) -> None:
    submitted(store, found="mesh", priority="low")
    assert order(store) is True, "its message is to be sent again"
    assert [work.priority for work in store.due(only=GLB.key(a_request().key))] == [0]


def test_a_rendition_that_a_version_before_ordered_is_still_made(store: JobStore) -> None:
    order(store)
    store.redis.hdel(f"{{orfeas}}:work:{GLB.key(a_request().key)}", "awaited_until")
    assert rendition_of(store) is not None
