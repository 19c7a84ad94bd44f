"""Every error as RFC 9457 `application/problem+json`, and the one table from error to HTTP status."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, g
from kombu.exceptions import OperationalError
from pydantic import ValidationError
from redis import RedisError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, TooManyRequests

from cache.errors import ArchiveError, SharedUnavailable
from jobs.errors import (
    BadImage,
    BadParameters,
    Canceled,
    FieldError,
    GenerationError,
    GeneratorUnavailable,
    ImageTooLarge,
    InputError,
    JobError,
    ResultGone,
    UnknownGenerator,
)

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"

# The first class that fits decides.
STATUSES: tuple[tuple[type[JobError], int], ...] = (
    (ImageTooLarge, 413),
    (BadImage, 400),
    (BadParameters, 422),
    (UnknownGenerator, 422),
    (InputError, 422),
    (GeneratorUnavailable, 503),
    (ResultGone, 410),
    (GenerationError, 502),
    (Canceled, 409),
    (JobError, 500),
)


# A part of the service that does not answer.
AWAY = (RedisError, OperationalError, SharedUnavailable, ArchiveError)


class Problem(Exception):
    """An answer that is an error: what happened, in words, and what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retryable: bool = False,
        retry_after_s: int | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.errors = errors

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"urn:orfeas:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
        }
        if self.errors:
            body["errors"] = [{"field": error.field, "message": error.message} for error in self.errors]
        return body

    def response(self) -> Response:
        response = Response(json.dumps(self.body()), self.status, content_type=PROBLEM_JSON)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        return response


def not_found(job_id: str) -> Problem:
    detail = f"no job has the id {job_id[:64]!r}; it may have been forgotten (JOB_RETENTION_S)"
    return Problem(404, "job_not_found", detail)


def unavailable(code: str, detail: str, *, retry_after_s: int = 5) -> Problem:
    return Problem(503, code, detail, retryable=True, retry_after_s=retry_after_s)


def problem_from(error: JobError) -> Problem:
    """A job's error as an answer; its code and message are already made for callers."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    fields = error.errors if isinstance(error, BadParameters) else ()
    retry_after_s = 10 if status == 503 else None
    return Problem(
        status, error.code, error.message, retryable=error.retryable, retry_after_s=retry_after_s, errors=fields
    )


def invalid(error: ValidationError, *, status: int = 422) -> Problem:
    """What pydantic refused, field by field."""
    fields = [FieldError(".".join(map(str, one["loc"])) or "body", one["msg"]) for one in error.errors()]
    return Problem(status, "bad_parameters", "; ".join(f"{one.field}: {one.message}" for one in fields), errors=fields)


def register_error_handlers(app: Flask) -> None:
    app.register_error_handler(Problem, lambda error: error.response())
    app.register_error_handler(JobError, lambda error: problem_from(error).response())
    for kind in AWAY:
        app.register_error_handler(kind, _away)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def problem_of(error: Exception) -> Problem:
    """What a part of the service that does not answer means for the caller."""
    if isinstance(error, ArchiveError):
        log.error("the archive does not answer: %s", error)
        return unavailable("archive_unavailable", f"the archive does not answer: {error}", retry_after_s=30)
    if isinstance(error, SharedUnavailable):
        log.warning("%s", error)
        return unavailable("redis_unavailable", f"{error}; try again in a few seconds")
    log.warning("Redis does not answer: %s", error)
    return unavailable("redis_unavailable", "the job store does not answer; try again in a few seconds")


def _away(error: Exception) -> Response:
    return problem_of(error).response()


def _http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    if isinstance(error, TooManyRequests):
        detail = f"the limit is {error.description} (RATE_LIMIT); come again in as many seconds as Retry-After says"
        return Problem(429, "rate_limited", detail, retryable=True).response()
    code = (error.name or "error").lower().replace(" ", "_")
    response = Problem(error.code or 500, code, error.description or error.name).response()
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    if type(error).__module__ == "gunicorn.http.errors":  # by name, for other servers may serve this app too
        return Problem(400, "bad_request", f"the body is not as its headers say: {error}").response()
    return unexpected(error).response()


def unexpected(error: Exception) -> Problem:
    """A fault of ours: logged with its traceback, and no word of it to the caller."""
    log.error("unexpected error", exc_info=error)
    detail = f"something went wrong here; the operator finds it in the log under request {g.get('request_id', '-')}"
    return Problem(500, "internal_error", detail, retryable=True)
