"""When a job will be done: by its like, by how far it is, by who stands before it; else nobody says a number."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.estimates import Line, running_left_s, wait_s
from jobs.fleet import Fleet
from jobs.records import Work
from jobs.requests import GenerationRequest, RenditionOptions
from jobs.store import JobStore
from jobs.submission import Submission
from tests.job_fleet import a_worker

COARSE, FINE = {"resolution": 64}, {"resolution": 512}


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    store = JobStore(text_redis)
    Fleet(store).register(a_worker("w1"), [])
    return store


def a_job(store: JobStore, picture: str, params: dict[str, int], **more: str) -> str:
    request = GenerationRequest(image_sha256=picture * 64, generator="inflate", revision="1", params=params)
    return store.submit(Submission(owner="local", generation=request, options=RenditionOptions(), **more))[1]


def begun(store: JobStore, job_id: str) -> Work:
    work = store.claim(store.job(job_id).key, "w1")
    assert work is not None
    return work


def made(store: JobStore, picture: str, params: dict[str, int], generate_s: float) -> None:
    work = begun(store, a_job(store, picture, params))
    for part in store.complete_generation(work, "MISS", generate_s=generate_s, timings={}):
        store.complete_rendition(part, {"format": "glb"}, "MISS", timings={}, cost_s=generate_s)


def test_a_job_is_estimated_by_those_with_its_own_parameters(store: JobStore) -> None:
    made(store, "a", COARSE, 2.0)
    made(store, "b", FINE, 60.0)
    assert store.job(a_job(store, "c", COARSE)).eta_s == 2.0


def test_parameters_that_nobody_tried_are_not_guessed_at(store: JobStore) -> None:
    made(store, "a", COARSE, 2.0)
    assert store.job(a_job(store, "c", FINE)).eta_s is None


def test_another_revision_of_a_generator_begins_without_experience(store: JobStore) -> None:
    made(store, "a", COARSE, 2.0)
    request = GenerationRequest(image_sha256="c" * 64, generator="inflate", revision="2", params=COARSE)
    job_id = store.submit(Submission(owner="local", generation=request, options=RenditionOptions()))[1]
    assert store.job(job_id).eta_s is None


def test_the_newest_times_count_more_than_the_older(store: JobStore) -> None:
    for picture, took_s in (("a", 10.0), ("b", 20.0)):
        made(store, picture, COARSE, took_s)
    assert store.job(a_job(store, "c", COARSE)).eta_s == pytest.approx(13.0)


def test_who_waits_behind_others_waits_for_them_too(store: JobStore) -> None:
    made(store, "a", COARSE, 10.0)
    begun(store, a_job(store, "b", COARSE))
    waiting = [a_job(store, picture, COARSE) for picture in "cd"]
    assert sorted(store.job(job_id).eta_s for job_id in waiting) == [20.0, 30.0]


def test_more_workers_shorten_the_wait(store: JobStore) -> None:
    made(store, "a", COARSE, 10.0)
    begun(store, a_job(store, "b", COARSE))
    Fleet(store).register(a_worker("w2"), [])
    waiting = [a_job(store, picture, COARSE) for picture in "cd"]
    assert sorted(store.job(job_id).eta_s for job_id in waiting) == [10.0, 15.0], "one goes to the idle worker at once"


def test_without_a_worker_nobody_knows(text_redis: Redis) -> None:
    store = JobStore(text_redis)
    made(store, "a", COARSE, 10.0)
    assert store.job(a_job(store, "c", COARSE)).eta_s is None


def test_a_rendition_is_not_mistaken_for_a_generation(store: JobStore) -> None:
    made(store, "a", COARSE, 100.0)
    assert store.job(a_job(store, "a", COARSE, found="mesh", cache="HIT-L2")).eta_s is None


def test_an_ended_job_has_no_estimate(store: JobStore) -> None:
    made(store, "a", COARSE, 10.0)
    assert all(job.eta_s is None for job in store.newest())


def test_a_job_that_just_began_is_as_far_as_it_looks(store: JobStore) -> None:
    made(store, "a", COARSE, 100.0)
    job_id = a_job(store, "b", COARSE)
    begun(store, job_id)
    assert 95 < store.job(job_id).eta_s <= 100


@pytest.mark.parametrize(
    ("elapsed_s", "progress", "usual_s", "left_s"),
    [
        (0.0, 0.0, None, None),  # nothing is known
        (10.0, 0.1, None, None),  # too early to tell
        (0.1, 0.5, None, None),  # too short to tell
        (10.0, 0.5, None, 10.0),  # as fast as until now
        (4.0, 0.0, 10.0, 6.0),  # as long as the others
        (12.0, 0.1, 10.0, None),  # longer than the others, and no sign of an end
        (12.0, 0.5, 10.0, 12.0),  # longer than the others, half done
        (5.0, 0.5, 20.0, 10.0),  # 15 by the others, 5 by its own pace
        (9.0, 0.9, 11.0, 1.1),  # nearly done: its own pace counts
    ],
)
def test_what_is_left_of_a_running_work(
    elapsed_s: float, progress: float, usual_s: float | None, left_s: float | None
) -> None:
    left = running_left_s(elapsed_s, progress, usual_s)
    assert left == (None if left_s is None else pytest.approx(left_s))


def test_whoever_finds_an_idle_worker_waits_for_nobody() -> None:
    assert wait_s(Line(ahead=0, workers=2, busy=1, pace_s=None)) == 0.0
    assert wait_s(Line(ahead=0, workers=1, busy=1, pace_s=None)) is None
