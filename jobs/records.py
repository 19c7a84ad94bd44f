"""What the job store hands out: jobs as callers see them, and works as workers hold them.

It turns Redis' strings into values and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from jobs.estimates import Line, eta_s
from jobs.requests import GenerationRequest, PreviewOptions, RenditionOptions
from jobs.states import ENDED, Served, Status

Queue = Literal["generate", "render"]
QUEUES: tuple[Queue, ...] = ("generate", "render")
PRIORITIES = {
    "high": 1,
    "normal": 2,
    "low": 3,
}  # 0, urgent: what has waited already, and what a caller holds the line for
PRIORITY_NAMES = {number: name for name, number in PRIORITIES.items()}


@dataclass(frozen=True, slots=True)
class Job:
    """One submission as it stands. Times are aware datetimes in UTC; progress is in percent.

    `saved_s` is what generating the mesh had cost, when this job did not pay for it; 0 when it did; None when that is
    not known (yet).
    """

    id: str
    owner: str
    task_id: str | None
    status: Status
    stage: str | None
    progress: int
    queue_position: int | None
    eta_s: float | None
    generator: str
    params: dict[str, Any]
    seed: int
    options: RenditionOptions
    priority: str
    key: str
    rendition_key: str
    cache: Served | None
    saved_s: float | None
    attempts: int
    label: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    timings: dict[str, float]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    webhook_url: str | None
    rev: str

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Work:
    """One generation or rendition in flight; `token` fences the claim that holds it, empty while it waits.

    `task_id` is that of the message that runs it, else of the newest; `messages` is how many went out so far.
    """

    key: str
    kind: Literal["generation", "rendition"]
    queue: Queue
    generator: str
    task_id: str
    priority: int
    attempts: int
    token: str
    anew: bool
    generation_key: str
    request: GenerationRequest | None
    options: RenditionOptions | PreviewOptions | None
    cache: Served | None
    timings: dict[str, float]
    created_at_ms: int
    started_at_ms: int
    request_id: str
    messages: int = 0


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Redis' flat list of a hash as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def options_from(document: str) -> RenditionOptions | PreviewOptions:
    form = json.loads(document)
    return PreviewOptions(**form) if form.get("format") == "png" else RenditionOptions(**form)


def work_from(key: str, fields: Mapping[str, str]) -> Work:
    return Work(
        key=key,
        kind=fields["kind"],  # type: ignore[arg-type]
        queue=fields["queue"],  # type: ignore[arg-type]
        generator=fields["generator"],
        task_id=fields["task_id"],
        priority=int(fields["priority"]),
        attempts=int(fields["attempts"]),
        token=fields.get("token", ""),
        anew=fields.get("anew") == "1",
        generation_key=fields["generation"],
        request=GenerationRequest.model_validate_json(fields["request"]) if fields.get("request") else None,
        options=options_from(fields["options"]) if fields.get("options") else None,
        cache=fields.get("cache") or None,  # type: ignore[arg-type]
        timings=json.loads(fields.get("timings") or "{}"),
        created_at_ms=int(fields["created_at"]),
        started_at_ms=int(fields.get("started_at") or 0),
        request_id=fields.get("request_id", ""),
        messages=int(fields.get("messages") or 0),
    )


def job_from(
    told: Sequence[str], told_work: Sequence[str], place: int, usual: str, line: tuple[int, int, str], *, now_ms: int
) -> Job:
    """A job and the work it waits for, as one view of what `lua/read.lua` answers for it."""
    fields, work = pairs(told), pairs(told_work)
    status: Status = fields["status"]  # type: ignore[assignment]
    if status == "queued" and work.get("status") in ("running", "ending"):
        status = "running"  # also while the jobs that wait with it are being ended, step by step
    started_at = fields.get("started_at") or work.get("started_at")
    request = json.loads(fields["request"])
    return Job(
        id=fields["id"],
        owner=fields["owner"],
        task_id=(fields.get("task_id") and work.get("task_id")) or fields.get("task_id") or None,
        status=status,
        stage=(work.get("stage") or None) if status == "running" else None,
        progress=100 if status == "succeeded" else int(work.get("progress", "0")),
        queue_position=place if status == "queued" and place >= 0 else None,
        eta_s=eta_s(work, now_ms, _seconds(usual), _line(place, *line)),
        generator=fields["generator"],
        params=request["params"],
        seed=request["seed"],
        options=RenditionOptions.model_validate_json(fields["options"]),
        priority=PRIORITY_NAMES[int(fields["priority"])],
        key=fields["generation"],
        rendition_key=fields["rendition"],
        cache=fields.get("cache") or None,  # type: ignore[arg-type]
        saved_s=_seconds(fields.get("saved_s")),
        attempts=int(fields.get("attempts") or work.get("attempts") or 0),
        label=fields.get("label") or None,
        created_at=_instant(fields["created_at"]),  # type: ignore[arg-type]
        started_at=_instant(started_at),
        finished_at=_instant(fields.get("finished_at")),
        timings=_timings(fields),
        result=json.loads(fields["result"]) if fields.get("result") else None,
        error=json.loads(fields["error"]) if fields.get("error") else None,
        webhook_url=fields.get("webhook_url") or None,
        rev=f"{fields['rev']}-{work.get('token', '')}-{work.get('rev', '')}",
    )


def _instant(ms: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(ms) / 1000, UTC) if ms else None


def _timings(fields: Mapping[str, str]) -> dict[str, float]:
    timings: dict[str, float] = json.loads(fields.get("timings") or "{}")
    created, started, finished = (int(fields.get(name) or 0) for name in ("created_at", "started_at", "finished_at"))
    if started:
        timings["queued_s"] = max(0.0, (started - created) / 1000)
    if finished:
        timings["total_s"] = max(0.0, (finished - created) / 1000)
    return timings


def _line(place: int, workers: int, busy: int, pace: str) -> Line:
    return Line(max(place, 0), workers, busy, _seconds(pace))


def _seconds(text: str | None) -> float | None:
    return float(text) if text else None
