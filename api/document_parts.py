"""Tables of the OpenAPI document: headers, links and media types, by the name of an operation.

An operation's name is that of its function. What belongs to one route alone stands with the route.
"""

from __future__ import annotations

from typing import Any

from api.problems import problems
from jobs.requests import MEDIA_TYPES

INFO: dict[str, Any] = {
    "description": (
        "Pictures in, 3D meshes out; nothing is made twice.\n\n"
        "Submit a picture, wait for the job (`?wait=30`, or its events), download the mesh in any format. "
        "Every error is `application/problem+json` (RFC 9457) with a stable `code`; "
        "what is `retryable` says in `Retry-After` when to come again."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}

KEY: dict[str, Any] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key. A caller sees its own jobs only; the cache administration needs an admin key.",
}


def _header(description: str, example: str | int, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    schema = schema or {"type": "integer" if isinstance(example, int) else "string"}
    return {"description": description, "schema": schema, "example": example, "required": required}


_SERVED = ["MISS", "HIT-L1", "HIT-L2", "HIT-ARCHIVE", "COALESCED"]
HEADERS: dict[str, Any] = {
    "X-Request-ID": _header("The request's id, in every log line about it", "5f3c1d2e9a8b7c6d"),
    "X-Cache": _header("How it was served", "HIT-L2", required=False, type="string", enum=_SERVED),
    "X-Notice": _header(
        "What was left out of the mesh, guessed or done otherwise than asked",
        "3138 faces instead of 2771: with fewer, parts would be lost",
        required=False,
        type="string",
    ),
    "Location": _header("The job", "/api/jobs/0123456789abcdef0123456789abcdef"),
    "Retry-After": _header("Seconds to wait before the next try", 5, type="integer", minimum=0),
    "ETag": _header("SHA-256 of the bytes; the same URL always has the same", '"9f86d081884c7d65"'),
    "Content-Disposition": _header("A file name", 'attachment; filename="inflate-0123456789ab.glb"'),
    "Cache-Control": _header("Results never change", "private, max-age=31536000, immutable"),
    "Content-Range": _header("Which bytes these are, or how many there are", "bytes 0-99/1024"),
}


def _parameter(name: str, description: str, *examples: str, **schema: Any) -> dict[str, Any]:
    shown = {f"example{number}": {"value": value} for number, value in enumerate(examples, start=1)}
    return {
        "name": name, "in": "header", "required": False, "description": description,
        "schema": {"type": "string", **schema}, "examples": shown,
    }  # fmt: skip


PARAMETERS: dict[str, Any] = {
    "X-Request-ID": _parameter(
        "X-Request-ID", "Your own id of the request: 1 to 128 letters, digits and `_ . : -`; anything else is replaced",
        "checkout-4711",
    ),
    "Idempotency-Key": _parameter(
        "Idempotency-Key", "The same key and the same body answer the same job; another body: 409",
        "order-4711", minLength=1, maxLength=255,
    ),
    "Cache-Control": _parameter("Cache-Control", "`no-cache` makes it anew, whatever is there already", "no-cache"),
    "If-None-Match": _parameter("If-None-Match", "An `ETag` that you hold: 304 when it is the same", '"9f86d081884c"'),
    "If-Match": _parameter("If-Match", "An `ETag` that you hold: 412 when it is another", '"9f86d081884c"'),
    "If-Range": _parameter("If-Range", "An `ETag` that you hold: without it `Range` is ignored", '"9f86d081884c"'),
    "Range": _parameter("Range", "Some of the bytes, to go on with a download", "bytes=0-99"),
    "Last-Event-ID": _parameter("Last-Event-ID", "The last event that you have seen, to go on after it", "3-0-"),
}  # fmt: skip

_SUBMISSION = ("Idempotency-Key", "Cache-Control")
_FILE = ("If-None-Match", "If-Match", "Range", "If-Range")
REQUEST_HEADERS: dict[str, tuple[str, ...]] = {
    "submit_job": _SUBMISSION,
    "submit_batch": _SUBMISSION,
    "read_model": _FILE,
    "read_preview": _FILE,
    "stream_job": ("Last-Event-ID",),
}

_WHOLE = ("ETag", "Content-Disposition", "Cache-Control", "X-Cache", "X-Notice")
RESPONSE_HEADERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("submit_job", "200"): ("Location", "X-Cache"),
    ("submit_job", "202"): ("Location", "X-Cache"),
    ("read_job", "200"): ("X-Cache",),
    ("cancel_job", "200"): ("X-Cache",),
    **{(name, "200"): _WHOLE for name in ("read_model", "read_preview")},
    **{(name, "206"): (*_WHOLE, "Content-Range") for name in ("read_model", "read_preview")},
    **{(name, "416"): ("Content-Range",) for name in ("read_model", "read_preview")},
    **{(name, "304"): ("ETag", "Cache-Control") for name in ("read_model", "read_preview")},
}


def _partial(*media_types: str) -> dict[str, Any]:
    """Answers to requests for some of the bytes, or for bytes that the caller has."""
    return {
        "206": {"description": "The bytes asked for", "content": {kind: {} for kind in media_types}},
        "304": {"description": "You have it already"},
        **{str(status): problem for status, problem in problems(412, 416).items()},
    }


RESPONSES: dict[str, dict[str, Any]] = {
    "read_model": _partial(*(kind for name, kind in MEDIA_TYPES.items() if name != "png")),
    "read_preview": _partial("image/png"),
}


# One event of a stream; WHATWG HTML §9.2 writes it as lines.
EVENT: dict[str, Any] = {
    "type": "object",
    "description": "`data` is JSON: a job's body, or the fleet in events named `fleet`",
    "required": ["data"],
    "properties": {
        "event": {"type": "string", "enum": ["message", "job", "fleet"]},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
}


def _link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "description": description, "parameters": parameters}


_THIS = {"job_id": "$response.body#/id"}
_FROM_A_JOB = {
    "read": _link("read_job", "How it stands", **_THIS),
    "cancel": _link("cancel_job", "Cancel it", **_THIS),
    "events": _link("stream_job", "Its changes as they happen", **_THIS),
    "download": _link("read_model", "The mesh", **_THIS, format="$response.body#/options/format"),
    "preview": _link("read_preview", "A picture of it", **_THIS),
    "view": _link("read_view", "A page to turn it on", **_THIS),
    "webhooks": _link("read_log", "What became of its webhook", **_THIS),
    "resend": _link("resend", "Send its webhook again", **_THIS),
}
LINKS: dict[str, dict[str, Any]] = {
    "submit_job": _FROM_A_JOB,
    "read_job": _FROM_A_JOB,
    "cancel_job": {"read": _FROM_A_JOB["read"]},
    "list_jobs": {
        "read": _link("read_job", "The newest", job_id="$response.body#/jobs/0/id"),
        "next": _link("list_jobs", "The page after", cursor="$response.body#/next_cursor"),
    },
    "list_entries": {
        "read": _link("read_entry", "The most recently used", key="$response.body#/entries/0/key"),
        "delete": _link("delete_entry", "Forget it", key="$response.body#/entries/0/key"),
    },
}

PAGE_MEDIA_TYPES = {"/openapi.json": "application/json", "/metrics": "text/plain"}
PAGE_SUMMARIES = {"/openapi.json": "This document", "/": "The page: drop a picture, watch, turn the mesh"}
