"""What the service answers, as frozen values; fields this version does not know stay readable in `body`.

Times are UTC, lengths in mm, sizes in bytes, durations in seconds. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from client.errors import UnexpectedAnswer

ENDED = frozenset({"succeeded", "failed", "canceled"})


def as_mapping(body: object, what: str) -> Mapping[str, Any]:
    """`body` as a JSON object.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    if isinstance(body, Mapping):
        return body
    raise UnexpectedAnswer(f"{what} should be a JSON object and is {type(body).__name__}; is this URL Orfeas?")


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Builds a dataclass from a JSON object: known fields by name, the rest left in `body`."""

    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_body(cls, body: object) -> Self:
        """Read one JSON object.

        Raises:
            UnexpectedAnswer: it is no object, or lacks a field that cannot be done without.
        """
        source = as_mapping(body, cls.__name__)
        names = {spec.name for spec in fields(cls)} - {"body"}
        known = {name: source[name] for name in names if source.get(name) is not None}
        try:
            return cls(**cls._convert(known), body=dict(source))
        except (TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"cannot read the service's {cls.__name__}: {error}") from error

    @classmethod
    def _convert(cls, known: dict[str, Any]) -> dict[str, Any]:
        return known


@dataclass(frozen=True)
class Notice(_Answer):
    """What was left out of a mesh, guessed or done otherwise than asked."""

    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Result(_Answer):
    """The finished mesh in the job's own form."""

    format: str
    size_bytes: int = 0
    vertices: int = 0
    faces: int = 0
    watertight: bool = False
    volume_mm3: float | None = None
    size_mm: tuple[float, ...] = ()
    sha256: str = ""
    notices: tuple[Notice, ...] = ()

    @classmethod
    def _convert(cls, known: dict[str, Any]) -> dict[str, Any]:
        notices = tuple(Notice.from_body(notice) for notice in known.get("notices", ()))
        return known | {"size_mm": tuple(known.get("size_mm", ())), "notices": notices}


@dataclass(frozen=True)
class JobFailure(_Answer):
    """Why a job failed; `retryable` says whether submitting it again can help."""

    code: str = "unknown"
    message: str = ""
    retryable: bool = False


@dataclass(frozen=True)
class Job(_Answer):
    """One submission as the service sees it now; `progress` is 0–100.

    `saved_s` is what generating the mesh once cost and this job did not: 0 for a MISS, `None` while unknown.
    """

    id: str
    status: str
    task_id: str | None = None
    stage: str | None = None
    progress: float = 0.0
    queue_position: int | None = None
    eta_s: float | None = None
    generator: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    cache: str | None = None
    saved_s: float | None = None
    attempts: int = 0
    label: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    result: Result | None = None
    error: JobFailure | None = None
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def format(self) -> str:
        """The format it was asked in: glb, obj, stl or ply."""
        return self.result.format if self.result else str(self.options.get("format", "glb"))

    @classmethod
    def _convert(cls, known: dict[str, Any]) -> dict[str, Any]:
        for name in ("created_at", "started_at", "finished_at"):
            if name in known:
                known[name] = datetime.fromisoformat(known[name])
        if "result" in known:
            known["result"] = Result.from_body(known["result"])
        if "error" in known:
            known["error"] = JobFailure.from_body(known["error"])
        return known


@dataclass(frozen=True)
class Refusal:
    """One picture of a batch that was not taken; `problem` is the service's RFC 9457 body."""

    index: int
    problem: Mapping[str, Any]


@dataclass(frozen=True)
class Generator(_Answer):
    """A way to make a mesh; `parameters` is the JSON schema of its parameters, with defaults."""

    name: str
    title: str = ""
    revision: str = ""
    default: bool = False
    needs: tuple[str, ...] = ()
    available: bool = True
    unavailable_because: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Health(_Answer):
    """The state of the service: Redis, works that wait per queue, and each worker as the service describes it."""

    status: str
    version: str = ""
    redis: str = ""
    queues: Mapping[str, int] = field(default_factory=dict)
    stalled: Mapping[str, int] = field(default_factory=dict)
    threads_gone: tuple[str, ...] = ()
    workers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class WebhookTry(_Answer):
    """One request to a webhook's receiver: its status, or why there was none."""

    at: datetime
    duration_ms: int = 0
    status_code: int | None = None
    error: str | None = None
    delivered: bool = False
    webhook_id: str | None = None

    @classmethod
    def _convert(cls, known: dict[str, Any]) -> dict[str, Any]:
        return known | {"at": datetime.fromisoformat(known["at"])} if "at" in known else known


@dataclass(frozen=True)
class WebhookLog(_Answer):
    """What became of a job's webhook; `url` and `status` are `None` when the job names none."""

    url: str | None = None
    status: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    tries: tuple[WebhookTry, ...] = ()

    @classmethod
    def _convert(cls, known: dict[str, Any]) -> dict[str, Any]:
        if "next_attempt_at" in known:
            known["next_attempt_at"] = datetime.fromisoformat(known["next_attempt_at"])
        return known | {"tries": tuple(WebhookTry.from_body(row) for row in known.get("tries", ()))}


@dataclass(frozen=True)
class CacheStats(_Answer):
    """Counters of the cache: totals of the fleet's local tier in `stats`, then each tier."""

    status: str = ""
    cache_enabled: bool = True
    timestamp: Any = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    archive: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CacheEntry(_Answer):
    """One entry of a tier."""

    key: str
    size_mb: float = 0.0
    timestamp: Any = None
    age_seconds: float | None = None
    access_count: int | None = None
    expires_at: Any = None
    expired: bool = False
    generator: str | None = None
    cost_seconds: float | None = None
