"""The heartbeat ends what hangs and what nobody wants, and gives back what was left over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from cache.loops import Threads
from jobs.fleet import Fleet, GeneratorCard
from jobs.records import Work
from jobs.store import JobStore
from tests.job_fleet import a_request, a_submission, a_worker, claimed, submitted
from worker.attending import Attending
from worker.consuming import Consuming
from worker.pulse import Patience, Pulse

CARD = GeneratorCard("inflate", "Inflate", "1", {"properties": {}}, default=True)


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


def tell(bench: Bench, *, consuming: bool) -> list[str]:
    """The pulse, from now on, of a worker that does or does not take messages; answers what it will ask its parent."""
    asked: list[str] = []
    bench.pulse = Pulse(
        a_worker("w1"), [CARD], bench.fleet, bench.store, bench.attending, Patience(), clock=lambda: bench.now,
        consuming=lambda: consuming, subscribe=lambda: asked.append("subscribe"),
        reconnect=lambda: asked.append("reconnect"), threads=Threads(),
    )  # fmt: skip
    return asked


@pytest.mark.parametrize(("waits", "other"), [(True, None), (False, None), (True, True), (True, False)])
def test_a_worker_that_takes_no_messages_subscribes_again_when_nobody_else_takes_what_waits(
    bench: Bench, waits: bool, other: bool | None
) -> None:
    asked = tell(bench, consuming=False)
    if waits:
        submitted(bench.store)
    if other is not None:
        bench.fleet.register(replace(a_worker("w2"), consuming=other), [])
    for _ in range(2):
        bench.after(1.9)
    assert asked == []
    bench.after(5)
    assert asked == (["subscribe"] if waits and not other else [])
    (seen,) = (one for one in bench.fleet.workers() if one.id == "w1")
    assert seen.alive(10) and not seen.ready(10)


@pytest.mark.parametrize("busy", [False, True])
def test_an_idle_worker_beside_work_that_does_not_come_through_connects_again(bench: Bench, busy: bool) -> None:
    asked = tell(bench, consuming=True)
    if busy:
        bench.works()
    for _ in range(9):
        bench.store.note_stall("generate", 1)
        bench.after(2)
    assert asked == ([] if busy else ["reconnect"])


def test_a_stall_that_passes_leaves_the_connection_alone(bench: Bench) -> None:
    asked = tell(bench, consuming=True)
    for _ in range(5):
        bench.store.note_stall("generate", 1)
        bench.after(8)
        bench.store.redis.delete(f"{bench.store.prefix}:stalled:generate")
        bench.after(8)
    assert asked == []


@pytest.mark.parametrize("consuming", [True, False])
def test_only_a_worker_that_takes_messages_repeats_its_offers(bench: Bench, consuming: bool) -> None:
    bench.store.redis.flushall()
    tell(bench, consuming=consuming)
    bench.after(0)
    assert bool(bench.fleet.cards()) == consuming, "not even at its first beat"
    bench.store.redis.delete(f"{bench.store.prefix}:cards")
    bench.after(9)
    assert not bench.fleet.cards()
    bench.after(1)
    assert bool(bench.fleet.cards()) == consuming


def test_a_worker_announces_what_it_can_run_as_soon_as_it_takes_messages(bench: Bench) -> None:
    takes: list[bool] = []
    bench.pulse = Pulse(
        a_worker("w1"), [CARD], bench.fleet, bench.store, bench.attending, Patience(), clock=lambda: bench.now,
        consuming=lambda: bool(takes), threads=Threads(),
    )  # fmt: skip
    bench.store.redis.flushall()
    bench.after(1)
    assert not bench.fleet.cards()
    takes.append(True)
    bench.after(1)
    assert list(bench.fleet.cards()) == ["inflate"]


def test_what_the_parent_sees_reaches_its_children() -> None:
    now = [100.0]
    consuming = Consuming(clock=lambda: now[0])
    assert not consuming.confirmed() and not consuming.is_to_subscribe() and not consuming.is_to_reconnect()
    consuming.confirm()
    consuming.subscribe()
    consuming.reconnect()
    assert consuming.confirmed() and consuming.is_to_subscribe() and consuming.is_to_reconnect()
    assert not consuming.is_to_reconnect(), "once is enough"
    now[0] += 6
    assert not consuming.confirmed() and not consuming.is_to_subscribe()
