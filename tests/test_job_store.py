"""The job store on a real server: what callers, workers and the watch see."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.errors import BadImage, OutOfMemory
from jobs.estimates import pace_name
from jobs.requests import RenditionOptions
from jobs.store import JobStore, StoreLimits
from jobs.upkeep import forget_ended
from tests.job_fleet import a_request, a_submission, claimed, finish, submitted


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis, StoreLimits(queue_limit=3))


def test_a_new_job_is_queued_and_its_generation_is_due(store: JobStore) -> None:
    outcome, job_id, to_send = store.submit(a_submission())
    job = store.job(job_id)
    assert (outcome, to_send) == ("new", a_request().key)
    assert (job.status, job.queue_position, job.cache) == ("queued", 0, None)
    (work,) = store.due(only=to_send)
    assert (work.kind, work.queue, work.task_id) == ("generation", "generate", job.task_id)


def test_an_unknown_id_is_no_job(store: JobStore) -> None:
    assert store.job("f" * 32) is None
    assert store.cancel("f" * 32) == "missing"


def test_identical_submissions_join_one_generation(store: JobStore) -> None:
    submitted(store)
    outcome, second, to_send = store.submit(a_submission())
    assert (outcome, to_send) == ("joined", "")
    assert store.job(second).cache == "COALESCED"
    assert store.depths() == {"generate": 1, "render": 0}


def test_another_format_joins_the_generation_and_gets_its_own_rendition(store: JobStore) -> None:
    submitted(store, format="glb")
    submitted(store, format="stl")
    handed = store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    assert sorted(part.options.format for part in handed) == ["glb", "stl"]


def test_everybody_who_waits_succeeds_together(store: JobStore) -> None:
    ids = [submitted(store) for _ in range(5)]
    finish(store, claimed(store))
    jobs = store.jobs(ids)
    assert {job.status for job in jobs} == {"succeeded"}
    assert [job.cache for job in jobs] == ["MISS"] + ["COALESCED"] * 4
    assert all(job.progress == 100 and job.result == {"format": "glb"} for job in jobs)
    assert not store.in_flight(a_request().key)


def test_a_result_that_exists_needs_no_queue(store: JobStore) -> None:
    outcome, job_id, to_send = store.submit(
        a_submission(found="rendition", cache="HIT-L2", result={"format": "glb", "faces": 12})
    )
    job = store.job(job_id)
    assert (outcome, to_send, job.status, job.cache) == ("done", "", "succeeded", "HIT-L2")
    assert job.result == {"format": "glb", "faces": 12} and job.task_id is None


def test_a_mesh_that_exists_goes_to_the_render_queue_only(store: JobStore) -> None:
    outcome, job_id, to_send = store.submit(a_submission(found="mesh", cache="HIT-ARCHIVE"))
    assert outcome == "new" and to_send == RenditionOptions().key(a_request().key)
    assert store.depths() == {"generate": 0, "render": 1}
    work = store.claim(to_send, "w2")
    store.complete_rendition(work, {"format": "glb"}, work.cache, timings={})
    assert store.job(job_id).cache == "HIT-ARCHIVE"


def test_only_one_of_two_claims_holds(store: JobStore) -> None:
    submitted(store)
    assert store.claim(a_request().key, "w1") is not None
    assert store.claim(a_request().key, "w2") is None


def test_a_running_job_tells_stage_progress_and_start(store: JobStore) -> None:
    job_id = submitted(store)
    work = claimed(store)
    assert store.progress(work, "solve", 40) == "ok"
    job = store.job(job_id)
    assert (job.status, job.stage, job.progress, job.attempts) == ("running", "solve", 40, 1)
    assert job.started_at >= job.created_at


def test_a_full_queue_refuses_new_work_but_not_repeats(store: JobStore) -> None:
    for picture in "abc":
        submitted(store, picture)
    assert store.submit(a_submission("d"))[0] == "full"
    assert store.submit(a_submission("a"))[0] == "joined"
    assert sum(1 for _ in store.newest()) == 4


def test_bad_input_fails_everybody_at_once(store: JobStore) -> None:
    ids = [submitted(store), submitted(store, format="stl")]
    assert store.fail(claimed(store), BadImage("broken"), max_attempts=3) == "failed"
    assert [job.error["code"] for job in store.jobs(ids)] == ["bad_image", "bad_image"]
    assert not store.in_flight(RenditionOptions().key(a_request().key))


def test_a_transient_failure_is_tried_again_and_counted(store: JobStore) -> None:
    job_id = submitted(store)
    for attempt in (1, 2):
        work = claimed(store)
        assert work.attempts == attempt
        assert store.fail(work, OutOfMemory("full"), max_attempts=3) == "requeued"
        assert store.job(job_id).status == "queued"
    assert store.fail(claimed(store), OutOfMemory("full"), max_attempts=3) == "failed"
    job = store.job(job_id)
    assert (job.status, job.attempts, job.error["retryable"]) == ("failed", 3, True)


def test_a_stale_claim_changes_nothing(store: JobStore) -> None:
    job_id = submitted(store)
    old = claimed(store)
    store.fail(old, OutOfMemory("full"), max_attempts=3)
    new = claimed(store, worker="w2")
    assert store.progress(old, "solve", 99) == "stale"
    assert store.complete_generation(old, "MISS", generate_s=1, timings={}) is None
    assert store.fail(old, BadImage("late"), max_attempts=3) == "stale"
    assert store.release(old) == "stale"
    finish(store, new)
    assert store.job(job_id).status == "succeeded"


def test_a_stale_claim_does_not_fit_a_later_work_with_the_same_key(store: JobStore) -> None:
    submitted(store)
    old = claimed(store)
    store.fail(old, BadImage("broken"), max_attempts=3)
    submitted(store)
    claimed(store, worker="w2")
    assert store.progress(old, "solve", 50) == "stale"


def test_cancel_of_a_queued_job_takes_its_work_along(store: JobStore) -> None:
    job_id = submitted(store)
    assert store.cancel(job_id) == "canceled"
    assert store.job(job_id).status == "canceled"
    assert store.depths()["generate"] == 0 and not store.in_flight(a_request().key)
    assert store.cancel(job_id) == "ended"


def test_cancel_does_not_disturb_others_who_wait(store: JobStore) -> None:
    first, second = submitted(store), submitted(store)
    store.cancel(first)
    work = claimed(store)
    assert store.progress(work, "solve", 10) == "ok"
    finish(store, work)
    assert [job.status for job in store.jobs([first, second])] == ["canceled", "succeeded"]


def test_a_running_work_learns_that_nobody_waits(store: JobStore) -> None:
    job_id = submitted(store)
    work = claimed(store)
    store.cancel(job_id)
    assert store.progress(work, "solve", 10) == "canceled"
    assert store.release(work) == "dropped"


def test_a_job_that_joins_a_canceled_running_work_is_still_served(store: JobStore) -> None:
    store_id = submitted(store)
    work = claimed(store)
    store.cancel(store_id)
    late = submitted(store)
    assert store.progress(work, "solve", 10) == "ok"
    finish(store, work)
    assert store.job(late).status == "succeeded"


def test_a_job_that_joins_just_before_the_release_is_queued_again(store: JobStore) -> None:
    first = submitted(store)
    work = claimed(store)
    store.cancel(first)
    assert store.progress(work, "solve", 10) == "canceled"
    late = submitted(store)
    assert store.release(work) == "requeued"
    finish(store, claimed(store, worker="w2"))
    assert store.job(late).status == "succeeded"


def test_an_idempotency_key_answers_the_first_job(store: JobStore) -> None:
    first = submitted(store, idempotency=("name", "body"))
    assert store.submit(a_submission(idempotency=("name", "body")))[:2] == ("repeat", first)
    assert store.submit(a_submission("b", idempotency=("name", "other")))[:2] == ("conflict", first)
    assert sum(1 for _ in store.newest()) == 1


def test_higher_priority_goes_first_and_a_joiner_lifts_the_work(store: JobStore) -> None:
    low = submitted(store, "a", priority="low")
    normal = submitted(store, "b")
    assert [store.job(one).queue_position for one in (low, normal)] == [1, 0]
    _, _, to_send = store.submit(a_submission("a", priority="high"))
    assert to_send == a_request("a").key
    assert [store.job(one).queue_position for one in (low, normal)] == [0, 1]


def test_listing_is_newest_first_apart_by_owner_and_continues_behind_a_cursor(store: JobStore) -> None:
    mine = [submitted(store, owner="me") for _ in range(3)]
    submitted(store, owner="you")
    assert [job.id for job in store.newest(owner="me")] == mine[::-1]
    assert [job.id for job in store.newest(owner="me", before=mine[1])] == [mine[0]]


def test_an_ordered_rendition_is_made_without_a_job(store: JobStore) -> None:
    options = RenditionOptions(format="ply")
    key = options.key(a_request().key)
    assert store.order("inflate", a_request().key, options) is True
    assert store.order("inflate", a_request().key, options) is False
    work = store.claim(key, "w1")
    assert store.fail(work, BadImage("no"), max_attempts=3) == "failed"
    assert store.last_error(key)["code"] == "bad_image"


def test_nothing_is_left_in_redis_but_the_job_when_all_has_ended(store: JobStore, text_redis: Redis) -> None:
    job_id = submitted(store)
    finish(store, claimed(store))
    left = {name.removeprefix("{orfeas}:") for name in text_redis.scan_iter()}
    paces = {"pace", "pace:generate", f"pace:{pace_name(a_request())}"}
    figures = {"counters", "seconds:wait:generate", "seconds:generate:inflate"}
    assert left == {f"job:{job_id}", "jobs", "jobs:local", "list", "owners", "changes", "token", *paces, *figures}
    assert text_redis.ttl(f"{{orfeas}}:job:{job_id}") > 0


def test_jobs_past_their_retention_leave_the_listings(text_redis: Redis) -> None:
    store = JobStore(text_redis, StoreLimits(job_retention_s=3600))
    job_id = submitted(store)
    finish(store, claimed(store))
    text_redis.delete(f"{{orfeas}}:job:{job_id}")
    assert forget_ended(store, kept=1000) == 0, "it is young: its listing stays"
    old = "000000000001" + "0" * 20
    text_redis.zadd("{orfeas}:jobs", {old: 0})
    text_redis.zadd("{orfeas}:jobs:local", {old: 0})
    assert forget_ended(store, kept=1000) == 1
    assert text_redis.zscore("{orfeas}:jobs", old) is None
    assert text_redis.zscore("{orfeas}:jobs:local", old) is None


def test_a_step_of_a_generation_that_thousands_wait_for_does_not_flood_the_stream(store: JobStore) -> None:
    ids = [submitted(store) for _ in range(500)]
    work = claimed(store)
    before = store.redis.xlen("{orfeas}:changes")
    for percent in range(20):
        store.progress(work, "solve", percent)
    assert store.redis.xlen("{orfeas}:changes") - before == 20
    finish(store, work)
    assert {job.status for job in store.jobs(ids)} == {"succeeded"}


def test_a_stale_claim_cannot_complete_a_rendition(store: JobStore) -> None:
    """Its worker was stopped and continued; meanwhile the rendition was taken back and claimed by another."""
    job_id = submitted(store)
    (old,) = store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    store.fail(old, OutOfMemory("full"), max_attempts=3)
    assert store.complete_rendition(old, {"format": "old"}, "MISS", timings={}) is None
    assert store.job(job_id).status == "queued"
    new = store.claim(old.key, "w2")
    assert store.complete_rendition(old, {"format": "old"}, "MISS", timings={}) is None
    assert store.complete_rendition(new, {"format": "glb"}, "MISS", timings={}) == 1
    assert store.job(job_id).result == {"format": "glb"}


@pytest.mark.parametrize("found", ["nothing", "mesh"])
def test_what_is_due_is_given_to_one_sender_only(store: JobStore, found: str) -> None:
    """Two processes keep watch, or the watch and the submitter look at once."""
    submitted(store, "a", found=found)
    submitted(store, "b", found=found)
    store.redis.zadd("{orfeas}:due", dict.fromkeys(store.redis.zrange("{orfeas}:due", 0, -1), 0))
    assert len(store.due()) == 2
    assert store.due() == []


@pytest.mark.parametrize(("before", "after"), [("low", "normal"), ("low", "high"), ("normal", "high")])
def test_the_message_of_a_work_that_is_raised_is_sent_again(store: JobStore, before: str, after: str) -> None:
    submitted(store, priority=before)
    (work,) = store.due(only=a_request().key)
    store.sent(work)
    assert store.redis.zrange("{orfeas}:sent:generate", 0, -1) == [work.key]
    submitted(store, priority=after)
    assert store.redis.zrange("{orfeas}:sent:generate", 0, -1) == [], "the old message is not what is waited for"
    (again,) = store.due(only=work.key)
    assert again.priority < work.priority


@pytest.mark.parametrize("seconds", [60, 86400])
def test_idempotency_keys_expire(text_redis: Redis, seconds: int) -> None:
    store = JobStore(text_redis, StoreLimits(idempotency_s=seconds))
    submitted(store, idempotency=("name", "body"))
    assert 0 < text_redis.ttl("{orfeas}:idem:name") <= seconds
