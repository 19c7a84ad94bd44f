"""Everything the client can raise, as one tree; each message says what to do. It does no I/O.

OrfeasError
├── NotReachable             nobody answers at the URL, or the connection broke too often
├── BadSetting               the URL, the key or a variable of the environment (proxies, certificates) cannot be used
├── UnexpectedAnswer         somebody answers, but not Orfeas; or a download that does not match its checksum
│   └── Redirected           the service is at another URL, which the message names
├── ApiError                 the service said no: an RFC 9457 problem
│   ├── BadRequest           400: the request as it stands will never be taken
│   │   ├── TooLarge         413
│   │   ├── UnsupportedMedia 415
│   │   └── ValidationFailed 422; `.fields` names each wrong field
│   ├── Unauthorized         401
│   ├── Forbidden            403
│   ├── NotFound             404, 410
│   ├── Conflict             409: not ready, already ended, or a used idempotency key
│   ├── RateLimited          429; `.retry_after_s`
│   ├── Unavailable          502, 503, 504; `.retry_after_s`
│   └── ServerFault          any other 5xx
├── JobFailed                the job ended `failed`; `.job.error` says why
├── JobCanceled              the job ended `canceled`
└── WaitTimeout              the job had not ended in time; it goes on, `.job` is its last known state
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client.models import Job


class OrfeasError(Exception):
    """Base of the tree."""


class NotReachable(OrfeasError):
    """No answer came from the URL; `cause` is the last transport error."""

    def __init__(self, url: str, cause: Exception | str) -> None:
        self.url = url
        self.cause = cause
        reason = str(cause) or type(cause).__name__
        super().__init__(
            f"no answer from {url} ({reason}); start the service with `orfeas up`, "
            "or say where it runs with --url or ORFEAS_URL"
        )


class BadSetting(OrfeasError):
    """The URL, the key or a variable of the environment cannot be used; nothing was sent."""


class UnexpectedAnswer(OrfeasError):
    """The answer is not one that Orfeas gives."""


class Redirected(UnexpectedAnswer):
    """The service is at another URL, on another host; the message says which."""


@dataclass(frozen=True)
class Problem:
    """An RFC 9457 problem document, with the extensions `code`, `retryable` and `errors` of this service."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    code: str = ""
    retryable: bool = False
    errors: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_body(cls, status: int, body: object) -> Problem:
        """Read a problem, whatever is missing from it; anything that is no JSON object gives the status alone."""
        if not isinstance(body, Mapping):
            return cls(status=status)
        rows = body.get("errors")
        fields = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        return cls(
            status=status,
            title=str(body.get("title") or ""),
            detail=str(body.get("detail") or ""),
            type=str(body.get("type") or "about:blank"),
            code=str(body.get("code") or ""),
            retryable=body.get("retryable") is True,
            errors=tuple((str(row.get("field", "")), str(row.get("message", ""))) for row in fields),
        )

    def __str__(self) -> str:
        fields = "; ".join(f"{field}: {message}" for field, message in self.errors)
        said = self.detail or self.title or f"HTTP {self.status}"
        return said if not fields or fields in said else f"{said} ({fields})"


class ApiError(OrfeasError):
    """The service refused; `problem` is what it said, `request_id` finds it in the service's log."""

    advice = ""

    def __init__(self, problem: Problem, *, request_id: str = "", retry_after_s: float | None = None) -> None:
        self.problem = problem
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        super().__init__("; ".join(part for part in (str(problem), self._advice()) if part))

    def _advice(self) -> str:
        return self.advice

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def retryable(self) -> bool:
        return self.problem.retryable


class BadRequest(ApiError):
    pass


class TooLarge(BadRequest):
    advice = "send a smaller picture"


class UnsupportedMedia(BadRequest):
    advice = "send a PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF or PNM picture"


class ValidationFailed(BadRequest):
    @property
    def fields(self) -> dict[str, str]:
        """What is wrong, by the name of the field."""
        return dict(self.problem.errors)


class Unauthorized(ApiError):
    advice = "give a key with --api-key or ORFEAS_API_KEY"


class Forbidden(ApiError):
    advice = "this key may not do that; cache administration needs an admin key"


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class _TryLater(ApiError):
    def _advice(self) -> str:
        return "try again later" if self.retry_after_s is None else f"try again in {self.retry_after_s:.0f} s"


class RateLimited(_TryLater):
    pass


class Unavailable(_TryLater):
    pass


class ServerFault(ApiError):
    def _advice(self) -> str:
        told = not self.request_id or self.request_id in self.problem.detail
        return "" if told else f"look for request {self.request_id} in the service's log"


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    413: TooLarge,
    415: UnsupportedMedia,
    422: ValidationFailed,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def api_error(problem: Problem, *, request_id: str = "", retry_after_s: float | None = None) -> ApiError:
    """The class of the tree that fits the problem's status."""
    fallback = ServerFault if problem.status >= 500 else ApiError
    kind = _BY_STATUS.get(problem.status, fallback)
    return kind(problem, request_id=request_id, retry_after_s=retry_after_s)


class JobFailed(OrfeasError):
    def __init__(self, job: Job) -> None:
        self.job = job
        code = job.error.code if job.error else "unknown"
        message = job.error.message if job.error else "the service gave no reason"
        advice = "; submitting it again may help" if job.error and job.error.retryable else ""
        super().__init__(f"job {job.id} failed ({code}): {message}{advice}")


class JobCanceled(OrfeasError):
    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"job {job.id} was canceled; submit it again if you want its mesh")


class WaitTimeout(OrfeasError):
    def __init__(self, job: Job, timeout_s: float) -> None:
        self.job = job
        self.timeout_s = timeout_s
        super().__init__(
            f"job {job.id} is still {job.status} after {timeout_s:g} s and goes on; "
            f"follow it with `orfeas status {job.id} --watch`"
        )
