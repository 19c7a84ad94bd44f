"""However a try ends, its work finds the right fate."""

from __future__ import annotations

import pytest
import torch
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cache.errors import ArchiveUnavailable
from jobs.errors import Canceled, NoSurface
from jobs.store import JobStore
from tests.job_fleet import a_request, claimed, submitted
from worker.attending import Attending, NotHere, Reporter
from worker.drain import HEAR_S, WIND_DOWN_S, Drain
from worker.keeping import keep_patiently


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def attending(store: JobStore) -> Attending:
    return Attending(store, max_attempts=2)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NoSurface("no shape"), "failed", "no_surface"),
        (RuntimeError("shapes do not match"), "failed", "generation_failed"),
        (MemoryError(), "queued", None),
        (torch.OutOfMemoryError("CUDA out of memory"), "queued", None),
        (ArchiveUnavailable("503"), "queued", None),
    ],
)
def test_an_error_becomes_the_works_fate(
    store: JobStore, attending: Attending, error: Exception, status: str, code: str | None
) -> None:
    job_id = submitted(store)
    with attending.to(claimed(store)):
        raise error
    job = store.job(job_id)
    assert job.status == status
    assert (job.error or {}).get("code") == code
    assert attending.held == {}


def test_what_may_pass_is_tried_again_only_so_often(store: JobStore, attending: Attending) -> None:
    job_id = submitted(store)
    for _ in range(2):
        with attending.to(claimed(store)):
            raise MemoryError
    job = store.job(job_id)
    assert (job.status, job.error["code"], job.error["retryable"], job.attempts) == (
        "failed", "out_of_memory", True, 2,
    )  # fmt: skip


def test_a_process_that_is_ended_gives_its_work_back(store: JobStore, attending: Attending) -> None:
    job_id = submitted(store)
    with pytest.raises(SystemExit), attending.to(claimed(store)):
        raise SystemExit
    assert store.job(job_id).status == "queued"
    assert claimed(store).attempts == 1


def test_progress_is_not_worth_failing_for(store: JobStore) -> None:
    submitted(store)
    work = claimed(store)
    nowhere = JobStore(Redis(port=1, retry=None))
    Reporter(Attending(nowhere), work, nowhere, lambda: 0.0)(50, "solve")


def test_work_that_redis_interrupts_stays_claimed_until_it_answers_again(store: JobStore, attending: Attending) -> None:
    job_id = submitted(store)
    with attending.to(claimed(store)):
        raise RedisConnectionError("reset")
    assert store.job(job_id).status == "running"
    assert attending.held == {}, "the pulse finds it as left over and gives it back"


def test_a_process_that_is_to_stop_lets_its_work_finish_in_most_of_its_grace(
    store: JobStore, attending: Attending
) -> None:
    submitted(store)
    work = claimed(store)
    attending.begin(work)
    times = Times({8.0: lambda: attending.let_go(work)})
    Drain(attending, grace_s=20, end=pytest.fail, clock=times.now, pause=times.pass_by).drain()
    assert times.now() == pytest.approx(8, abs=0.2)
    assert attending.stopping is False


def test_work_that_listens_is_handed_over_before_the_grace_is_over(store: JobStore, attending: Attending) -> None:
    job_id = submitted(store)
    work = claimed(store)
    attending.begin(work)
    tell = Reporter(attending, work, store, lambda: 0.0)

    def at_the_next_step() -> None:
        if attending.stopping:
            with attending.to(work):
                tell(50, "solve")

    times = Times({16.5: at_the_next_step})
    Drain(attending, grace_s=20, end=pytest.fail, clock=times.now, pause=times.pass_by).drain()
    assert store.job(job_id).status == "queued"
    assert claimed(store, worker="w2").attempts == 1, "an upgrade is nobody's fault"


def test_work_that_does_not_listen_is_ended_with_time_to_spare(store: JobStore, attending: Attending) -> None:
    submitted(store)
    attending.begin(claimed(store))
    times = Times({})
    ended: list[float] = []
    Drain(attending, grace_s=20, end=lambda: ended.append(times.now()), clock=times.now, pause=times.pass_by).drain()
    assert ended == [pytest.approx(20 - WIND_DOWN_S, abs=0.2)]
    assert HEAR_S + WIND_DOWN_S < 10, "the default STOP_GRACE_S leaves time to finish"


def test_an_archive_that_hiccups_does_not_cost_another_run() -> None:
    answers = iter([ArchiveUnavailable("503"), ArchiveUnavailable("503"), None])
    slept: list[float] = []

    def write() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    keep_patiently(write, lambda: None, pauses_s=(1, 2, 4), sleep=slept.append)
    assert sum(slept) == 3


def test_an_archive_that_stays_away_fails_the_try_in_the_end() -> None:
    tries: list[int] = []

    def write() -> None:
        tries.append(1)
        raise ArchiveUnavailable("503")

    with pytest.raises(ArchiveUnavailable):
        keep_patiently(write, lambda: None, pauses_s=(1, 2), sleep=lambda _: None)
    assert len(tries) == 3


def test_waiting_for_storage_ends_when_nobody_waits_for_the_result(store: JobStore) -> None:
    job_id = submitted(store)
    work = claimed(store)
    times = Times({3.0: lambda: store.cancel(job_id)})
    tried: list[float] = []

    def write() -> None:
        tried.append(times.now())
        raise ArchiveUnavailable("503")

    with Attending(store, clock=times.now).to(work) as tell:
        keep_patiently(write, lambda: tell(90, "store"), pauses_s=(2, 60), sleep=times.pass_by)
    assert tried == [0, 2] and times.now() < 4
    assert not store.in_flight(work.key), "it is not made for nobody"


class Times:
    """A clock that moves when somebody waits, and does things when their time comes."""

    def __init__(self, at: dict) -> None:
        self._now = 0.0
        self._at = at

    def now(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds
        for when in [when for when in self._at if when <= self._now]:
            self._at.pop(when)()


class Refusing:
    """A client that refuses what these scripts write."""

    def __init__(self, store: JobStore, *scripts: str) -> None:
        self._run, self._scripts = store.run, scripts
        store.run = self

    def __call__(self, script: str, **arguments: object) -> object:
        if script in self._scripts:
            raise ReadOnlyError("You can't write against a read only replica")
        return self._run(script, **arguments)


@pytest.mark.parametrize(
    "error", [ReadOnlyError("read only"), ResponseError("NOREPLICAS"), OutOfMemoryError("OOM"), RedisTimeoutError()]
)
def test_a_redis_that_refuses_in_mid_work_every_time_ends_the_job(
    store: JobStore, attending: Attending, error: Exception
) -> None:
    """Its first refusal is an outage, and nobody's attempt."""
    job_id, runs = submitted(store), 0
    while not store.job(job_id).ended and runs < 20:
        work = claimed(store)
        with attending.to(work):
            runs += 1
            raise error
        assert attending.settle(work), "the pulse does, when it beats"
    job = store.job(job_id)
    assert (job.status, job.error["code"], runs) == ("failed", "storage_failed", 3)
    assert "Redis" in job.error["message"]


@pytest.mark.parametrize("fate", [MemoryError(), NoSurface("no shape"), Canceled("gone"), NotHere("elsewhere")])
def test_a_verdict_that_redis_does_not_take_is_kept_for_it(
    store: JobStore, attending: Attending, fate: Exception
) -> None:
    submitted(store)
    work, answers = claimed(store), store.run
    Refusing(store, "fail", "release", "decline")
    with attending.to(work):
        raise fate
    with pytest.raises(ReadOnlyError):
        attending.settle(work)
    store.run = answers
    assert attending.settle(work) and not attending.settle(work)
    assert store.progress(work, "solve", 1) == "stale"


@pytest.mark.parametrize("end", [SystemExit(1), KeyboardInterrupt()])
def test_a_generator_that_ends_its_process_each_time_ends_its_job(
    store: JobStore, attending: Attending, end: BaseException
) -> None:
    job_id, runs = submitted(store), 0
    while not store.job(job_id).ended and runs < 20:
        runs += 1
        with pytest.raises(type(end)), attending.to(claimed(store)):
            raise end
    assert (store.job(job_id).error["code"], runs) == ("poison", 3)


def test_claims_that_are_lost_again_and_again_end_the_job(store: JobStore, attending: Attending) -> None:
    job_id, claims = submitted(store), 0
    while not store.job(job_id).ended and claims < 20:
        attending.return_lost(claimed(store))
        claims += 1
    assert (store.job(job_id).error["code"], claims) == ("poison", 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("request", "{"), ("request", '{"no": 1}'), ("options", "[]"), ("timings", "?"), ("kind", None)],
)
def test_work_that_cannot_be_read_is_sent_and_fails_in_words(store: JobStore, field: str, value: str | None) -> None:
    job_id = submitted(store)
    name = f"{store.prefix}:work:{a_request().key}"
    store.redis.hset(name, field, value) if value else store.redis.hdel(name, field)
    store.redis.zadd(f"{store.prefix}:due", {a_request().key: 0})
    submitted(store, "b")
    store.redis.zadd(f"{store.prefix}:due", {a_request("b").key: 0})
    due = [work.key for work in store.due()]
    assert a_request("b").key in due, "it holds up nobody else"
    assert value is None or a_request().key in due
    assert store.claim(a_request().key, "w1") is None
    assert "cannot be read" in store.job(job_id).error["message"]
