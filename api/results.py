"""Meshes and pictures of finished jobs in any form: from the tiers, or rendered while the caller waits."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi import APIBlueprint, Tag

from api.auth import caller
from api.conditional import conditional, preconditions
from api.errors import Problem, unavailable
from api.jobs import known
from api.places import place
from api.problems import problems
from api.schemas import JobPath, ModelPath, ModelQuery, PreviewQuery
from api.services import Services, services
from cache import MISSING
from cache.tiered import Found
from jobs.records import Job
from jobs.requests import FORMATS, MEDIA_TYPES, PreviewOptions, RenditionOptions
from jobs.states import served_from

results = APIBlueprint(
    "results", __name__, url_prefix="/api/jobs", abp_tags=[Tag(name="results")],
    abp_responses=problems(404, 409, 410, 422, 502, 503),
)  # fmt: skip

RENDER_WAIT_S = 25.0


@results.get("/<job_id>/model.<format>", responses={200: {"content": {MEDIA_TYPES[kind]: {} for kind in FORMATS}}})
def read_model(path: ModelPath, query: ModelQuery) -> Response:
    """The mesh, in the job's form or another; supports `If-None-Match`, `If-Match`, `Range` and `If-Range`."""
    house = services()
    job = finished(house, path.job_id)
    return deliver(house, job, model_options(job, path, query))


@results.get("/<job_id>/preview.png", responses={200: {"content": {"image/png": {}}}})
def read_preview(path: JobPath, query: PreviewQuery) -> Response:
    """A shaded picture of the mesh."""
    house = services()
    return deliver(house, finished(house, path.job_id), PreviewOptions(size_px=query.size_px))


def model_options(job: Job, path: ModelPath, query: ModelQuery) -> RenditionOptions:
    """The job's own options, but for what this request says. Another format brings its own up axis."""
    asked = query.model_dump(exclude_none=True) | {"format": path.format}
    if path.format != job.options.format:
        asked = {"up_axis": None} | asked
    return job.options.model_copy(update=asked)


def finished(house: Services, job_id: str) -> Job:
    """Raises: Problem 404, 409."""
    job = known(house, job_id)
    if job.error:
        raise Problem(409, f"job_{job.status}", f"the job has no result: {job.error['message']}")
    if job.status != "succeeded":
        detail = f"the job is {job.status}; wait for it with ?wait=30"
        raise Problem(409, "not_ready", detail, retryable=True, retry_after_s=1)
    return job


def deliver(house: Services, job: Job, options: RenditionOptions | PreviewOptions) -> Response:
    """The rendition's bytes, with a strong ETag: the same URL always answers the same bytes.

    Raises: Problem: 412 or 416, and those of `rendered`.
    """
    key = options.key(job.key)
    if request.if_none_match or request.if_match:
        described = house.cache.describe(key)  # decides without reading the value
        if described is not MISSING and preconditions(request, described.meta["result"]["sha256"]) == 304:
            return _identified(Response(status=304), described.meta)
    found = house.cache.fetch(key)
    if not isinstance(found, Found):
        found = rendered(house, job, options)
    response = _identified(Response(found.data, mimetype=MEDIA_TYPES[options.format]), found.meta)
    response.headers["Content-Disposition"] = f'attachment; filename="{job.generator}-{job.id[:12]}.{options.format}"'
    if told := found.meta["result"].get("notices"):
        response.headers["X-Notice"] = "; ".join(notice["message"] for notice in told)
    response.headers["X-Cache"] = served_from(found.tier) if found.tier else "MISS"
    return conditional(request, response)


def _identified(response: Response, meta: dict[str, Any]) -> Response:
    """With the headers that a 304 repeats (RFC 9110 §15.4.5)."""
    response.set_etag(meta["result"]["sha256"])
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def rendered(house: Services, job: Job, options: RenditionOptions | PreviewOptions) -> Found:
    """Has a render worker make it, and waits.

    Raises: Problem 410 when the mesh is gone, 502 when it failed, 503 when it takes longer than the wait.
    """
    key = options.key(job.key)
    if house.store.order(job.generator, job.key, options):
        for work in house.store.due(only=key):
            house.sender.send(work)
            house.store.sent(work)
    with place(caller().owner) as there_is_one:
        wait_s = RENDER_WAIT_S if there_is_one else 0
        done = not house.feed.wait_for(
            lambda: house.store.in_flight(key), lambda there: not there, key, timeout_s=wait_s
        )
    if not done:
        raise unavailable("rendering", "the rendition is being made; ask again in a moment", retry_after_s=2)
    found = house.cache.fetch(key)
    if isinstance(found, Found):
        return Found(found.data, found.meta, "")
    error = house.store.last_error(key)
    if error is None:  # it was dropped, or Redis lost it: the mesh itself may well be there
        raise unavailable("rendering", "the rendition was not made; ask again", retry_after_s=2)
    raise Problem(410 if error["code"] == "result_gone" else 502, error["code"], error["message"])
