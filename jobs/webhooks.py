"""The outbox of webhooks: whose is due, who is at it, and how each try went.

Ending a job puts its webhook here in the same atomic step (`finish_job` in `lua/core.lua`), so no restart loses one.
It sends nothing and knows no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from jobs.store import JobStore

WebhookStatus = Literal["pending", "sending", "delivered", "failed"]
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook on loan; `token` fences the lease, `attempt` counts from 1."""

    job_id: str
    attempt: int
    token: str
    owner: str


@dataclass(frozen=True, slots=True)
class Try:
    """How one request went: an HTTP status, or an error in words when there was no answer."""

    at: datetime
    duration_ms: int
    status_code: int | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """What became of one job's webhook so far."""

    status: WebhookStatus
    attempts: int
    next_at: datetime | None
    tries: list[Try]


class Outbox:
    """The webhooks of ended jobs, kept beside the jobs and forgotten with them.

    Every method raises `redis.RedisError` when Redis does not answer.
    """

    def __init__(self, store: JobStore, *, max_attempts: int = 8, lease_s: float = 120.0) -> None:
        self._store = store
        self._max_attempts = max_attempts
        self._lease_s = lease_s

    def claim(self, *, busy: Collection[str] = ()) -> Delivery | None:
        """The webhook that has been due longest, for this caller alone until the lease ends; None when none is due.

        Those of the owners in `busy` are left to later.
        """
        answer = self._store.run(
            "claim_webhook",
            lease_ms=int(self._lease_s * 1000),
            max_attempts=self._max_attempts,
            far_ms=int(2 * DAY_S * 1000),
            busy=list(busy),
        )
        return Delivery(answer[0], int(answer[1]), answer[2], answer[3]) if answer else None

    def settle(
        self, delivery: Delivery, tried: Try, *, again_s: float | None
    ) -> Literal["delivered", "pending", "failed", "stale"]:
        """Notes how it went. Not delivered and tries left: due again after `again_s` seconds; None gives up."""
        left = delivery.attempt < self._max_attempts and again_s is not None
        arguments: dict[str, Any] = {"again_ms": int((again_s or 0) * 1000)} if left else {}
        status: Literal["delivered", "pending", "failed", "stale"] = self._store.run(
            "settle_webhook",
            id=delivery.job_id, owner=delivery.owner, token=delivery.token, attempt=delivery.attempt,
            delivered=tried.delivered, tried=_encoded(tried), **arguments,
        )  # fmt: skip
        return status

    def resend(self, job_id: str) -> Literal["pending", "none", "early"]:
        """Begins anew with an ended job's webhook, whatever became of it before."""
        status: Literal["pending", "none", "early"] = self._store.run("resend_webhook", id=job_id)
        return status

    def log(self, job_id: str, owner: str) -> DeliveryLog:
        """What was tried for this job of this owner; an empty log before its end."""
        pipeline = self._store.redis.pipeline(transaction=False)
        pipeline.hgetall(f"{self._store.prefix}:webhook:{job_id}")
        pipeline.zscore(f"{self._store.prefix}:webhooks:{owner}", job_id)
        fields, due_ms = pipeline.execute()
        attempts = int(fields.get("attempts", 0))
        status: WebhookStatus = fields.get("status", "pending")
        return DeliveryLog(
            status=status,
            attempts=attempts,
            next_at=_instant(due_ms) if due_ms is not None and status == "pending" else None,
            tries=[_decoded(fields[name]) for n in range(1, attempts + 1) if (name := f"try:{n}") in fields],
        )


def _encoded(tried: Try) -> str:
    return json.dumps([tried.at.timestamp(), tried.duration_ms, tried.status_code, tried.error])


def _decoded(text: str) -> Try:
    at, duration_ms, status_code, error = json.loads(text)
    return Try(datetime.fromtimestamp(at, UTC), duration_ms, status_code, error)


def _instant(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
