"""Fetching a mesh or a preview whole: resumed where the connection broke, checked, and put in place at once.

A file under the asked name is always complete: bytes are written beside it, to a name that ends in `.part`.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, TypedDict

from client.core import Core, job_path, query
from client.errors import Conflict, NotReachable, UnexpectedAnswer
from client.models import Job
from client.wire import Answer, Flow, Open, Read, Request, Sleep, TransportFailure

DEFAULT_TIMEOUT_S = 120.0
NOT_READY_POLL_S = 0.5
# A form that nobody has asked for yet is made while the request is held.
SILENCE_S = 60.0
_PART_NAME_MAX = 40  # letters of up to four bytes: a file name has 255 bytes on most file systems


class Form(TypedDict, total=False):
    """How to hand out a mesh; what is left out is as the job was asked: format, longest side, up axis, most faces."""

    format: Literal["glb", "obj", "stl", "ply"] | str | None
    size_mm: float | None
    up_axis: Literal["y", "z"] | str | None
    target_faces: int | None


class Sink:
    """Bytes received so far and their SHA-256, in a stream that can be emptied."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.restart()

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self.size_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self.digest.update(chunk)
        self.size_bytes += len(chunk)


@contextmanager
def part_file(target: Path) -> Iterator[BinaryIO]:
    """A file beside `target` that takes its place when the block ends well, and vanishes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name[:_PART_NAME_MAX]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb+") as stream:
            yield stream
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(target: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    with part_file(target) as stream:
        stream.write(data)


def download(core: Core, job: Job | str, to: Path, form: Form, timeout_s: float) -> Flow[Path]:
    """Save a job's mesh, in its own form or in another one.

    Raises:
        Conflict: it was not ready after `timeout_s`.
        UnexpectedAnswer: the bytes do not match their checksum.
        OSError: the file cannot be written.
    """
    request, sha256 = yield from _model_request(core, job, form)
    with part_file(to) as stream:
        yield from _fetch(core, request, Sink(stream), sha256, timeout_s)
    return to


def model(core: Core, job: Job | str, form: Form, timeout_s: float) -> Flow[bytes]:
    """A job's mesh as bytes; otherwise as `download`."""
    request, sha256 = yield from _model_request(core, job, form)
    return (yield from _fetch_bytes(core, request, sha256, timeout_s))


def preview(core: Core, job: Job | str, size_px: int | None, timeout_s: float) -> Flow[bytes]:
    """A PNG of the mesh, `size_px` wide and high; otherwise as `download`."""
    request = Request("GET", job_path(job, "/preview.png"), query(size_px=size_px), timeout_s=SILENCE_S)
    return (yield from _fetch_bytes(core, request, "", timeout_s))


def _fetch_bytes(core: Core, request: Request, sha256: str, timeout_s: float) -> Flow[bytes]:
    stream = io.BytesIO()
    yield from _fetch(core, request, Sink(stream), sha256, timeout_s)
    return stream.getvalue()


def _model_request(core: Core, job: Job | str, form: Form) -> Flow[tuple[Request, str]]:
    known: Job = job if isinstance(job, Job) and job.ended else (yield from core.job(job))
    changes: dict[str, object] = {
        name: value for name, value in form.items() if value is not None and value != known.options.get(name)
    }
    format = changes.pop("format", known.format)
    own = not changes and format == known.format
    sha256 = known.result.sha256 if own and known.result else ""
    return Request("GET", job_path(known, f"/model.{format}"), query(**changes), timeout_s=SILENCE_S), sha256


def _fetch(core: Core, request: Request, sink: Sink, sha256: str, timeout_s: float) -> Flow[None]:
    deadline_s = core.clock() + timeout_s
    etag = ""
    failures = 0
    furthest_bytes = 0
    while True:
        answer = yield from _open_when_ready(core, _rest_of(request, sink, etag), deadline_s)
        if not _continues(answer, sink.size_bytes):
            sink.restart()
        etag = _strong(answer.headers.get("etag", ""))
        try:
            while chunk := (yield Read()):
                sink.write(chunk)
        except TransportFailure as failure:
            failures = 1 if sink.size_bytes > furthest_bytes else failures + 1
            furthest_bytes = max(furthest_bytes, sink.size_bytes)
            yield from core.pause(failures, NotReachable(core.url, failure.cause), None)
            continue
        # The ETag first: the service says it of these very bytes. What the job said is older, and another file where
        # somebody had the mesh made again since (no-cache).
        return _verify(sink, _sha256_said(etag) or sha256, request.path)


def _rest_of(request: Request, sink: Sink, etag: str) -> Request:
    # Identity, because ranges and checksums count the bytes of the file, not of its compressed form.
    headers = {"Accept-Encoding": "identity"}
    if sink.size_bytes and etag:
        headers |= {"Range": f"bytes={sink.size_bytes}-", "If-Range": etag}
    return replace(request, headers=headers)


def _open_when_ready(core: Core, request: Request, deadline_s: float) -> Flow[Answer]:
    while True:
        try:
            answer: Answer = yield from core.exchange(Open(request))
            return answer
        except Conflict as conflict:
            if conflict.retry_after_s is None and not conflict.retryable:
                raise
            wait_s = max(NOT_READY_POLL_S, conflict.retry_after_s or 0.0)
            if core.clock() + wait_s > deadline_s:
                raise
            yield Sleep(wait_s)


def _continues(answer: Answer, size_bytes: int) -> bool:
    return answer.status == 206 and answer.headers.get("content-range", "").startswith(f"bytes {size_bytes}-")


def _strong(etag: str) -> str:
    return "" if etag.startswith("W/") else etag


def _sha256_said(etag: str) -> str:
    """The SHA-256 in hex that the service uses as a strong ETag; empty when it is something else."""
    match = re.fullmatch(r'"([0-9a-f]{64})"', etag)
    return match.group(1) if match else ""


def _verify(sink: Sink, sha256: str, path: str) -> None:
    got = sink.digest.hexdigest()
    if sha256 and got != sha256:
        raise UnexpectedAnswer(
            f"{path} arrived damaged: {sink.size_bytes} bytes with SHA-256 {got}, expected {sha256}; download it again"
        )
