"""The API's composition root: everything a route may ask, built once per process."""

from __future__ import annotations

from dataclasses import dataclass

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
from jobs.fleet import Fleet
from jobs.intake import Intake, UploadLimits
from jobs.store import JobStore, StoreLimits
from settings import Settings

@dataclass(frozen=True)
class Services:
    """What the routes work with."""

    settings: Settings
    store: JobStore
    fleet: Fleet
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
    intake = Intake(store, fleet.cards, cache, inputs, sender, limits, lookup=settings.submit_lookup)
    feed = ChangeFeed(lambda: connect(settings.broker_url, answer_s=5.0), prefix=store.prefix)
    return Services(settings, store, fleet, cache, intake, feed, sender)


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
