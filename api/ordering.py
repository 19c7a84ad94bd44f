"""From an HTTP request to an order: multipart or JSON, one picture and flat fields."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from flask import Request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from api.access import request_id
from api.errors import Problem, invalid
from api.schemas import OrderForm
from api.services import services
from api.targets import checked_url
from jobs.errors import BadParameters, FieldError
from jobs.intake import Order

_DATA_URI = re.compile(r"\s*data:", re.IGNORECASE)
_IS_BASE64 = re.compile(r"[:;]\s*base64\s*$", re.IGNORECASE)
_IDEMPOTENCY_KEY_MAX = 255
_LABEL_MAX = 200


def read_order(request: Request) -> tuple[bytes, Order]:
    """The picture's bytes and what to do with it.

    Raises:
        Problem: 413, 415, or 422 naming each field.
        BadParameters: no picture.
    """
    if request.mimetype == "multipart/form-data":
        image, fields = _from_form(request)
    elif request.mimetype == "application/json":
        image, fields = _from_json(request.get_json(silent=True))
    else:
        said = request.mimetype or "none"
        raise Problem(415, "unsupported_media_type", f"send multipart/form-data or application/json, not {said}")
    return image, order_from(fields, request.headers)


def order_from(fields: Mapping[str, Any], headers: Mapping[str, str]) -> Order:
    """Raises: Problem 422."""
    try:
        form = OrderForm.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValidationError as error:
        raise invalid(error) from None
    key = headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= _IDEMPOTENCY_KEY_MAX:
        raise BadParameters([FieldError("Idempotency-Key", f"must have 1 to {_IDEMPOTENCY_KEY_MAX} characters")])
    return Order(
        generator=form.generator,
        params=form.model_extra or {},
        seed=form.seed,
        options=form.options(),
        priority=form.priority,
        label=form.label,
        webhook_url=checked_webhook(form.webhook_url) if form.webhook_url else None,
        idempotency_key=key,
        request_id=request_id(),
        anew="no-cache" in headers.get("Cache-Control", "").lower(),
    )


def checked_webhook(url: str, *, field: str = "webhook_url") -> str:
    """Raises: BadParameters: webhooks are off, or may not go there."""
    settings = services().settings
    if not settings.webhook_secret:
        raise BadParameters([FieldError(field, "this service sends no webhooks (WEBHOOK_SECRET)")])
    return checked_url(url, allow_private=settings.webhook_allow_private, field=field)


def _from_form(request: Request) -> tuple[bytes, dict[str, Any]]:
    try:
        uploads, fields = request.files.getlist("image"), text_fields(request)
    except RequestEntityTooLarge:
        raise too_large(request) from None
    strangers = [name for name in request.files if name != "image"]
    if strangers:
        raise BadParameters([FieldError(name, "is not a known file field; send `image`") for name in strangers])
    sent = len(uploads) + len(request.form.getlist("image"))
    if uploads and sent > 1:
        raise BadParameters([FieldError("image", f"was sent {sent} times; send many to /api/jobs/batch")])
    if not uploads:
        raise BadParameters([FieldError("image", "is required: a file field with the picture")])
    upload = uploads[0]
    if not fields.get("label"):
        fields["label"] = file_name(upload) or ""
    return upload.read(), fields


def text_fields(request: Request) -> dict[str, str]:
    """The fields of a form that are no files.

    Raises: BadParameters: one of them was sent twice, so that one of its values would be lost.
    """
    given = request.form.to_dict(flat=False)
    repeated = [FieldError(name, f"was sent {len(values)} times") for name, values in given.items() if len(values) > 1]
    if repeated:
        raise BadParameters(repeated)
    return request.form.to_dict()


def file_name(upload: FileStorage) -> str | None:
    """By what name a picture goes whose caller gave it no label: that of its file, without folders.

    What programs call bytes without a file, such as `image` or `blob`, is no name.
    """
    name = re.split(r"[\\/]", upload.filename or "")[-1]
    return name[-_LABEL_MAX:] if "." in name else None


def _from_json(body: Any) -> tuple[bytes, dict[str, Any]]:
    if not isinstance(body, dict):
        raise Problem(400, "bad_json", "the body is not a JSON object")
    image = body.pop("image", None)
    if not isinstance(image, str):
        raise BadParameters([FieldError("image", "is required: the picture as base64 or as a data URI")])
    return decode_base64(image), body


def decode_base64(text: str, *, field: str = "image") -> bytes:
    """Base64 as programs write it: in lines, url-safe or not, padded or not, alone or as a data URI (RFC 2397).

    Raises: BadParameters.
    """
    try:
        digits = "".join(_payload(text).split()).replace("-", "+").replace("_", "/")
        padding = "" if digits.endswith("=") else "=" * (-len(digits) % 4)
        return base64.b64decode(digits + padding, validate=True)
    except (binascii.Error, ValueError):
        raise BadParameters([FieldError(field, "is neither base64 nor a base64 data URI")]) from None


def _payload(text: str) -> str:
    """What stands behind the comma of a data URI, or all of it. Raises: ValueError."""
    if not _DATA_URI.match(text):
        return text
    head, comma, payload = text.partition(",")
    if not comma or not _IS_BASE64.search(head):
        raise ValueError("a data URI without base64")
    return unquote(payload, errors="strict") if "%" in payload else payload


def too_large(request: Request) -> Problem:
    limit = request.max_content_length
    detail = f"the upload is {request.content_length} bytes; the limit is {limit} (MAX_UPLOAD_MB)"
    return Problem(413, "image_too_large", detail)
