"""A process' part in the fleet: it says how its tiers do, and follows what was deleted, cleared and configured.

`beat` does all of that in a few round trips; whoever keeps the process' heartbeat calls it every two seconds or so,
and by that alone the process is never further behind than one beat. `start_reader` adds a thread that waits for
changes and follows them within milliseconds. Neither ever raises for a fault of Redis, and no job waits for them.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from cache.archive_listing import Usage
from cache.fleet_config import LocalConfig
from cache.loops import Loop
from cache.redis import RedisCache
from cache.redis_admin import stats
from cache.redis_link import connect
from cache.redis_rebuild import rebuild
from cache.stats import Snapshot, counters_of, loads_of
from cache.tiered import TieredCache

log = logging.getLogger(__name__)
ENTRIES_SHOWN = 100  # of each local tier, for the administration
_HOUSEKEEPING_STEPS = 16
_BLOCK_MS = 1000
_PAUSE_S = 0.2


class CacheAgent:
    """Make it after the fork, in the process whose tiers it looks after.

    `silence_s` is how long another process may be silent before it counts as gone.
    """

    def __init__(
        self,
        tiers: TieredCache,
        shared: RedisCache,
        worker_id: str,
        *,
        queue: str = "",
        host: str | None = None,
        silence_s: float = 10.0,
    ) -> None:
        self._tiers = tiers
        self._shared = shared
        self._link = shared.link
        self._id = worker_id
        # A process that starts again under its old name counts from 0, and is another one
        self._process = f"{worker_id}#{secrets.token_hex(4)}"
        self._queue = queue
        self._host = host or socket.gethostname()
        self._silence_us = round(silence_s * 1e6)
        self._started = time.time()
        self._own = self._configured = own_config(tiers)
        self._entries_sent = ""
        self._applied = 0
        self._catching_up = threading.Lock()
        self._stop = threading.Event()
        self._reader: Loop | None = None
        self._reading = connect(shared.url, timeout_s=_BLOCK_MS / 1000 + 1)
        self._silence_s = silence_s
        self._missed_beats = False
        self._heard_at = float("-inf")  # when the changes of others were followed last; so after a failed beat
        shared.link.on_version = self._on_version
        tiers.in_touch = self._in_touch

    @property
    def applied_version(self) -> int:
        """The version of the shared state that this process follows; 0 before the first beat."""
        return self._applied

    def beat(self) -> bool:
        """Write the snapshot, follow what has changed, help with housekeeping; `False` when Redis did not answer."""
        beaten = self._link.attempt("heartbeat", self._beat, False)
        if not beaten:
            self._missed_beats = True
            self._heard_at = float("-inf")
        return beaten

    def note_archive_usage(self, usage: Usage) -> None:
        """Keep what the archive holds for `FleetCache.stats`; for whoever has counted it."""
        noted = ("HSET", self._link.state_key, "archive_usage", json.dumps(usage.shown()))
        self._link.attempt("archive usage", lambda: self._link.round_trip(noted), None)

    def start_reader(self) -> None:
        """Follow changes as they happen, in a thread that ends with the process or with `close`."""
        self._reader = Loop("cache-reader", self._read, stop=self._stop).start()

    def close(self) -> None:
        """Stop the reader, and count this process into the totals at once."""
        self._stop.set()
        if self._reader is not None:
            self._reading.connection_pool.disconnect()  # it may be waiting for news
            self._reader.close(_BLOCK_MS / 1000 + 1)
        self._reading.close()
        self._link.attempt("heartbeat", lambda: self._link.run("beat", *self._beat_args(last=True)), None)

    def _beat(self) -> bool:
        if not self._applied:
            for line in stats(self._link)["advice"]:
                log.warning("shared tier: %s", line)
        self._catch_up()
        self._shared.settle()
        answer, version, phase, entries_there = self._link.run("beat", *self._beat_args())[0]
        if int(version) != self._applied:  # since a moment ago
            self._catch_up()
            self._link.run("beat", *self._beat_args())
        rebuild(self._link, phase)
        if entries_there == b"0":
            self._entries_sent = ""
        self._send_entries()
        for _ in range(_HOUSEKEEPING_STEPS):
            if answer == b"clean":
                break
            answer = self._link.run("tidy", "")[0][0]
        return True

    def _beat_args(self, *, last: bool = False) -> Sequence[Any]:
        return self._process, self._snapshot().to_json(), self._applied, self._silence_us, int(last)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            id=self._id,
            host=self._host,
            queue=self._queue,
            pid=os.getpid(),
            started=self._started,
            enabled=self._tiers.enabled,
            counters=counters_of(self._tiers),
            loads=loads_of(self._tiers.local),
        )

    def _send_entries(self) -> None:
        """What the local tier holds, when that has changed since it was sent."""
        if self._tiers.local is None:
            return
        rows = self._tiers.local.get_entries_summary(ENTRIES_SHOWN)
        for row in rows:
            del row["age_seconds"], row["expired"]  # the reader works them out
        text = json.dumps(rows, default=str)
        if text != self._entries_sent:
            self._link.round_trip(("HSET", f"{self._link.tag}:local", self._process, text))
            self._entries_sent = text

    def _on_version(self, version: int) -> None:
        """An answer of any script told a version: when it is news, follow it now, unless another thread is at it."""
        if self._applied and version != self._applied and self._catching_up.acquire(blocking=False):
            try:
                self._link.attempt("events", self._follow_up, None)  # what brought the news has succeeded all the same
            finally:
                self._catching_up.release()

    def _catch_up(self) -> None:
        with self._catching_up:
            self._follow_up()

    def _follow_up(self) -> None:
        """Obey what happened since the version applied last; where some of it is lost, forget everything local."""
        _, told, fields, events = self._link.run("news", self._applied)[0]
        version, state = int(told), dict(zip(fields[::2], fields[1::2], strict=True))
        if self._applied:
            seen = [int(event.partition(b"-")[0]) for event, _ in events]
            # By their number first: a Redis that lost everything counts on from its clock, many millions ahead.
            if len(seen) == version - self._applied and seen == list(range(self._applied + 1, version + 1)):
                for _, (kind, subject) in events:
                    self._obey(kind, subject)
            elif version != self._applied:
                log.info("cache: changes since %d are lost; the local tier starts empty", self._applied)
                self._tiers.clear_local()
        elif self._missed_beats:  # what changed before the first one that went through, nobody knows
            self._tiers.clear_local()
        self._configure(LocalConfig.from_state(state).over(self._own))
        self._applied = version
        self._heard_at = time.monotonic()

    def _in_touch(self) -> bool:
        return time.monotonic() - self._heard_at < self._silence_s

    def _obey(self, kind: bytes, subject: bytes) -> None:
        if kind == b"delete":
            self._tiers.forget_local(subject.decode())
        elif (kind, subject) == (b"clear", b"local"):
            self._tiers.clear_local()

    def _configure(self, config: LocalConfig) -> None:
        if config == self._configured:
            return
        self._configured = config
        if self._tiers.local is not None:
            self._tiers.local.update_config(
                config.max_size, config.max_memory_mb, default_ttl_seconds=config.ttl_seconds
            )
        self._tiers.enabled = bool(config.enabled)

    def _read(self) -> float:
        """Wait for changes on a connection of its own, follow them, and say so at once; answer how long to pause."""
        before = self._applied
        try:
            if before and not self._reading.xread(
                {f"{self._link.tag}:events": f"{before}-0"}, block=_BLOCK_MS, count=1
            ):
                return 0.0
        except (RedisError, OSError):
            return _PAUSE_S
        self.beat()
        return _PAUSE_S if self._applied == before else 0.0


def own_config(tiers: TieredCache) -> LocalConfig:
    """What a process was started with."""
    local = tiers.local.get_config() if tiers.local is not None else {}
    size = local.get("max_size")
    return LocalConfig(
        max_size=None if size is None else int(size),
        max_memory_mb=local.get("max_memory_mb"),
        ttl_seconds=local.get("default_ttl_seconds"),
        enabled=tiers.enabled,
    )
