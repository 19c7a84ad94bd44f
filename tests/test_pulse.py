"""The heartbeat ends what hangs and what nobody wants, and gives back what was left over."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.fleet import Fleet
from jobs.records import Work
from jobs.store import JobStore
from tests.job_fleet import a_request, a_submission, a_worker, claimed, submitted
from worker.attending import Attending
from worker.pulse import Patience, Pulse


class Ended(BaseException):
    """Stands for the SIGKILL to oneself."""


class Bench:
    """One worker's pulse with a clock of its own, over a real store."""

    def __init__(self, redis: Redis) -> None:
        self.now = 100.0
        self.store = JobStore(redis)
        self.fleet = Fleet(self.store)
        self.attending = Attending(self.store, clock=lambda: self.now)
        patience = Patience(job_time_limit_s=60, stall_limit_s=20, unwanted_grace_s=1.5)
        self.pulse = Pulse(
            a_worker("w1"), [], self.fleet, self.store, self.attending, patience, end=self._end, clock=lambda: self.now
        )
        self.pulse.beat()

    def works(self, picture: str = "a") -> tuple[str, Work]:
        """The worker is in the middle of a job."""
        job_id = submitted(self.store, picture)
        work = claimed(self.store, picture)
        self.attending.begin(work)
        return job_id, work

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.pulse.beat()

    def _end(self) -> None:
        raise Ended


@pytest.fixture
def bench(text_redis: Redis) -> Bench:
    return Bench(text_redis)


def test_a_run_over_the_limit_fails_as_timeout_and_ends_the_process(bench: Bench) -> None:
    job_id, work = bench.works()
    for _ in range(6):
        bench.after(10)
        bench.attending.moved[work.key] = bench.now
    with pytest.raises(Ended):
        bench.after(1)
    error = bench.store.job(job_id).error
    assert error["code"] == "timeout"
    assert "JOB_TIME_LIMIT_S" in error["message"]


def test_a_run_that_tells_nothing_fails_as_timeout(bench: Bench) -> None:
    job_id, _work = bench.works()
    bench.after(20)
    with pytest.raises(Ended):
        bench.after(1)
    assert "STALL_LIMIT_S" in bench.store.job(job_id).error["message"]


def test_a_rendition_that_waits_for_its_turn_is_not_timed_out(bench: Bench) -> None:
    submitted(bench.store, format="glb")
    submitted(bench.store, format="stl")
    work = claimed(bench.store)
    first, second = bench.store.complete_generation(work, "MISS", generate_s=1, timings={})
    bench.attending.reserve(second)
    bench.attending.begin(first)
    for _ in range(5):
        bench.after(15)
        bench.attending.begin(first)
    assert bench.store.progress(second, "render", 90) == "ok"


def test_canceled_work_that_does_not_listen_ends_the_process_within_its_grace(bench: Bench) -> None:
    job_id, work = bench.works()
    bench.store.cancel(job_id)
    bench.after(1)
    bench.after(1)
    with pytest.raises(Ended):
        bench.after(1)
    assert not bench.store.in_flight(work.key)


def test_canceled_work_that_listens_costs_no_process(bench: Bench) -> None:
    job_id, work = bench.works()
    bench.store.cancel(job_id)
    bench.after(1)
    bench.store.release(work)
    bench.attending.let_go(work)
    bench.after(10)


def test_a_canceled_rendition_in_line_does_not_end_the_one_that_runs(bench: Bench) -> None:
    submitted(bench.store, format="glb")
    canceled = bench.store.submit(a_submission(format="stl"))[1]
    parts = bench.store.complete_generation(claimed(bench.store), "MISS", generate_s=1, timings={})
    runs = next(part for part in parts if part.options.format == "glb")
    waits = next(part for part in parts if part.options.format == "stl")
    bench.attending.begin(runs)
    bench.attending.reserve(waits)
    bench.store.cancel(canceled)
    for _ in range(5):
        bench.after(2)
    assert bench.store.progress(runs, "render", 95) == "ok"
    assert bench.store.progress(waits, "render", 95) == "stale"


def test_deaf_work_whose_claim_is_lost_ends_the_process(bench: Bench) -> None:
    """The fleet took this worker for dead while it was cut off, and another one has the work now."""
    _job_id, work = bench.works()
    bench.fleet.leave("w1")
    taken = claimed(bench.store, worker="w2")
    bench.after(2)
    with pytest.raises(Ended):
        bench.after(2)
    assert bench.store.progress(taken, "solve", 10) == "ok", "giving back does not touch the other's claim"
    assert bench.store.release(work) == "stale"


def test_what_the_store_thinks_is_ours_but_nobody_works_on_goes_back(bench: Bench) -> None:
    submitted(bench.store)
    claimed(bench.store)  # the answer to this claim was lost on its way
    bench.after(2)
    assert bench.store.claim(a_request().key, "w2") is None
    bench.after(2)
    assert claimed(bench.store, worker="w2").attempts == 1, "a lost answer is nobody's attempt"


def test_a_worker_that_the_fleet_forgot_registers_again(bench: Bench) -> None:
    bench.store.redis.flushall()
    bench.after(2)
    assert [worker.id for worker in bench.fleet.workers()] == ["w1"]
