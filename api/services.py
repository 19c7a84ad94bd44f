"""The API's composition root: everything a route may ask, built once per process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from flask import current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.queue import make_sender
from cache.archive import Archive
from cache.redis import RedisCache
from cache.tiered import TieredCache
from jobs.broker import Sender
from jobs.feed import ChangeFeed
from jobs.fleet import Fleet, GeneratorCard
from jobs.intake import Intake, UploadLimits
from jobs.store import JobStore, StoreLimits
from settings import Settings

T = TypeVar("T")
_CARDS_FRESH_S = 1.0


@dataclass(frozen=True)
class Services:
    """What the routes work with."""

    settings: Settings
    store: JobStore
    fleet: Fleet
    cards: Callable[[], Mapping[str, GeneratorCard]]
    cache: TieredCache
    intake: Intake
    feed: ChangeFeed
    sender: Sender


def services() -> Services:
    """The services of the app that answers this request."""
    return current_app.extensions["orfeas"]


def build_services(settings: Settings) -> Services:
    store = JobStore(
        connect(settings.broker_url),
        StoreLimits(queue_limit=settings.queue_limit, job_retention_s=settings.job_retention_s),
    )
    fleet = Fleet(store, max_attempts=settings.max_attempts)
    cards = remembered(fleet.cards, _CARDS_FRESH_S)
    shared = RedisCache(
        settings.cache_url,
        max_size=settings.cache_shared_max_size,
        max_memory_mb=settings.cache_shared_max_memory_mb,
        ttl_s=settings.cache_ttl_seconds,
    )
    archive = Archive.open(settings.archive_location)
    cache = TieredCache(None, shared, archive, enabled=not settings.disable_result_cache)
    sender = make_sender(settings)
    limits = UploadLimits(int(settings.max_upload_mb * 2**20), settings.max_image_mp)
    inputs = Archive.open(settings.archive_location, prefix="inputs")
    intake = Intake(store, cards, cache, inputs, sender, limits, lookup=settings.submit_lookup)
    feed = ChangeFeed(lambda: connect(settings.broker_url, answer_s=5.0), prefix=store.prefix)
    return Services(settings, store, fleet, cards, cache, intake, feed, sender)


def connect(url: str, *, answer_s: float = 0.7) -> Redis:
    """A client that gives up soon: a caller hears 503 within a second, whatever Redis does."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=0.25,
        socket_timeout=answer_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def remembered(ask: Callable[[], T], fresh_s: float, clock: Callable[[], float] = time.monotonic) -> Callable[[], T]:
    """`ask`, asked again at most every `fresh_s` seconds; nothing is remembered of a call that raised."""
    held: list[tuple[float, T]] = []

    def answer() -> T:
        now = clock()
        if not held or now - held[0][0] > fresh_s:
            held[:] = [(now, ask())]
        return held[0][1]

    return answer
