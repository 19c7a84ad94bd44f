"""Every JSON body that goes in or out, as pydantic models; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.records import Job
from jobs.requests import FORMATS, Format, MeshResult, RenditionOptions, Seed
from jobs.states import Served, Status
from jobs.webhooks import WebhookStatus

Priority = Literal["high", "normal", "low"]
JOB_ID_MAX = 64
JobId = Annotated[str, Field(max_length=JOB_ID_MAX, description="The job's id, 32 hex digits")]


class OrderForm(BaseModel):
    """What a submission may say beside the picture; every other field is a parameter of the generator."""

    model_config = ConfigDict(extra="allow")

    generator: Annotated[str, Field(max_length=64)] | None = Field(None, description="Default: the weight-free one")
    seed: Seed = Field(0, description="For generators that roll dice")
    format: Format = RenditionOptions.model_fields["format"].default
    size_mm: Annotated[float, Field(ge=0.001, le=10_000)] = Field(50.0, description="Longest side in mm")
    up_axis: Literal["y", "z"] | None = Field(None, description="Null: y for glb and obj, z for stl and ply")
    target_faces: Annotated[int, Field(ge=4, le=10_000_000)] | None = Field(
        None, description="Most faces; the result has more, with a notice, where fewer would show another shape"
    )
    priority: Priority = "normal"
    label: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="For you to find it again; by itself the name of the uploaded file"
    )
    webhook_url: Annotated[str, Field(max_length=2083)] | None = Field(
        None, description="Gets the job's body, signed, when the job ends"
    )

    def options(self) -> RenditionOptions:
        return RenditionOptions(**self.model_dump(include=set(RenditionOptions.model_fields)))


class JobPath(BaseModel):
    job_id: JobId


class JobQuery(BaseModel):
    wait: Annotated[float, Field(ge=0, le=60)] = Field(0, description="Hold the answer until the job ends, for seconds")


class JobsQuery(BaseModel):
    status: Status | None = None
    generator: Annotated[str, Field(max_length=64)] | None = None
    label: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        None, description="`next_cursor` of the page before"
    )


class ModelPath(JobPath):
    format: Format = Field(description=f"One of {', '.join(FORMATS)}")


class ModelQuery(BaseModel):
    """What is not given stays as the job said."""

    size_mm: Annotated[float, Field(ge=0.001, le=10_000)] | None = Field(None, description="Longest side in mm")
    up_axis: Literal["y", "z"] | None = None
    target_faces: Annotated[int, Field(ge=4, le=10_000_000)] | None = None


class PreviewQuery(BaseModel):
    size_px: Annotated[int, Field(ge=64, le=2048)] = Field(512, description="Side of the square picture in pixels")


class JobFailure(BaseModel):
    code: str
    message: str
    retryable: bool


class JobUrls(BaseModel):
    self: str
    events: str
    model: str
    preview: str
    view: str

    @classmethod
    def of(cls, job_id: str, format: str, links_from: str) -> JobUrls:
        """`links_from` stands before each path: PUBLIC_URL, a sub-path or nothing."""
        me = f"{links_from}/api/jobs/{job_id}"
        return cls(
            self=me,
            events=f"{me}/events",
            model=f"{me}/model.{format}",
            preview=f"{me}/preview.png",
            view=f"{me}/view",
        )


class JobBody(BaseModel):
    """A job as it stands. Times in RFC 3339 UTC, durations in seconds, lengths in mm."""

    id: JobId
    task_id: str | None = Field(description="The Celery task, as Flower shows it; null when none was needed")
    status: Status
    stage: str | None = Field(description="What a running job does just now")
    progress: Annotated[int, Field(ge=0, le=100)]
    queue_position: int | None = Field(description="Works ahead of it in its queue")
    eta_s: float | None = Field(
        description="Seconds to go, by what generations with the same parameters took lately, how far it is and who "
        "stands before it; null when that does not tell"
    )
    generator: str
    params: dict[str, Any]
    options: dict[str, Any]
    key: str = Field(description="The generation's content key")
    cache: Served | None = Field(description="How it was served; null until that is known")
    saved_s: float | None = Field(
        description="Seconds that generating the mesh once cost and this job did not: 0 for a MISS; null until it has "
        "succeeded, and when nobody noted the cost"
    )
    attempts: int
    label: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    timings: dict[str, float]
    result: MeshResult | None
    error: JobFailure | None
    urls: JobUrls

    @classmethod
    def of(cls, job: Job, links_from: str) -> JobBody:
        return cls(
            **{name: getattr(job, name) for name in cls.model_fields if name not in ("options", "urls", "params")},
            params=job.params | {"seed": job.seed},
            options=job.options.model_dump(mode="json") | {"priority": job.priority},
            urls=JobUrls.of(job.id, job.options.format, links_from),
        )


class JobList(BaseModel):
    jobs: list[JobBody]
    next_cursor: str | None


class GeneratorBody(BaseModel):
    name: str
    title: str
    revision: str
    default: bool
    needs: list[str]
    available: bool
    unavailable_because: str | None
    parameters: dict[str, Any] = Field(description="JSON schema of its parameters, with defaults")


class GeneratorList(BaseModel):
    generators: list[GeneratorBody]


class WorkerBody(BaseModel):
    id: str
    host: str
    queue: str
    device: str
    alive: bool
    ready: bool = Field(description="Alive, and its consumer takes messages of its queue")
    seen_s_ago: float
    doing: str | None
    memory_used_mb: float = Field(description="Of its device; 0 where the device does not tell")
    memory_total_mb: float
    threads_gone: list[str] = Field(description="Background threads of it that ended; its log says why")


class HealthBody(BaseModel):
    status: Literal["ok", "degraded"]
    version: str
    redis: Literal["ok", "down"]
    queues: dict[str, int] = Field(description="Works that wait, per queue")
    stalled: dict[str, int] = Field(description="Those of them that wait beside an idle worker; they are sent again")
    threads_gone: list[str] = Field(description="Background threads of the answering process that ended")
    notes: list[str] = Field(description="What an operator should look at, such as a cache index that was lost")
    workers: list[WorkerBody]


class ReadyBody(BaseModel):
    ready: bool


class FieldProblem(BaseModel):
    field: str
    message: str


class TryBody(BaseModel):
    """One request of a webhook: the receiver's status, or why there was none."""

    at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    delivered: bool = Field(description="Whether the receiver answered with 2xx")


class WebhookLogBody(BaseModel):
    """What became of a job's webhook so far."""

    url: str | None = Field(description="Null: the job names none")
    status: WebhookStatus | None
    attempts: int
    next_attempt_at: datetime | None
    tries: list[TryBody]


class WebhookSecretsBody(BaseModel):
    """What you verify webhooks with, by Standard Webhooks; two while the service changes over to a new one."""

    secrets: list[str]


class WebhookTestForm(BaseModel):
    url: Annotated[str, Field(max_length=2083, description="Gets the body of an invented job, signed as all are")]


class WebhookTestBody(TryBody):
    webhook_id: str


class ProblemBody(BaseModel):
    """RFC 9457: what went wrong and what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    errors: list[FieldProblem] | None = None


class BatchProblem(BaseModel):
    error: ProblemBody


class BatchBody(BaseModel):
    """One row per picture, in their order: its job, or why it was not taken."""

    jobs: list[JobBody | BatchProblem]
