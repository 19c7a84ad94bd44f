"""Submit, follow, list and cancel jobs."""

from __future__ import annotations

from itertools import islice
from typing import Any

from flask import Response, make_response, request
from flask_openapi import APIBlueprint, Tag

from api.auth import caller
from api.errors import Problem, not_found, unavailable
from api.forwarded import links_from
from api.ordering import read_order
from api.places import place
from api.problems import problems
from api.schemas import JobBody, JobList, JobPath, JobQuery, JobsQuery, OrderForm
from api.services import Services, services
from jobs.intake import Order
from jobs.records import Job

jobs = APIBlueprint("jobs", __name__, url_prefix="/api/jobs", abp_tags=[Tag(name="jobs")], abp_responses=problems(503))

_ORDER_SCHEMA = OrderForm.model_json_schema()


def order_body(field: str, schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """OpenAPI's request body: the form with a field for pictures, whose schema depends on the media type."""
    return {
        "content": {
            media_type: {
                "schema": {
                    **_ORDER_SCHEMA,
                    "properties": {field: schema, **_ORDER_SCHEMA["properties"]},
                    "required": [field],
                }
            }
            for media_type, schema in schemas.items()
        }
    }


_IMAGE = {"multipart/form-data": {"type": "string", "format": "binary"}, "application/json": {"type": "string"}}
_ORDER_BODY = order_body("image", _IMAGE)


@jobs.post("", request_body=_ORDER_BODY, responses={200: JobBody, 202: JobBody, **problems(400, 409, 413, 415, 422)})
def submit_job() -> Response:
    """Submit a picture: 200 when the result exists already, else 202."""
    house = services()
    image, order = read_order(request)
    return job_answer(accept(house, image, order, owner=caller().owner), accepted=True)


@jobs.get("", responses={200: JobList, **problems(422)})
def list_jobs(query: JobsQuery) -> dict[str, Any]:
    """The newest jobs first, page by page."""
    wanted = query.model_dump(include={"status", "generator", "label"}, exclude_none=True)
    me = caller()
    found = services().store.newest(
        owner=None if me.admin else me.owner, before=query.cursor, at_once=query.limit + 1, **wanted
    )
    page = list(islice(found, query.limit + 1))
    more = len(page) > query.limit
    page = page[: query.limit]
    body = JobList(jobs=[JobBody.of(job, links_from()) for job in page], next_cursor=page[-1].id if more else None)
    return body.model_dump(mode="json")


@jobs.get("/<job_id>", responses={200: JobBody, **problems(404, 422)})
def read_job(path: JobPath, query: JobQuery) -> Response:
    """One job; with `wait`, once it has ended or the seconds have passed; at once when too many wait already."""
    house = services()
    job = known(house, path.job_id)
    if query.wait and not job.ended:
        with place(caller().owner) as there_is_one:
            job = house.feed.wait_for(
                lambda: known(house, path.job_id), lambda now: now.ended, path.job_id,
                timeout_s=query.wait if there_is_one else 0,
            )  # fmt: skip
    return job_answer(job)


@jobs.delete("/<job_id>", responses={200: JobBody, **problems(404, 409, 422)})
def cancel_job(path: JobPath) -> Response:
    """Cancel a waiting or running job; others that wait for the same generation are not disturbed."""
    house = services()
    known(house, path.job_id)
    answer = house.store.cancel(path.job_id)
    if answer == "missing":
        raise not_found(path.job_id)
    job = known(house, path.job_id)
    if answer == "ended":
        raise Problem(409, "job_ended", f"the job has ended already: {job.status}")
    return job_answer(job)


def accept(house: Services, image: bytes, order: Order, *, owner: str) -> Job:
    """Raises: Problem 409, 503; JobError."""
    outcome, job_id = house.intake.submit(image, order, owner=owner)
    if outcome == "conflict":
        raise Problem(409, "idempotency_conflict", "this Idempotency-Key was used with another body; use a new one")
    if outcome == "full":
        limit = house.settings.queue_limit
        raise unavailable("queue_full", f"{limit} works wait already (QUEUE_LIMIT)", retry_after_s=30)
    return known(house, job_id)


def known(house: Services, job_id: str) -> Job:
    """The job, if this caller may see it; to others it does not exist.

    Raises: Problem 404.
    """
    job = house.store.job(job_id)
    if job is None or not caller().may_see(job.owner):
        raise not_found(job_id)
    return job


def job_answer(job: Job, *, accepted: bool = False) -> Response:
    """The job's body, and in headers where it is and how it was served."""
    body = JobBody.of(job, links_from())
    response = make_response(body.model_dump_json(), 202 if accepted and not job.ended else 200)
    response.content_type = "application/json"
    response.headers["Cache-Control"] = "no-store"
    if job.cache or accepted:
        response.headers["X-Cache"] = job.cache or "MISS"
    if accepted:
        response.headers["Location"] = body.urls.self
    return response
