"""What a submission looks like on the wire: the picture and its options as a multipart form (RFC 7578).

The body is fixed once, boundary included, so that a retried request is the same to the last byte. Nothing is sent here,
and no parameter is judged: the service knows its generators.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict

from client.wire import Request

_SURROGATE = re.compile("[\ud800-\udfff]")

Image = str | PathLike[str] | bytes | BinaryIO
Picture = tuple[str, bytes]  # its name and its bytes


class JobOptions(TypedDict, total=False):
    """Every option of a submission; what is left out is the service's default.

    `params` are the generator's own; `size_mm` is the longest side; `target_faces` the most faces;
    `no_cache` makes the mesh anew; `idempotency_key` is made up when not given.
    """

    generator: str | None
    params: Mapping[str, Any] | None
    seed: int | None
    format: Literal["glb", "obj", "stl", "ply"] | str | None
    size_mm: float | None
    up_axis: Literal["y", "z"] | str | None
    target_faces: int | None
    priority: Literal["high", "normal", "low"] | str | None
    label: str | None
    webhook_url: str | None
    no_cache: bool
    idempotency_key: str | None


_FORM_OPTIONS = (
    "generator",
    "seed",
    "format",
    "size_mm",
    "up_axis",
    "target_faces",
    "priority",
    "label",
    "webhook_url",
)


def submission(image: Image, options: JobOptions) -> Request:
    """The request that submits one picture.

    Raises:
        OSError: the picture cannot be read.
        TypeError: an option is unknown.
    """
    return _post("/api/jobs", "image", [_read(image)], options)


def batch_submission(images: Sequence[Picture], options: JobOptions) -> Request:
    """The request that submits many pictures with the same options, one job each.

    Raises: TypeError: an option is unknown.
    """
    return _post("/api/jobs/batch", "images", images, options)


def read_each(images: Iterable[Image]) -> list[Picture | OSError]:
    """Name and bytes of each picture, or why it cannot be read."""
    return [_read_or_error(image) for image in images]


def _read_or_error(image: Image) -> Picture | OSError:
    try:
        return _read(image)
    except OSError as error:
        return error


def _post(path: str, field: str, images: Sequence[Picture], options: JobOptions) -> Request:
    key = options.get("idempotency_key") or str(uuid.uuid4())
    boundary = uuid.uuid5(uuid.NAMESPACE_URL, key).hex
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Idempotency-Key": key}
    if options.get("no_cache"):
        headers["Cache-Control"] = "no-cache"
    parts = [_text_part(name, value) for name, value in _form(options)]
    parts += [_file_part(field, *picture) for picture in images]
    opening = b"--" + boundary.encode() + b"\r\n"
    content = b"".join(opening + part + b"\r\n" for part in parts) + b"--" + boundary.encode() + b"--\r\n"
    return Request("POST", path, headers=headers, content=content, timeout_s=60.0)


def _form(options: JobOptions) -> list[tuple[str, object]]:
    unknown = options.keys() - JobOptions.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"unknown option {', '.join(sorted(unknown))}; a generator's own parameters go into params={{…}}"
        )
    chosen = [(name, options.get(name)) for name in _FORM_OPTIONS] + list((options.get("params") or {}).items())
    return [(name, value) for name, value in chosen if value is not None]


def _text_part(name: str, value: object) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{sendable(text)}'.encode()


def _file_part(field: str, name: str, data: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{field}"; filename="{_quoted(name)}"\r\n'
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data


def _quoted(text: str) -> str:
    # The escapes of the HTML standard's multipart algorithm; RFC 7578 §2 leaves them open.
    return sendable(text).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def sendable(text: str) -> str:
    """Text as UTF-8 can carry it: what a file system or a command line gave us that is none becomes U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _read(image: Image) -> Picture:
    if isinstance(image, bytes):
        return "image", image
    if isinstance(image, str | PathLike):
        path = Path(image)
        return path.name, path.read_bytes()
    return Path(str(getattr(image, "name", "image"))).name, image.read()
