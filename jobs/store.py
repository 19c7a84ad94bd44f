"""`JobStore`: the one owner of job state. Every change is one atomic script, so no reader sees half a step.

A *work* is what workers do: a generation or a rendition in flight. Jobs wait for renditions, renditions for
generations. It sends no messages: what is due to be sent is asked of it (`due`) by whoever keeps watch.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from jobs.errors import GenerationFailed, JobError
from jobs.listing import pages_of_ids
from jobs.records import QUEUES, Job, Queue, Work, job_from, pairs, work_from
from jobs.requests import PreviewOptions, RenditionOptions
from jobs.scripts import Scripts, TextRedis
from jobs.states import Served, Status
from jobs.submission import Submission, rendition_fields, seconds_text

log = logging.getLogger(__name__)

PREFIX = "{orfeas}"
SEND_AFTER_MS = 5_000  # the submitter sends at once; the watch only what stayed unsent this long
STALL_SHOWN_S = 12  # longer than it takes until what was sent again is overdue again
SEND_AGAIN_MS = 8_000  # a message that is out this long and whose work still waits may be lost
FAR_MS = 120_000
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)  # fields of another version, or broken ones
# What a worker cannot do waits so long for another one, longer from time to time.
DECLINED_MS = (500, 15_000)
AWAITED_MS = 120_000  # a download waits 25 s, and whoever heard 503 has time to ask again
HAND_OVER = 100  # renditions that one worker takes over with the mesh; the render workers get what is beyond

Outcome = Literal["new", "joined", "done", "repeat", "conflict", "full"]


class Claim(Protocol):
    """What proves that a worker may speak for a work: its key and the fencing token of the claim."""

    @property
    def key(self) -> str: ...

    @property
    def token(self) -> str: ...


@dataclass(frozen=True)
class Unread:
    """A claim on work whose fields make no sense here."""

    key: str
    token: str


@dataclass(frozen=True)
class StoreLimits:
    """Bounds that the scripts enforce; names as in `settings.py`."""

    queue_limit: int = 10_000
    job_retention_s: int = 7 * 86400
    idempotency_s: int = 86400
    at_once: int = 50  # jobs that one script ends or forgets: some 3 ms of Redis' time


@dataclass(frozen=True)
class Overdue:
    """Works of a queue that wait suspiciously long, how many messages of it should be with the broker, and how many of
    its workers are ready and have had nothing to do for as long."""

    works: list[Work]
    messages: int
    idle_workers: int


class JobStore:
    """Jobs and the works behind them, in Redis.

    Every method raises `redis.RedisError` when Redis does not answer within the client's time-outs.
    """

    def __init__(self, redis: TextRedis, limits: StoreLimits | None = None, *, prefix: str = PREFIX) -> None:
        self.redis = redis
        self.limits = limits or StoreLimits()
        self.prefix = prefix
        self.run = Scripts(redis, prefix)

    # What callers do ----------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> tuple[Outcome, str, str]:
        """One step from request to job.

        Answers the outcome, the job's id (that of the first one on a repeat), and the key of the work whose message
        is to be sent now, or "".
        """
        arguments: dict[str, object] = submission.arguments() | {
            "queue_limit": self.limits.queue_limit,
            "retention_s": self.limits.job_retention_s,
            "send_after_ms": SEND_AFTER_MS,
        }
        if submission.idempotency:
            name, digest = submission.idempotency
            arguments |= {"idem": name, "idem_body": digest, "idem_ttl_s": self.limits.idempotency_s}
        outcome, job_id, to_send = self.run("submit", **arguments)
        return outcome, job_id, to_send

    def job(self, job_id: str) -> Job | None:
        """The job as it stands, or None when the id is unknown."""
        return self.jobs([job_id])[0]

    def jobs(self, job_ids: list[str]) -> list[Job | None]:
        """Several jobs in one round trip, None for each unknown one."""
        now_ms, answers = self.run("read", ids=job_ids) if job_ids else ("0", [])
        return [job_from(*answer, now_ms=int(now_ms)) if answer[0] else None for answer in answers]

    def newest(
        self, *, owner: str | None = None, before: str | None = None, status: Status | None = None,
        generator: str | None = None, label: str | None = None, at_once: int = 100,
    ) -> Iterator[Job]:  # fmt: skip
        """Jobs from the newest to the oldest that match, beginning behind the id `before`; read `at_once` at a time."""
        given = {"status": status, "generator": generator, "label": label}
        wanted = {name: value for name, value in given.items() if value is not None}
        for ids in pages_of_ids(self, owner, before or "", wanted, at_once):
            jobs = (job for job in self.jobs(ids) if job is not None)
            # It may have begun or ended since it was found.
            yield from (job for job in jobs if all(getattr(job, name) == value for name, value in wanted.items()))

    def cancel(
        self, job_id: str, *, because: str = "canceled by the caller"
    ) -> Literal["canceled", "ended", "missing"]:
        """Ends a waiting or running job; its work goes on while others wait for it."""
        error = {"code": "canceled", "message": because, "retryable": False}
        return self.run("cancel", id=job_id, error=json.dumps(error), retention_s=self.limits.job_retention_s)

    def order(self, generator: str, generation_key: str, options: RenditionOptions | PreviewOptions) -> bool:
        """Asks for a rendition without a job behind it, and keeps whatever makes it wanted for AWAITED_MS from now.

        False when it is on its way already and its message need not be sent.
        """
        fields = rendition_fields(generator, generation_key, options)
        key = options.key(generation_key)
        return bool(self.run(
            "order", key=key, queue="render", fields=fields, send_after_ms=SEND_AFTER_MS, wait_ms=AWAITED_MS
        ))  # fmt: skip

    def in_flight(self, key: str) -> bool:
        """Whether this work waits or runs: what has its verdict is over, even while its jobs are being ended."""
        return self.redis.hget(f"{self.prefix}:work:{key}", "status") not in (None, "ending")

    def last_error(self, key: str) -> dict[str, Any] | None:
        """Why the last try of an ordered rendition failed; remembered for a minute."""
        text = self.redis.get(f"{self.prefix}:error:{key}")
        return json.loads(text) if text else None

    # What workers do ----------------------------------------------------------------------------------------------

    def claim(self, key: str, worker: str, *, task_id: str = "") -> Work | None:
        """Makes waiting work this worker's own, or answers None: done, gone, or somebody else's.

        `task_id` is the message's that led here. Work that cannot be read, as of another version, fails.
        """
        fields = pairs(self.run("claim", key=key, worker=worker, task_id=task_id))
        if not fields:
            return None
        try:
            return work_from(key, fields)
        except _UNREADABLE as error:
            verdict = GenerationFailed(f"the stored work cannot be read: {type(error).__name__}: {error}")
            self.fail(Unread(key, fields["token"]), verdict, max_attempts=1)
            return None

    def progress(self, work: Claim, stage: str, percent: int) -> Literal["ok", "canceled", "stale"]:
        return self.run("progress", key=work.key, token=work.token, stage=stage, progress=str(percent))

    def complete_generation(
        self, work: Work, served: Served, *, generate_s: float, timings: Mapping[str, float]
    ) -> list[Work] | None:
        """The mesh is archived: answers the renditions now due, claimed by this worker; None for a stale claim.

        Beyond HAND_OVER renditions, the rest goes to the render queue.
        """
        answer = self.run(
            "complete_generation",
            key=work.key, token=work.token, cache=served, generate_s=generate_s, timings=json.dumps(timings),
            hand_over=HAND_OVER,
        )  # fmt: skip
        if answer == "stale":
            return None
        left, *handed = answer
        if left:
            self._end(work.key)
        return [work_from(key, pairs(fields)) for key, *fields in handed]

    def complete_rendition(
        self, work: Work, result: Mapping[str, Any], served: Served, *, timings: Mapping[str, float],
        cost_s: float | None = None,
    ) -> int | None:  # fmt: skip
        """The rendition is archived: ends every waiting job; answers how many, None when the claim is stale.

        `cost_s` is what generating the mesh took, whenever that was; None when it is not known.
        """
        answer = self.run(
            "complete_rendition",
            key=work.key, token=work.token, result=json.dumps(result), cache=served, cost_s=seconds_text(cost_s),
            timings=json.dumps({**work.timings, **timings}), **self._step,
        )  # fmt: skip
        if answer == "stale":
            return None
        ended, left = answer
        return ended + (self._end(work.key) if left else 0)

    def fail(
        self, work: Claim, error: JobError, *, max_attempts: int, delay_s: float = 0.0
    ) -> Literal["requeued", "failed", "stale"]:
        """Notes that a try went wrong: a retryable error puts the work back while tries are left."""
        fate = self.run(
            "fail",
            key=work.key, token=work.token, error=json.dumps(error.as_dict()), retryable=error.retryable,
            max_attempts=max_attempts, delay_ms=int(delay_s * 1000), **self._step,
        )  # fmt: skip
        return self._finished(work.key, fate)

    def release(self, work: Claim) -> Literal["dropped", "requeued", "stale"]:
        """Lets go of a claim without a verdict: canceled, or this worker is shutting down."""
        return self.run("release", key=work.key, token=work.token)

    def interrupted(
        self, work: Claim, error: JobError, *, max_attempts: int
    ) -> Literal["dropped", "requeued", "failed", "stale"]:
        """Lets go of a claim whose work was not to blame for its end: the first time is no attempt, all others are, and
        the last one fails with `error`."""
        fate = self.run(
            "release", key=work.key, token=work.token, interrupted=True, max_attempts=max_attempts,
            error=json.dumps(error.as_dict()), **self._step,
        )  # fmt: skip
        return self._finished(work.key, fate)

    def decline(
        self, work: Work, error: JobError, *, wait_s: float
    ) -> Literal["dropped", "requeued", "failed", "stale"]:
        """Gives work back that this worker cannot do, for another; it fails when nobody has offered to for `wait_s`."""
        least_ms, most_ms = DECLINED_MS
        revision = work.request.revision if work.request else ""
        fate = self.run(
            "decline", key=work.key, token=work.token, offer=f"{work.generator} {revision}", wait_ms=int(wait_s * 1000),
            least_ms=least_ms, most_ms=most_ms, error=json.dumps(error.as_dict()), **self._step,
        )  # fmt: skip
        return self._finished(work.key, fate)

    @property
    def _step(self) -> dict[str, int]:
        return {"at_once": self.limits.at_once, "retention_s": self.limits.job_retention_s}

    def _finished(self, key: str, fate: str) -> Any:
        """`failed` instead of `failing`, once the steps that were left are taken."""
        if fate != "failing":
            return fate
        self._end(key)
        return "failed"

    def _end(self, key: str) -> int:
        """The steps of an ending after its first one; answers how many jobs they ended."""
        ended, left = 0, True
        while left:
            _key, count, left = self.run("end", key=key, far_ms=FAR_MS, **self._step)
            ended += count
        return ended

    # What the watch does ------------------------------------------------------------------------------------------

    def due(self, *, limit: int = 100, only: str | None = None) -> list[Work]:
        """Waiting works whose message is to be sent now; each is due again after SEND_AFTER_MS unless it was `sent`."""
        answers = self.run(
            "due", limit=limit, again_ms=SEND_AFTER_MS, far_ms=FAR_MS, **({"only": only} if only else {})
        )
        return _to_send(answers)

    def sent(self, work: Work) -> None:
        """Notes that the broker has the message of this work."""
        self.run("sent", key=work.key, task_id=work.task_id)

    def overdue(self, queue: Queue, *, limit: int = 100, alive_s: float = 10.0) -> Overdue:
        """Raises: redis.RedisError. A worker counts as alive for `alive_s` after each heartbeat."""
        messages, idle_workers, answers = self.run(
            "overdue", queue=queue, after_ms=SEND_AGAIN_MS, limit=limit, alive_ms=int(alive_s * 1000)
        )
        return Overdue(_to_send(answers), messages, idle_workers)

    def note_stall(self, queue: Queue, works: int) -> None:
        """Remembers for `STALL_SHOWN_S` that works wait beside an idle worker, and counts that they are sent again."""
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.set(f"{self.prefix}:stalled:{queue}", works, ex=STALL_SHOWN_S)
        pipeline.hincrby(f"{self.prefix}:counters", f"stalled:{queue}", works)
        pipeline.execute()

    def stalls(self) -> dict[Queue, int]:
        """Works that wait beside an idle worker, per queue."""
        names = [f"{self.prefix}:stalled:{queue}" for queue in QUEUES]
        return {queue: int(works or 0) for queue, works in zip(QUEUES, self.redis.mget(names), strict=True)}

    def age(self, step_s: float, *, limit: int = 100) -> int:
        """Moves up who has waited for long: from low after one `step_s`, from normal after two; answers how many."""
        return self.run("age", queues=QUEUES, step_ms=int(step_s * 1000), limit=limit)

    def end_left_over(self, *, steps: int = 400) -> int:
        """Continues endings whose process has died between two steps, at most so many; answers how many jobs ended."""
        ended, key = 0, None
        for _ in range(steps):
            answer = self.run("end", far_ms=FAR_MS, **self._step, **({"key": key} if key else {}))
            if not answer:
                break
            key, count, left = answer
            ended += count
            key = key if left else None
        return ended

    def depths(self) -> dict[Queue, int]:
        """Works that wait for a worker, per queue."""
        pipeline = self.redis.pipeline(transaction=False)
        for queue in QUEUES:
            pipeline.zcard(f"{self.prefix}:queued:{queue}")
        return dict(zip(QUEUES, pipeline.execute(), strict=True))


def _to_send(answers: list[list[str]]) -> list[Work]:
    """Works with the id of their next message: each message has one of its own, since every worker discards a revoked
    id, and teaches it to those that come later."""
    works = [work for key, *fields in answers if (work := _sendable(key, pairs(fields))) is not None]
    return [replace(work, task_id=str(uuid.uuid4())) if work.messages else work for work in works]


def _sendable(key: str, fields: dict[str, str]) -> Work | None:
    """Work, or as much of it as a message needs: the worker who cannot read the rest ends it in words."""
    for known in (fields, fields | {"request": "", "options": "", "timings": ""}):
        try:
            return work_from(key, known)
        except _UNREADABLE as error:
            log.error("work %s cannot be read: %s: %s", key, type(error).__name__, error)
    return None
