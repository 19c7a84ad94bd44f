"""Examples of the OpenAPI document: what a call and its answer look like. A test holds each to its schema."""

from __future__ import annotations

from typing import Any

from api import document_answers
from api.errors import Problem
from jobs.errors import FieldError

_ID = "0123456789abcdef0123456789abcdef"
_KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# A red square, eight pixels wide.
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP8z4AdMOEQH6QSAM1BAQ/oQeJvAAAAAElFTkSuQmCC"
_FILE = "(the bytes of cup.png)"
_PICTURES_TAKEN = ", ".join(
    f"image/{kind}" for kind in ("png", "jpeg", "webp", "avif", "gif", "bmp", "tiff", "x-portable-anymap")
)

_QUEUED: dict[str, Any] = {
    "id": _ID, "task_id": f"{_ID}-1", "status": "queued", "stage": None, "progress": 0, "queue_position": 0,
    "eta_s": 2.5, "generator": "inflate", "params": {"seed": 0},
    "options": {"format": "stl", "size_mm": 80.0, "up_axis": None, "target_faces": None, "priority": "normal"},
    "key": _KEY, "cache": None, "saved_s": None, "attempts": 0, "label": None, "created_at": "2026-01-01T12:00:00Z",
    "started_at": None, "finished_at": None, "timings": {}, "result": None, "error": None,
    "urls": {
        "self": f"/api/jobs/{_ID}", "events": f"/api/jobs/{_ID}/events", "model": f"/api/jobs/{_ID}/model.stl",
        "preview": f"/api/jobs/{_ID}/preview.png", "view": f"/api/jobs/{_ID}/view",
    },
}  # fmt: skip
_SUCCEEDED = _QUEUED | {
    "status": "succeeded", "progress": 100, "queue_position": None, "eta_s": None, "cache": "MISS",
    "saved_s": 0.0, "attempts": 1, "started_at": "2026-01-01T12:00:01Z", "finished_at": "2026-01-01T12:00:03Z",
    "timings": {"queued_s": 1.0, "generate_s": 1.6, "total_s": 3.0},
    "result": {
        "format": "stl", "size_bytes": 684, "vertices": 8, "faces": 12, "watertight": True, "volume_mm3": 512000.0,
        "size_mm": [80.0, 80.0, 80.0], "sha256": _KEY,
    },
}  # fmt: skip
# The same picture once more: there already, so no worker was needed.
_SERVED = _SUCCEEDED | {
    "task_id": None, "cache": "HIT-L2", "saved_s": 1.6, "attempts": 0, "started_at": "2026-01-01T12:00:00Z",
    "finished_at": "2026-01-01T12:00:00Z", "timings": {"queued_s": 0.0, "total_s": 0.0},
}  # fmt: skip
_CANCELED = _QUEUED | {
    "status": "canceled", "queue_position": None, "eta_s": None, "finished_at": "2026-01-01T12:00:02Z",
    "error": {"code": "canceled", "message": "the job was canceled", "retryable": False},
}  # fmt: skip

_ANSWERS: dict[tuple[str, str], Any] = {
    ("submit_job", "200"): _SERVED,
    ("submit_job", "202"): _QUEUED,
    ("read_job", "200"): _SUCCEEDED,
    ("cancel_job", "200"): _CANCELED,
    ("list_jobs", "200"): {"jobs": [_SUCCEEDED], "next_cursor": None},
    ("submit_batch", "202"): {"jobs": [_QUEUED]},
    ("submit_batch", "200"): {"jobs": [_SERVED]},
    ("read_ready", "200"): {"ready": True},
    ("stream_job", "200"): 'id: 3-0-\ndata: {"id": "…", "status": "running", "progress": 40}\n\n',
    ("stream_fleet", "200"): 'event: fleet\ndata: {"queues": {"generate": 0, "render": 0}, "workers": []}\n\n',
}

_PROBLEMS: dict[str, Problem] = {
    "400": Problem(400, "bad_image", "the image is empty; send the bytes of a PNG, JPEG or WebP file"),
    "401": Problem(401, "key_needed", "send a valid key as `Authorization: Bearer <key>`"),
    "403": Problem(403, "admin_key_needed", "this needs an admin key (ADMIN_KEYS)"),
    "404": Problem(404, "job_not_found", f"no job has the id '{_ID}'; it may have been forgotten (JOB_RETENTION_S)"),
    "409": Problem(409, "not_ready", "the job is running; wait for it with ?wait=30", retryable=True),
    "410": Problem(410, "result_gone", "the result is kept no longer"),
    "412": Problem(412, "precondition_failed", "it is not the version that If-Match names"),
    "413": Problem(413, "image_too_large", "the image is 30000000 bytes; the limit is 26214400 (MAX_UPLOAD_MB)"),
    "415": Problem(415, "unsupported_media_type", "send multipart/form-data or application/json, not text/plain"),
    "416": Problem(416, "requested_range_not_satisfiable", "there are 1024 bytes; none of them was asked for"),
    "422": Problem(
        422, "bad_parameters", "size_mm: Input should be greater than 0",
        errors=[FieldError("size_mm", "Input should be greater than 0")],
    ),
    "429": Problem(
        429, "rate_limited",
        "the limit is 600 per 1 minute (RATE_LIMIT); come again in as many seconds as Retry-After says", retryable=True,
    ),
    "502": Problem(502, "generation_failed", "the mesh could not be written in this format"),
    "503": Problem(503, "queue_full", "10000 works wait already (QUEUE_LIMIT)", retryable=True),
}  # fmt: skip


def answer(name: str, status: str) -> Any:
    """What this operation answers, where that helps a reader; None otherwise."""
    if status in _PROBLEMS:
        return _PROBLEMS[status].body()
    return _ANSWERS.get((name, status), document_answers.ANSWERS.get((name, status)))


def request(name: str, media_type: str) -> dict[str, Any]:
    """More of a media type object: its example, and what a file field takes."""
    if name == "submit_job":
        fields: dict[str, Any] = {"image": _PICTURE, "format": "stl", "size_mm": 80}
    elif name == "submit_batch":
        fields = {"images": [_PICTURE], "format": "glb"}
    else:
        return {"example": document_answers.REQUESTS[name]} if name in document_answers.REQUESTS else {}
    if media_type == "application/json":
        return {"example": fields}
    field, picture = next(iter(fields.items()))
    fields[field] = [_FILE] if isinstance(picture, list) else _FILE
    return {"example": fields, "encoding": {field: {"contentType": _PICTURES_TAKEN}}}
