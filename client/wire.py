"""The seam between what the client decides and who moves the bytes: requests, answers and effects.

Every operation of the client is a *flow*: a generator that yields effects (send this, sleep so long, hand this to the
caller) and is resumed with their outcome. Flows know nothing of sockets, threads or event loops, so the sync and the
async client share each of them. It does not itself perform anything; `client/sync.py` and `client/aio.py` do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from client.errors import Problem, UnexpectedAnswer, api_error
from client.retries import retry_after_s

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One HTTP request; `timeout_s` is the longest silence of the other side."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are lower case, `content` is empty for an opened stream."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status < 400

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            UnexpectedAnswer: it is not JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError:
            kind = self.headers.get("content-type", "no content type")
            raise UnexpectedAnswer(f"the answer should be JSON and is {kind}; is this URL Orfeas?") from None

    def raise_for_problem(self, now_s: float) -> None:
        """Turn a refusal into its error; `now_s` is Unix time, to read a `Retry-After` date.

        Raises:
            ApiError: the status is 400 or above.
        """
        if self.ok:
            return
        try:
            body = json.loads(self.content)
        except ValueError:
            body = None
        problem = Problem.from_body(self.status, body)
        wait_s = retry_after_s(self.headers.get("retry-after"), now_s)
        raise api_error(problem, request_id=self.headers.get("x-request-id", ""), retry_after_s=wait_s)


class TransportFailure(Exception):
    """Thrown into a flow when a request, or the reading of a stream, broke."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.cause = cause


@dataclass(frozen=True)
class Send:
    """Send a request and read the whole answer. Outcome: `Answer`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request and keep its body open; a flow holds one stream, the next `Open` or its end closes it.

    Outcome: `Answer`, whose content is read already when it is a refusal.
    """

    request: Request


@dataclass(frozen=True)
class Read:
    """Read from the open stream. Outcome: bytes, empty at its end."""


@dataclass(frozen=True)
class Sleep:
    """Wait. Outcome: `None`."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """Call back the program that uses the client; the async client awaits what the function returns, if it can be."""

    function: Callable[..., Any]
    argument: object


@dataclass(frozen=True)
class Emit:
    """Hand a value to the caller who iterates over the flow."""

    value: Any


Effect = Send | Open | Read | Sleep | Call | Emit
Flow = Generator[Effect, Any, T]


@dataclass(frozen=True)
class Done(Generic[T]):
    """A flow has ended with this value."""

    value: T


def advance(flow: Flow[T], outcome: Any = None) -> Effect | Done[T]:
    """Resume a flow with the outcome of its last effect; a `TransportFailure` is thrown into it."""
    try:
        return flow.throw(outcome) if isinstance(outcome, TransportFailure) else flow.send(outcome)
    except StopIteration as end:
        return Done(end.value)
