"""The client's decisions, once for the sync and the async client: every operation as a flow of effects.

It chooses requests, retries, polls and reads answers; it opens no connection, sleeps never and starts no thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from client import redirects
from client.errors import ApiError, Conflict, NotReachable, UnexpectedAnswer
from client.models import (
    CacheEntry,
    CacheStats,
    Generator,
    Health,
    Job,
    Refusal,
    WebhookLog,
    WebhookTry,
    as_mapping,
)
from client.retries import RETRIED_STATUSES, RetryPolicy
from client.submission import Image, JobOptions, batch_submission, read_each, sendable, submission
from client.wire import Answer, Emit, Flow, Open, Request, Send, Sleep, TransportFailure

DEFAULT_URL = "http://127.0.0.1:5000"
ANSWER_MARGIN_S = 15.0


def service_url(url: str) -> str:
    """The URL without a slash at its end, and with a scheme: `host:5000` is `http://host:5000`."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def job_path(job: Job | str, tail: str = "") -> str:
    """The path of a job or of something below it."""
    return f"/api/jobs/{_segment(job.id if isinstance(job, Job) else job)}{tail}"


def _segment(text: str) -> str:
    """One segment of a path, whatever is in it."""
    return quote(sendable(text), safe="")


def query(**values: object) -> dict[str, str]:
    """A query string's values; those that are `None` are left out."""
    return {name: sendable(str(value)) for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Core:
    """Flows against one service; `clock` is monotonic seconds, `now` Unix time."""

    url: str = DEFAULT_URL
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time

    def exchange(self, effect: Send | Open, retries: RetryPolicy | None = None) -> Flow[Answer]:
        """Do it, again if that can help. Every request of this client may be repeated: a submission carries its key.

        Raises:
            NotReachable: no answer came.
            ApiError: the service refused.
            Redirected: it is on another host.
        """
        failures = hops = 0
        while True:
            try:
                answer: Answer = yield effect
                answer.raise_for_problem(self.now())
                if answer.status not in redirects.STATUSES:
                    return answer
                effect = replace(effect, request=redirects.followed(effect.request, answer, self.url, hops))
                hops += 1
            except TransportFailure as failure:
                failures += 1
                yield from self.pause(failures, NotReachable(self.url, failure.cause), None, retries)
            except ApiError as refusal:
                if not _worth_repeating(refusal):
                    raise
                failures += 1
                yield from self.pause(failures, refusal, refusal.retry_after_s, retries)

    def pause(
        self, failures: int, error: Exception, asked_s: float | None, retries: RetryPolicy | None = None
    ) -> Flow[None]:
        """Wait before the next try, or raise `error` when there is none."""
        wait_s = (retries or self.retries).wait_s(failures, asked_s)
        if wait_s is None:
            raise error
        yield Sleep(wait_s)

    def get(self, path: str, **values: object) -> Flow[Any]:
        answer = yield from self.exchange(Send(Request("GET", path, query(**values))))
        return answer.json()

    # Jobs

    def submit(self, image: Image, options: JobOptions) -> Flow[Job]:
        answer = yield from self.exchange(Send(submission(image, options)))
        return Job.from_body(answer.json())

    def submit_batch(self, images: Iterable[Image], options: JobOptions) -> Flow[list[Job | Refusal]]:
        read = read_each(images)
        pictures = {index: one for index, one in enumerate(read) if not isinstance(one, OSError)}
        refused = {index: _unreadable(index, one) for index, one in enumerate(read) if isinstance(one, OSError)}
        if refused and not pictures:
            raise next(one for one in read if isinstance(one, OSError))
        answer = yield from self.exchange(Send(batch_submission(list(pictures.values()), options)))
        rows = dict(zip(pictures, _rows(answer.json(), "jobs"), strict=False))
        answered = {index: _job_or_refusal(index, row) for index, row in rows.items()}
        return [one for _, one in sorted((answered | refused).items())]

    def job(self, job: Job | str, wait_s: float | None = None, retries: RetryPolicy | None = None) -> Flow[Job]:
        held = None if wait_s is None else f"{wait_s:g}"
        request = Request("GET", job_path(job), query(wait=held), timeout_s=(wait_s or 0.0) + ANSWER_MARGIN_S)
        answer = yield from self.exchange(Send(request), retries)
        return Job.from_body(answer.json())

    def jobs(self, **filters: object) -> Flow[None]:
        return self._pages("/api/jobs", "jobs", Job.from_body, filters)

    def cancel(self, job: Job | str) -> Flow[Job]:
        try:
            answer = yield from self.exchange(Send(Request("DELETE", job_path(job))))
        except Conflict:
            # The answer to a first try may have been lost: canceled is what was asked for, whoever did it.
            current: Job = yield from self.job(job)
            if current.status == "canceled":
                return current
            raise
        return Job.from_body(answer.json())

    # Webhooks

    def webhook_log(self, job: Job | str) -> Flow[WebhookLog]:
        return WebhookLog.from_body((yield from self.get(job_path(job, "/webhooks"))))

    def resend_webhook(self, job: Job | str) -> Flow[WebhookLog]:
        answer = yield from self.exchange(Send(Request("POST", job_path(job, "/webhooks"))))
        return WebhookLog.from_body(answer.json())

    def test_webhook(self, url: str) -> Flow[WebhookTry]:
        answer = yield from self.exchange(Send(_json_post("/api/webhooks/test", {"url": url}, timeout_s=120.0)))
        return WebhookTry.from_body(answer.json())

    def webhook_secrets(self) -> Flow[list[str]]:
        return [str(row) for row in _rows((yield from self.get("/api/webhooks/secret")), "secrets")]

    # Service

    def generators(self) -> Flow[list[Generator]]:
        rows = _rows((yield from self.get("/api/generators")), "generators")
        return [Generator.from_body(row) for row in rows]

    def health(self) -> Flow[Health]:
        return Health.from_body((yield from self.get("/health")))

    # Cache administration

    def cache_stats(self) -> Flow[CacheStats]:
        return CacheStats.from_body((yield from self.get("/api/cache/stats")))

    def cache_config(self, changes: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        if not changes:
            return as_mapping((yield from self.get("/api/cache/config")), "cache configuration")
        answer = yield from self.exchange(Send(_json_post("/api/cache/config", changes)))
        return as_mapping(answer.json(), "cache configuration")

    def cache_clear(self, tier: str | None) -> Flow[Mapping[str, Any]]:
        answer = yield from self.exchange(Send(Request("POST", "/api/cache/clear", query(tier=tier))))
        return as_mapping(answer.json(), "answer to the clearing")

    def cache_entries(self, **filters: object) -> Flow[None]:
        return self._pages("/api/cache/entries", "entries", CacheEntry.from_body, filters)

    def cache_entry(self, key: str) -> Flow[Mapping[str, Any]]:
        return as_mapping((yield from self.get(f"/api/cache/entries/{_segment(key)}")), "cache entry")

    def cache_delete(self, key: str) -> Flow[Mapping[str, Any]]:
        answer = yield from self.exchange(Send(Request("DELETE", f"/api/cache/entries/{_segment(key)}")))
        return as_mapping(answer.json() if answer.content else {}, "answer to the deletion")

    def _pages(self, path: str, name: str, read: Callable[[object], Any], filters: Mapping[str, object]) -> Flow[None]:
        cursor: object = None
        while True:
            page = yield from self.get(path, **filters, cursor=cursor)
            for row in _rows(page, name):
                yield Emit(read(row))
            cursor = page.get("next_cursor")
            if not cursor:
                return


def _worth_repeating(refusal: ApiError) -> bool:
    if refusal.status in RETRIED_STATUSES:
        # The service says itself whether trying again can help; a proxy before it, without a code, does not.
        return refusal.retryable or not refusal.code
    return refusal.status >= 500 and refusal.retryable


def _unreadable(index: int, error: OSError) -> Refusal:
    """A picture that could not be sent, as if the service had refused it."""
    code = "image_unreadable"
    return Refusal(index, {"title": "image unreadable", "detail": str(error), "code": code, "retryable": False})


def _json_post(path: str, body: Mapping[str, Any], timeout_s: float = 30.0) -> Request:
    headers = {"Content-Type": "application/json"}
    return Request("POST", path, headers=headers, content=json.dumps(body).encode(), timeout_s=timeout_s)


def _rows(body: object, name: str) -> list[Any]:
    rows = as_mapping(body, name).get(name)
    if not isinstance(rows, list):
        raise UnexpectedAnswer(f"the answer should hold a list named {name}; is this URL Orfeas?")
    return rows


def _job_or_refusal(index: int, row: object) -> Job | Refusal:
    body = as_mapping(row, "row of a batch")
    return Job.from_body(body) if "id" in body else Refusal(index, body.get("error", body))
