"""One worker process: everything it needs, built after the fork, and the two threads that keep it alive.

Clients, models and threads do not survive a fork, so nothing of this exists in the parent.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading

from cache.agent import CacheAgent
from cache.archive import Archive
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.tiered import TieredCache
from cache.trace import TraceLog
from cache.values import MB
from jobs.broker import Sender
from jobs.fleet import Fleet, WorkerInfo
from jobs.janitor import Janitor, Shelf
from jobs.records import Queue
from jobs.store import JobStore, StoreLimits
from jobs.threads import report_failures
from jobs.watch import Watch
from settings import Settings
from worker.attending import Attending
from worker.consuming import Consuming
from worker.drain import Drain
from worker.link import connect
from worker.pulse import Patience, Pulse
from worker.runner import Runner
from worker.workshop import Workshop

log = logging.getLogger(__name__)


class Process:
    """What a task needs, and the register entry that tells the fleet of it. `slot` is its place on this host."""

    def __init__(self, settings: Settings, sender: Sender, *, queue: Queue, slot: str, consuming: Consuming) -> None:
        self.id = secrets.token_hex(8)
        workshop = Workshop(settings.device) if queue == "generate" else None
        limits = StoreLimits(queue_limit=settings.queue_limit, job_retention_s=settings.job_retention_s)
        store = JobStore(connect(settings.broker_url), limits)
        fleet = Fleet(store, max_attempts=settings.max_attempts, generator_wait_s=settings.generator_wait_s)
        attending = Attending(store, max_attempts=settings.max_attempts, generator_wait_s=settings.generator_wait_s)
        cards = workshop.cards() if workshop else []
        info = WorkerInfo(
            id=self.id, slot=slot, host=socket.gethostname(), pid=os.getpid(), queue=queue,
            device=workshop.device if workshop else "cpu",
            offers=tuple(card.name for card in cards if card.unavailable_because is None),
        )  # fmt: skip
        cache, inputs = tiers(settings), Archive.open(settings.archive_location, prefix="inputs")
        self._agent = CacheAgent(cache, cache.shared, self.id, queue=queue, silence_s=settings.heartbeat_timeout_s)
        self.runner = Runner(self.id, store, cache, inputs, attending, workshop, max_megapixels=settings.max_image_mp)
        patience = Patience(settings.job_time_limit_s, settings.stall_limit_s, silence_s=settings.heartbeat_timeout_s)
        self._pulse = Pulse(
            info,
            cards,
            fleet,
            store,
            attending,
            patience,
            also=self._also,
            consuming=consuming.confirmed,
            subscribe=consuming.subscribe,
            reconnect=consuming.reconnect,
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
        self._store = store
        self._stop = threading.Event()
        self._heartbeat_s = settings.heartbeat_s

    def start(self) -> None:
        """Starts the heartbeat and the watch; both wait for a Redis that is not there yet."""
        self._drain.listen()
        self._loops = [
            self._pulse.loop(self._stop, every_s=self._heartbeat_s).start(),
            self._watch.loop(self._stop).start(),
            self._janitor.loop(self._stop).start(),
        ]
        self._agent.start_reader()

    def close(self) -> None:
        """Says good-bye: what this process held goes back at once."""
        for loop in self._loops:
            loop.close()
        self._agent.close()
        self._watch.hand_over()
        self._fleet.leave(self.id)

    def _give_up(self) -> None:
        try:
            self._watch.hand_over()
        finally:
            self._pulse.give_back_and_end()

    def _also(self) -> None:
        self._agent.beat()
        report_failures(self._store)


def tiers(settings: Settings) -> TieredCache:
    """The three tiers as this process sees them."""
    return TieredCache(
        LRUCache(settings.cache_max_size, settings.cache_max_memory_mb, settings.cache_ttl_seconds),
        RedisCache(**settings.shared_tier),
        Archive.open(settings.archive_location),
        enabled=not settings.disable_result_cache,
        trace=TraceLog(**settings.trace_log) if settings.trace_log else None,
    )
