"""Many pictures in one call: one job each, each judged alone, all with the same fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from flask import Request, Response, request
from flask_openapi import APIBlueprint, Tag
from werkzeug.exceptions import RequestEntityTooLarge

from api.auth import caller
from api.errors import AWAY, Problem, problem_from, problem_of, unexpected
from api.forwarded import links_from
from api.jobs import accept, order_body
from api.limits import charge_pictures
from api.ordering import decode_base64, file_name, order_from, text_fields
from api.problems import problems
from api.schemas import BatchBody, JobBody
from api.services import Services, services
from jobs.errors import BadParameters, FieldError, JobError
from jobs.intake import Order

batch = APIBlueprint("batch", __name__, abp_tags=[Tag(name="jobs")], abp_responses=problems(503))

MOST_PICTURES = 100
_PICTURE = {"multipart/form-data": {"type": "string", "format": "binary"}, "application/json": {"type": "string"}}
_PICTURES = {
    media_type: {"type": "array", "items": picture, "minItems": 1, "maxItems": MOST_PICTURES}
    for media_type, picture in _PICTURE.items()
}

Row = dict[str, Any]


class Picture(NamedTuple):
    """One picture of a batch, read when its turn comes, and the name of its file."""

    read: Callable[[], bytes]
    name: str | None = None


@batch.post(
    "/api/jobs/batch",
    request_body=order_body("images", _PICTURES),
    responses={200: BatchBody, 202: BatchBody, **problems(400, 413, 415, 422)},
)
def submit_batch() -> Response:
    """Submit up to 100 pictures: 202 when one of them has to be made, 200 when all that were taken exist already.

    A row is a job's body, or `{"error": problem}` for a picture that was refused; the call as a whole fails only for
    what concerns all of them. `Idempotency-Key` holds for each picture by its place. Each picture counts as a request
    for `RATE_LIMIT`.
    """
    house = services()
    images, order = read_batch(request, house)
    charge_pictures(len(images))
    rows = list(taken(house, images, order))
    waiting = any(row.get("status") in ("queued", "running") for row in rows)
    return Response(json.dumps({"jobs": rows}), 202 if waiting else 200, content_type="application/json")


def read_batch(request: Request, house: Services) -> tuple[Sequence[Picture], Order]:
    """The pictures, and what to do with all of them.

    Raises:
        Problem: 400, 413, 415, or 422 naming each field.
        BadParameters: no pictures, or too many.
    """
    if request.mimetype == "multipart/form-data":
        images, fields = _from_form(request, int(house.settings.max_batch_mb * 2**20))
    elif request.mimetype == "application/json":
        images, fields = _from_json(request)
    else:
        said = request.mimetype or "none"
        raise Problem(415, "unsupported_media_type", f"send multipart/form-data or application/json, not {said}")
    if not 0 < len(images) <= MOST_PICTURES:
        raise BadParameters([FieldError("images", f"holds {len(images)} pictures; the limit is {MOST_PICTURES}")])
    return images, order_from(fields, request.headers)


def taken(house: Services, images: Sequence[Picture], order: Order) -> Iterator[Row]:
    """One row per picture. A service that is away refuses the rest unasked, and the call when it took none.

    Raises: Problem: nothing was taken, for a reason that will pass.
    """
    away: Problem | None = None
    accepted = False
    for number, picture in enumerate(images):
        if away is None:
            try:
                yield _taken(house, picture.read(), _placed(order, number, picture.name))
                accepted = True
                continue
            except JobError as error:
                refusal = problem_from(error)
            except Problem as problem:
                refusal = problem
            except AWAY as error:
                refusal = problem_of(error)
            except Exception as error:  # what nobody foresaw about one picture must not take the others' jobs away
                refusal = unexpected(error)
            away = refusal if refusal.status == 503 else None
        if away is not None and not accepted:
            raise away
        yield {"error": (away or refusal).body()}


def _taken(house: Services, image: bytes, order: Order) -> Row:
    job = accept(house, image, order, owner=caller().owner)
    return JobBody.of(job, links_from()).model_dump(mode="json")


def _placed(order: Order, number: int, name: str | None) -> Order:
    key = order.idempotency_key
    return replace(order, idempotency_key=f"{key}\0{number}" if key else None, label=order.label or name)


def _from_form(request: Request, limit_bytes: int) -> tuple[list[Picture], dict[str, Any]]:
    request.max_content_length = limit_bytes  # files go to disk beyond half a megabyte each, so many take no memory
    try:
        files, fields = request.files, text_fields(request)
    except RequestEntityTooLarge:
        detail = f"the upload is {request.content_length} bytes; the limit is {limit_bytes} (MAX_BATCH_MB)"
        raise Problem(413, "batch_too_large", detail) from None
    strangers = [name for name in files if name != "images"]
    if strangers:
        raise BadParameters([FieldError(name, "is not a known file field; send `images`") for name in strangers])
    return [Picture(upload.read, file_name(upload)) for upload in files.getlist("images")], fields


def _from_json(request: Request) -> tuple[list[Picture], dict[str, Any]]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Problem(400, "bad_json", "the body is not a JSON object")
    images = body.pop("images", None)
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise BadParameters([FieldError("images", "is required: a list of pictures as base64 or as data URIs")])
    return [Picture(lambda text=image: decode_base64(text, field="images")) for image in images], body
