"""One worker process: everything it needs, built after the fork, and the two threads that keep it alive.

Clients, models and threads do not survive a fork, so nothing of this exists in the parent.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from cache.agent import CacheAgent
from cache.archive import Archive
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.redis_client import make_plain_client
from cache.tiered import TieredCache
from cache.trace import TraceLog
from cache.values import MB
from jobs.broker import Sender
from jobs.fleet import Fleet, WorkerInfo
from jobs.janitor import Janitor, Shelf
from jobs.records import Queue
from jobs.store import JobStore, StoreLimits
from jobs.watch import Watch
from settings import Settings
from worker.attending import Attending
from worker.drain import Drain
from worker.pulse import Patience, Pulse
from worker.runner import Runner
from worker.workshop import Workshop

log = logging.getLogger(__name__)


class Process:
    """What a task needs, and the register entry that tells the fleet of it. `slot` is its place on this host."""

    def __init__(self, settings: Settings, sender: Sender, *, queue: Queue, slot: str) -> None:
        self.id = secrets.token_hex(8)
        workshop = Workshop(settings.device) if queue == "generate" else None
        limits = StoreLimits(queue_limit=settings.queue_limit, job_retention_s=settings.job_retention_s)
        store = JobStore(connect(settings.broker_url), limits)
        fleet = Fleet(store, max_attempts=settings.max_attempts)
        attending = Attending(store, max_attempts=settings.max_attempts)
        cards = workshop.cards() if workshop else []
        info = WorkerInfo(
            id=self.id, slot=slot, host=socket.gethostname(), pid=os.getpid(), queue=queue,
            device=workshop.device if workshop else "cpu", offers=tuple(card.name for card in cards),
        )  # fmt: skip
        cache, inputs = tiers(settings), Archive.open(settings.archive_location, prefix="inputs")
        self._agent = CacheAgent(cache, cache.shared, self.id, queue=queue, silence_s=settings.heartbeat_timeout_s)
        self.runner = Runner(self.id, store, cache, inputs, attending, workshop, max_megapixels=settings.max_image_mp)
        patience = Patience(settings.job_time_limit_s, settings.stall_limit_s)
        self._pulse = Pulse(
            info,
            cards,
            fleet,
            store,
            attending,
            patience,
            also=self._agent.beat,
            memory_mb=workshop.memory_mb if workshop else lambda: (0.0, 0.0),
        )
        self._drain = Drain(attending, grace_s=settings.stop_grace_s, end=self._give_up)
        self._watch = Watch(
            store, fleet, sender,
            heartbeat_timeout_s=settings.heartbeat_timeout_s, aging_s=settings.priority_aging_s,
        )  # fmt: skip
        shelves = [
            Shelf(inputs, settings.input_retention_s, settings.input_max_mb * MB),
            Shelf(
                cache.archive, settings.archive_retention_s, settings.archive_max_mb * MB,
                told=self._agent.note_archive_usage,
            ),
        ]  # fmt: skip
        self._janitor = Janitor(store, shelves, jobs_kept=settings.jobs_kept)
        self._fleet = fleet
        self._stop = threading.Event()
        self._heartbeat_s = settings.heartbeat_s

    def start(self) -> None:
        """Starts the heartbeat and the watch; both wait for a Redis that is not there yet."""
        self._drain.listen()
        self._thread("pulse", lambda: self._pulse.run(self._stop, every_s=self._heartbeat_s))
        self._agent.start_reader()
        self._thread("watch", lambda: self._watch.run(self._stop))
        self._thread("janitor", lambda: self._janitor.run(self._stop))

    def close(self) -> None:
        """Says good-bye: what this process held goes back at once."""
        self._stop.set()
        self._agent.close()
        self._watch.hand_over()
        self._fleet.leave(self.id)

    def _give_up(self) -> None:
        try:
            self._watch.hand_over()
        finally:
            self._pulse.give_back_and_end()

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()


def connect(url: str) -> Redis:
    """A worker's client: it may wait a little, since a short pause of Redis should not cost a minute of GPU."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), retries=3)
    return make_plain_client(
        url, connect_timeout_s=1.0, timeout_s=5.0, decode_responses=True, retry=retry, health_check_interval=30
    )


def tiers(settings: Settings) -> TieredCache:
    """The three tiers as this process sees them."""
    return TieredCache(
        LRUCache(settings.cache_max_size, settings.cache_max_memory_mb, settings.cache_ttl_seconds),
        RedisCache(**settings.shared_tier),
        Archive.open(settings.archive_location),
        enabled=not settings.disable_result_cache,
        trace=TraceLog(**settings.trace_log) if settings.trace_log else None,
    )
