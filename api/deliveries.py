"""Delivers webhooks: every API process lends them from the outbox and posts them, from a few threads of its own.

At least once: a process that dies in the middle leaves a lease that ends, and the same `Webhook-Id` is sent again.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from redis import RedisError

from api.outbound import NoAnswer, Outbound
from api.schemas import JobBody
from api.services import Services
from api.signatures import Signer
from cache.loops import Loop
from jobs.store import JobStore
from jobs.webhooks import DAY_S, Delivery, Outbox, Try
from version import VERSION

log = logging.getLogger(__name__)

THREADS = 16
SHARE = 4  # of these threads, for the webhooks of one owner: a receiver that dawdles holds up its owner's only
LOOK_EVERY_S = 1.0
# Standard Webhooks 1.0.0, "Deliverability and reliability": seconds until the second try, the third, …
RETRY_AFTER_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_GONE = 410


@dataclass(frozen=True)
class Receipt:
    """One try, and when another makes sense; None: never."""

    tried: Try
    again_s: float | None


class Post:
    """Signs a body and posts it once."""

    def __init__(self, outbound: Outbound, signer: Signer) -> None:
        self._outbound = outbound
        self._signer = signer

    def __call__(self, url: str, message_id: str, body: bytes, *, owner: str, attempt: int = 1) -> Receipt:
        at, began = datetime.now(UTC), time.perf_counter()
        headers = {"Content-Type": "application/json", "User-Agent": f"Orfeas/{VERSION}"}
        headers |= self._signer.headers(message_id, int(at.timestamp()), body, owner=owner)
        status, after, error, final = None, "", None, False
        try:
            status, after = self._outbound.post(url, body, headers)
        except NoAnswer as none:
            error, final = str(none), none.final
        duration_ms = round((time.perf_counter() - began) * 1000)
        again_s = None if final or status == _GONE else _wait_s(attempt, after)
        return Receipt(Try(at, duration_ms, status, error), again_s)


class Shares:
    """How many of this process' deliverers each owner has; `freed` is set whenever one of them came back."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._taken = Counter[str]()
        self._lock = threading.Lock()
        self.freed = threading.Event()

    def used_up(self) -> list[str]:
        """Owners who get no more of them for now."""
        with self._lock:
            return [owner for owner, taken in self._taken.items() if taken >= self._share]

    def take(self, owner: str) -> None:
        with self._lock:
            self._taken[owner] += 1

    def give_back(self, owner: str) -> None:
        with self._lock:
            self._taken[owner] -= 1
            if not self._taken[owner]:
                del self._taken[owner]
        self.freed.set()


class Deliverer:
    """Threads that take turns at looking: one waits for the next webhook while the others deliver theirs."""

    def __init__(
        self,
        store: JobStore,
        outbox: Outbox,
        post: Post,
        *,
        threads: int = THREADS,
        share: int = SHARE,
        links_from: str = "",
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._post = post
        self._threads = threads
        self._links_from = links_from
        self._shares = Shares(share)
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._loops: list[Loop] = []

    def start(self) -> None:
        """Daemon threads: what they hold when the process ends is delivered when its lease has ended."""
        self._loops = [Loop("webhooks", self._take_turn, stop=self._stop).start() for _ in range(self._threads)]

    def close(self) -> None:
        for loop in self._loops:
            loop.close()
        self._shares.freed.set()

    def deliver_next(self) -> bool:
        """Delivers the webhook that has been due longest; False when none is due."""
        delivery = self._outbox.claim()
        if delivery is not None:
            self._deliver(delivery)
        return delivery is not None

    def _take_turn(self) -> float:
        with self._looking:
            delivery = self._next()
        if delivery is not None:
            try:
                self._deliver(delivery)
            except RedisError as error:
                log.warning("the webhook of job %s will be sent again: %s", delivery.job_id, error)
            finally:
                self._shares.give_back(delivery.owner)
        return 0.0

    def _next(self) -> Delivery | None:
        while not self._stop.is_set():
            self._shares.freed.clear()
            try:
                delivery = self._outbox.claim(busy=self._shares.used_up())
            except Exception:
                self._stop.wait(LOOK_EVERY_S)  # here, so that the other threads do not fail in turn meanwhile
                raise
            if delivery is not None:
                self._shares.take(delivery.owner)
                return delivery
            self._shares.freed.wait(LOOK_EVERY_S)
        return None

    def _deliver(self, delivery: Delivery) -> None:
        job = self._store.job(delivery.job_id)
        if job is None or job.webhook_url is None:
            return  # forgotten just now; the outbox drops it
        body = JobBody.of(job, self._links_from).model_dump_json().encode()
        receipt = self._post(job.webhook_url, f"msg_{job.id}", body, owner=job.owner, attempt=delivery.attempt)
        status = self._outbox.settle(delivery, receipt.tried, again_s=receipt.again_s)
        said = receipt.tried.status_code or receipt.tried.error
        log.info("webhook of job %s: %s, %s", job.id, said, status, extra={"attempt": delivery.attempt})


def deliver_webhooks(house: Services) -> Deliverer | None:
    """Starts this process' deliveries, where webhooks are in use."""
    settings = house.settings
    if not settings.webhook_secret:
        return None
    post = Post(Outbound.of(settings), Signer(settings.webhook_secret))
    outbox = Outbox(house.store, max_attempts=settings.webhook_attempts)
    deliverer = Deliverer(house.store, outbox, post, links_from=settings.public_url)
    deliverer.start()
    return deliverer


def new_message_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def _wait_s(attempt: int, retry_after: str) -> float:
    """By the schedule with a tenth of chance, so that what failed together does not return together; or as asked."""
    schedule_s = RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S)) - 1] * random.uniform(1.0, 1.1)
    asked_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return min(max(schedule_s, asked_s), DAY_S * 1.1)
