"""The API's composition root: everything a route may ask, built once per process."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from flask import current_app
from redis import Redis

from api.queue import make_sender
from cache.agent import CacheAgent
from cache.archive import Archive
from cache.fleet import FleetCache
from cache.loops import Loop
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.redis_client import make_client
from cache.tiered import TieredCache
from cache.trace import TraceLog
from jobs.broker import Sender
from jobs.feed import ChangeFeed
from jobs.fleet import Fleet
from jobs.intake import Intake, UploadLimits
from jobs.store import JobStore, StoreLimits
from jobs.threads import report_failures
from settings import Settings

_ARCHIVE_PATIENCE_S = 5.0  # of one request: a bucket that hangs must not hold a caller for long


@dataclass(frozen=True)
class Services:
    """What the routes work with."""

    settings: Settings
    store: JobStore
    fleet: Fleet
    cache: TieredCache
    fleet_cache: FleetCache
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
    fleet = Fleet(store, max_attempts=settings.max_attempts, generator_wait_s=settings.generator_wait_s)
    shared = RedisCache(**settings.shared_tier)
    archive = Archive.open(settings.archive_location, timeout_s=_ARCHIVE_PATIENCE_S)
    enabled = not settings.disable_result_cache
    trace = TraceLog(**settings.trace_log) if settings.trace_log else None
    cache = TieredCache(None, shared, archive, enabled=enabled, trace=trace)
    # Never looked into: it says what the workers' local tiers are where nobody has set anything else.
    as_on_workers = LRUCache(settings.cache_max_size, settings.cache_max_memory_mb, settings.cache_ttl_seconds)
    fleet_cache = FleetCache(
        TieredCache(as_on_workers, shared, archive, enabled=enabled), shared, silence_s=settings.heartbeat_timeout_s
    )
    sender = make_sender(settings)
    limits = UploadLimits(int(settings.max_upload_mb * 2**20), settings.max_image_mp)
    inputs = Archive.open(settings.archive_location, prefix="inputs", timeout_s=_ARCHIVE_PATIENCE_S)
    intake = Intake(store, fleet.cards, cache, inputs, sender, limits, lookup=settings.submit_lookup)
    feed = ChangeFeed(lambda: connect(settings.broker_url, answer_s=5.0), prefix=store.prefix)
    return Services(settings, store, fleet, cache, fleet_cache, intake, feed, sender)


def follow_fleet(house: Services) -> None:
    """Keeps this process' tiers in step with the fleet and counts them, and its threads' failures, into the totals."""
    Loop("thread-counts", lambda: report_failures(house.store), every_s=house.settings.heartbeat_s).start()
    shared = house.cache.shared
    if shared is None:
        return
    agent = CacheAgent(
        house.cache, shared, f"api-{secrets.token_hex(4)}", queue="api", silence_s=house.settings.heartbeat_timeout_s
    )
    Loop("cache-beat", agent.beat, every_s=house.settings.heartbeat_s).start()
    agent.start_reader()


def connect(url: str, *, answer_s: float = 0.5) -> Redis:
    """A client that gives up soon: a caller hears 503 within a second, whatever Redis does."""
    return make_client(url, connect_timeout_s=0.25, timeout_s=answer_s, decode_responses=True)
