"""Following a job to its end: by long polls, or by its events. How a job looks to a person is not decided here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from client.core import Core, job_path
from client.errors import JobCanceled, JobFailed, NotReachable, UnexpectedAnswer, WaitTimeout
from client.events import EventParser, ServerEvent
from client.models import Job
from client.retries import RetryPolicy
from client.wire import Call, Emit, Flow, Open, Read, Request, Sleep, TransportFailure

HOLD_S = 25.0
HOLD_WITH_PROGRESS_S = 1.0
SHORTEST_POLL_S = 0.2
EVENT_SILENCE_S = 60.0


def checked(job: Job) -> Job:
    """The job, if it ended well.

    Raises:
        JobFailed: it ended `failed`.
        JobCanceled: it ended `canceled`.
    """
    if job.status == "failed":
        raise JobFailed(job)
    if job.status == "canceled":
        raise JobCanceled(job)
    return job


def wait(
    core: Core, job: Job | str, timeout_s: float | None = None, on_progress: Callable[[Job], Any] | None = None
) -> Flow[Job]:
    """Poll until the job ends; with `on_progress` the polls are short and each change is told.

    Raises:
        JobFailed, JobCanceled: how it ended.
        WaitTimeout: it had not ended after `timeout_s`.
    """
    if isinstance(job, Job) and job.ended:
        return checked(job)
    started_s = core.clock()
    told: Job | None = None
    while True:
        asked_s = core.clock()
        left_s = None if timeout_s is None else max(0.0, started_s + timeout_s - asked_s)
        current = yield from core.job(job, _hold_s(left_s, on_progress is not None), _patient(core.retries))
        if on_progress is not None and current != told:
            yield Call(on_progress, current)
            told = current
        if current.ended:
            return checked(current)
        if timeout_s is not None and left_s == 0.0:
            raise WaitTimeout(current, timeout_s)
        yield from _no_faster_than(SHORTEST_POLL_S, core.clock() - asked_s)


def _hold_s(left_s: float | None, with_progress: bool) -> float:
    hold_s = HOLD_WITH_PROGRESS_S if with_progress else HOLD_S
    return hold_s if left_s is None else min(hold_s, round(left_s, 3))


def _no_faster_than(period_s: float, passed_s: float) -> Flow[None]:
    # A service that cannot hold the answer (it is stopping, or out of threads) must not be asked in a tight loop.
    if passed_s < period_s:
        yield Sleep(period_s - passed_s)


def _patient(retries: RetryPolicy) -> RetryPolicy:
    # A restart of the service takes longer than one request should be repeated; who waits for a job has that time.
    return replace(retries, attempts=retries.attempts * 2)


def stream(core: Core, job: Job | str) -> Flow[None]:
    """Emit the job at each change until it has ended; a broken stream is taken up where it broke.

    Raises:
        NotReachable: the stream broke too often without bringing anything.
    """
    parser = EventParser()
    failures = 0
    while True:
        yield from _open(core, job, parser.last_id)
        cause: Exception | str = "the event stream ended before the job did"
        try:
            while chunk := (yield Read()):
                for event in parser.feed(chunk):
                    failures = 0
                    current = _job(event)
                    yield Emit(current)
                    if current.ended:
                        return
        except TransportFailure as failure:
            cause = failure.cause
        failures += 1
        yield from core.pause(failures, NotReachable(core.url, cause), parser.retry_s, _patient(core.retries))
        parser = EventParser(parser.last_id)


def _open(core: Core, job: Job | str, last_id: str) -> Flow[None]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    request = Request("GET", job_path(job, "/events"), headers=headers, timeout_s=EVENT_SILENCE_S)
    answer = yield from core.exchange(Open(request), _patient(core.retries))
    kind = answer.headers.get("content-type", "")
    if not kind.startswith("text/event-stream"):
        raise UnexpectedAnswer(f"the job's events should be text/event-stream and are {kind or 'untyped'}")


def _job(event: ServerEvent) -> Job:
    try:
        return Job.from_body(json.loads(event.data))
    except ValueError as error:
        raise UnexpectedAnswer(f"cannot read the event {event.id or event.name}: {error}") from error
