"""Random jobs, deaths, cancels and lost answers, one after the other: no job is lost, stuck or ended twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from jobs.errors import NoSurface, OutOfMemory
from jobs.fleet import Fleet
from jobs.mending import mend
from jobs.records import QUEUES, Job, Work
from jobs.requests import RenditionOptions
from jobs.revocation import cancel_revoked
from jobs.states import ENDED, STATUSES, TRANSITIONS, Status
from jobs.store import JobStore, StoreLimits
from jobs.upkeep import mend_index
from tests.job_fleet import a_request, a_submission, a_worker
from tests.test_endings import Died, Steps

WORKERS = ("w1", "w2", "w3")
PICTURES = st.sampled_from("abc")
FORMATS = st.sampled_from(["glb", "stl"])
OWNERS = st.sampled_from(["ada", "bob"])
LABELS = st.sampled_from([None, "cup", "a/b"])
DEATHS = st.sampled_from([0, None, 1])  # steps of an ending after the first, then the process dies
MAX_ATTEMPTS = 3


class Jobs(RuleBasedStateMachine):
    """`held` is what workers believe to own; some of it is stale, as after a SIGSTOP."""

    redis: Redis

    @initialize()
    def begin(self) -> None:
        self.redis.flushall()
        self.store = JobStore(self.redis, StoreLimits(queue_limit=8, at_once=1))
        self.fleet = Fleet(self.store, max_attempts=MAX_ATTEMPTS)
        self.statuses: dict[str, Status] = {}
        self.endings: dict[str, int] = {}
        self.held: list[tuple[str, Work]] = []
        self.archive: set[str] = set()
        self.sending: list[Work] = []
        self.born = 0
        for worker in WORKERS:
            self.fleet.register(a_worker(worker), [])

    @rule(picture=PICTURES, format=FORMATS, owner=OWNERS, priority=st.sampled_from(["high", "normal", "low"]),
          anew=st.booleans(), label=LABELS, times=st.sampled_from([3, 1]))  # fmt: skip
    def submit(
        self, picture: str, format: str, owner: str, priority: str, anew: bool, label: str | None, times: int
    ) -> None:
        for _ in range(times):
            self._submit(picture, format, owner, priority, anew, label)

    def _submit(self, picture: str, format: str, owner: str, priority: str, anew: bool, label: str | None) -> None:
        submission = a_submission(picture, format=format, owner=owner, priority=priority, anew=anew)
        found = "nothing" if anew else self._found(submission.generation.key, submission.options)
        submission = a_submission(
            picture, format=format, owner=owner, priority=priority, anew=anew, found=found, result={"format": format},
            cache=None if found == "nothing" else "HIT-ARCHIVE", label=label,
        )  # fmt: skip
        outcome, job_id, _to_send = self.store.submit(submission)
        if outcome == "full":
            return
        self.statuses[job_id] = "queued"
        if outcome == "done":
            self.statuses[job_id] = "succeeded"

    @rule(worker=st.sampled_from(WORKERS), answer_lost=st.booleans(), choice=st.randoms(use_true_random=False))
    def claim(self, worker: str, answer_lost: bool, choice) -> None:
        waiting = self._waiting()
        if waiting:
            work = self.store.claim(choice.choice(waiting), worker)
            if work is not None and not answer_lost:
                self.held.append((worker, work))

    @rule(choice=st.randoms(use_true_random=False))
    def progress(self, choice) -> None:
        if self.held:
            _worker, work = choice.choice(self.held)
            assert self.store.progress(work, "solve", 50) in ("ok", "canceled", "stale")

    @rule(picture=PICTURES, format=FORMATS)
    def download(self, picture: str, format: str) -> None:
        """Somebody waits for another form of a mesh that exists, and may go away before it is there."""
        generation, options = a_request(picture).key, RenditionOptions(format=format)
        if generation in self.archive and options.key(generation) not in self.archive:
            self.store.order("inflate", generation, options)

    @rule(choice=st.randoms(use_true_random=False), answer_lost=st.booleans(), dies_after=DEATHS)
    def complete(self, choice, answer_lost: bool, dies_after: int | None) -> None:
        if not self.held:
            return
        with dying(self.store, dies_after):
            self._complete(choice, answer_lost)

    def _complete(self, choice, answer_lost: bool) -> None:
        worker, work = self._drop(choice)
        self.archive.add(work.key)  # the archive comes first, also from a stale worker
        if work.kind == "generation":
            parts = self.store.complete_generation(work, "MISS", generate_s=1, timings={})
            if not answer_lost:
                self.held += [(worker, part) for part in parts or ()]
        else:
            self.store.complete_rendition(work, {"format": "glb"}, "MISS", timings={})

    @rule(worker=st.sampled_from(WORKERS), choice=st.randoms(use_true_random=False), fails=st.booleans(),
          dies_after=DEATHS)  # fmt: skip
    def run_to_the_end(self, worker: str, choice, fails: bool, dies_after: int | None) -> None:
        """What a worker does in one go, but for its death in the middle of telling how it ended."""
        waiting = self._waiting()
        work = self.store.claim(choice.choice(waiting), worker) if waiting else None
        if work is None:
            return
        with dying(self.store, dies_after):
            if fails:
                self.store.fail(work, NoSurface("no"), max_attempts=MAX_ATTEMPTS)
                return
            self.archive.add(work.key)
            parts = [work]
            if work.kind == "generation":
                parts = self.store.complete_generation(work, "MISS", generate_s=1, timings={}) or []
            self.held += [(worker, part) for part in parts]
            for part in parts:
                self.held.remove((worker, part))
                self.archive.add(part.key)
                self.store.complete_rendition(part, {"format": "glb"}, "MISS", timings={})

    @rule(choice=st.randoms(use_true_random=False), error=st.sampled_from([NoSurface("no"), OutOfMemory("no")]),
          dies_after=DEATHS)  # fmt: skip
    def fail(self, choice, error, dies_after: int | None) -> None:
        if self.held:
            _worker, work = self._drop(choice)
            with dying(self.store, dies_after):
                self.store.fail(work, error, max_attempts=MAX_ATTEMPTS)

    @rule(choice=st.randoms(use_true_random=False))
    def release(self, choice) -> None:
        if self.held:
            _worker, work = self._drop(choice)
            self.store.release(work)

    @rule(choice=st.randoms(use_true_random=False), lacks=st.booleans())
    def give_back(self, choice, lacks: bool) -> None:
        """Redis, a signal or a lost answer ended the work, or its worker has not got the generator."""
        if self.held:
            _worker, work = self._drop(choice)
            if lacks:
                self.store.decline(work, NoSurface("no"), wait_s=1000)
            else:
                self.store.interrupted(work, NoSurface("no"), max_attempts=MAX_ATTEMPTS)

    @rule()
    def mend(self) -> None:
        assert mend(self.store, self.fleet) == [], "what nobody broke is whole"

    @rule(choice=st.randoms(use_true_random=False))
    def revoke(self, choice) -> None:
        if self.statuses:
            job = self.store.job(choice.choice(sorted(self.statuses)))
            for key in (job.key, job.rendition_key):
                cancel_revoked(self.store, key, job.task_id or "")

    @rule(choice=st.randoms(use_true_random=False))
    def cancel(self, choice) -> None:
        if self.statuses:
            job_id = choice.choice(sorted(self.statuses))
            answer = self.store.cancel(job_id)
            assert answer == ("ended" if self.statuses[job_id] in ENDED else "canceled")

    @rule(worker=st.sampled_from(WORKERS), wakes_up=st.booleans())
    def die(self, worker: str, wakes_up: bool) -> None:
        """Killed, or frozen for long: one that wakes up still believes in what it held."""
        self.fleet.leave(worker)
        self.fleet.register(a_worker(worker), [])
        if not wakes_up:
            self.held = [(owner, work) for owner, work in self.held if owner != worker]

    @rule(worker=st.sampled_from(WORKERS))
    def beat(self, worker: str) -> None:
        """What the store thinks is this worker's, but it does not know of, it gives back."""
        known = {work.token for owner, work in self.held if owner == worker}
        for owned in self.fleet.beat(a_worker(worker)) or ():
            if owned.token not in known:
                self.store.release(owned)

    @rule()
    def watch(self) -> None:
        for key in self.redis.zrange("{orfeas}:ending", 0, -1):  # seconds have passed since the last step
            self.redis.zadd("{orfeas}:ending", {key: 0})
        self.store.end_left_over(steps=2)
        self.store.age(0.001)
        for work in self.store.due():
            self.store.sent(work)

    @rule(status=st.sampled_from([None, *STATUSES]), owner=st.sampled_from([None, "ada", "bob"]), label=LABELS,
          generator=st.sampled_from([None, "inflate", "other"]), at_once=st.integers(1, 5),
          index_is_lost=st.booleans())  # fmt: skip
    def list_jobs(self, status, owner, label, generator, at_once: int, index_is_lost: bool) -> None:
        """What the index answers is what looking at every job answers."""
        if index_is_lost:
            self.redis.delete("{orfeas}:list")
            mend_index(self.store)
        wanted = {"status": status, "owner": owner, "label": label, "generator": generator}

        def matches(job: Job) -> bool:
            return all(value is None or getattr(job, name) == value for name, value in wanted.items())

        expected = [job.id for job in self.store.newest() if matches(job)]
        assert [job.id for job in self.store.newest(**wanted, at_once=at_once)] == expected

    @rule()
    def send(self) -> None:
        for key in self._waiting():
            self.sending += self.store.due(only=key)

    @rule()
    def note_what_was_sent(self) -> None:
        """Somebody may have claimed, ended or put back the work between the message and the note."""
        while self.sending:
            self.store.sent(self.sending.pop())

    @invariant()
    def every_step_of_a_job_is_legal(self) -> None:
        for job in self.store.jobs(list(self.statuses)):
            assert job is not None
            before = self.statuses[job.id]
            # Several steps may lie between two looks: through `running`, or back to `queued` and on.
            assert job.status == before or reachable(before, job.status), (before, job.status)
            self.statuses[job.id] = job.status
            assert (job.finished_at is not None) == job.ended
            assert (job.error is not None) == (job.status in ("failed", "canceled"))
            assert (job.result is not None) == (job.status == "succeeded")

    @invariant()
    def every_waiting_job_has_somebody_to_wait_for(self) -> None:
        for job in self.store.jobs(list(self.statuses)):
            if job is not None and not job.ended:
                assert self.redis.sismember(f"{{orfeas}}:work:{job.rendition_key}:jobs", job.id)
                state = self.redis.hget(f"{{orfeas}}:work:{job.rendition_key}", "status")
                assert state in ("queued", "running", "blocked", "ending")
                if state == "blocked":
                    assert self.redis.sismember(f"{{orfeas}}:work:{job.key}:parts", job.rendition_key)

    @invariant()
    def every_work_is_in_one_place_and_has_at_most_one_owner(self) -> None:
        owned = [key for worker in WORKERS for key in self.redis.smembers(f"{{orfeas}}:owns:{worker}")]
        assert len(owned) == len(set(owned))
        queued = set(self._waiting())
        sent = {key for queue in QUEUES for key in self.redis.zrange(f"{{orfeas}}:sent:{queue}", 0, -1)}
        due = set(self.redis.zrange("{orfeas}:due", 0, -1))
        assert sent | due == queued, "each waiting work has a message that went out, or is in the outbox"
        assert not sent & due
        for key in self._works():
            status = self.redis.hget(f"{{orfeas}}:work:{key}", "status")
            assert (key in queued) == (status == "queued")
            assert (key in owned) == (status == "running")
            assert (self.redis.zscore("{orfeas}:ending", key) is not None) == (status == "ending")

    @invariant()
    def the_index_holds_every_job_once(self) -> None:
        members = self.redis.zrange("{orfeas}:list", 0, -1)
        jobs = [job for job in self.store.jobs(list(self.statuses)) if job is not None]
        assert sorted(one[-32:] for one in members if one.startswith("c/")) == sorted(job.id for job in jobs)
        assert sorted(one[-32:] for one in members if one.startswith("l/")) == sorted(j.id for j in jobs if j.label)
        assert sorted(one[-32:] for one in members if one.startswith("g/")) == sorted(j.id for j in jobs if not j.ended)

    def teardown(self) -> None:
        """All workers come to their senses and the queues run empty: every job ends and nothing is left."""
        if not hasattr(self, "held"):
            return
        self.held = []
        for _ in range(200):
            self.watch()
            for worker in WORKERS:
                self.beat(worker)
            waiting = self._waiting()
            if not waiting and not self._works():
                break
            for key in waiting:
                work = self.store.claim(key, "w1")
                if work is None:
                    continue
                parts = [work]
                if work.kind == "generation":
                    parts = self.store.complete_generation(work, "MISS", generate_s=1, timings={})
                for part in parts:
                    self.store.complete_rendition(part, {"format": "glb"}, "MISS", timings={})
        assert all(job.ended for job in self.store.jobs(list(self.statuses)))
        left = {name.removeprefix("{orfeas}:").split(":")[0] for name in self.redis.scan_iter("{orfeas}:*")}
        assert not left & {"work", "queued", "sent", "due", "owns", "ending"}

    def _drop(self, choice) -> tuple[str, Work]:
        return self.held.pop(choice.randrange(len(self.held)))

    def _found(self, generation_key: str, options) -> str:
        if options.key(generation_key) in self.archive:
            return "rendition"
        return "mesh" if generation_key in self.archive else "nothing"

    def _waiting(self) -> list[str]:
        return [key for queue in QUEUES for key in self.redis.zrange(f"{{orfeas}}:queued:{queue}", 0, -1)]

    def _works(self) -> list[str]:
        names = (name.removeprefix("{orfeas}:work:") for name in self.redis.scan_iter("{orfeas}:work:*"))
        return [name for name in names if ":" not in name]


@contextmanager
def dying(store: JobStore, after: int | None) -> Iterator[None]:
    """The process that speaks to the store dies after so many steps of an ending, or lives on."""
    run = store.run
    if after is not None:
        Steps(store, after)
    try:
        yield
    except Died:
        pass
    finally:
        store.run = run


def reachable(start: Status, goal: Status) -> bool:
    seen, border = {start}, [start]
    while border:
        for status in TRANSITIONS[border.pop()] - seen:
            seen.add(status)
            border.append(status)
    return goal in seen - {start}


@pytest.fixture
def machine(text_redis: Redis) -> Iterator[type[Jobs]]:
    Jobs.redis = text_redis
    return Jobs


def test_jobs_survive_any_interleaving(machine: type[Jobs]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
