"""The administration of all tiers of all processes, from any process: figures, configuration, clearing, entries.

Everything is read from and written to the shared state in a fixed number of round trips, so that no worker is asked
and none has to be idle. What has been applied where is known from the processes' heartbeats.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from cache import redis_admin as admin
from cache.agent import own_config
from cache.fleet_config import config_shown, state_fields
from cache.fleet_view import Confirmations, read_confirmations, read_local_rows, read_stats
from cache.missing import MISSING, Missing
from cache.redis import RedisCache
from cache.redis_rebuild import rebuild_advice
from cache.stats import local_stats
from cache.tiered import TieredCache
from cache.values import checked_key

ClearTier = Literal["local", "shared", "archive", "all"]
_POLL_S = 0.005


class FleetCache:
    """`tiers` are those of this process; their limits are shown where nobody set others. `silence_s` is how long a
    process may be silent before it counts as gone."""

    def __init__(self, tiers: TieredCache, shared: RedisCache, *, silence_s: float = 10.0) -> None:
        self._tiers = tiers
        self._shared = shared
        self._link = shared.link
        self._archive = tiers.archive
        self._own = own_config(tiers)
        self._silence_s = silence_s

    def stats(self) -> dict[str, Any]:
        """Figures of every tier and process; totals include processes that are gone.

        `status` is "ok", or "degraded" when the shared state cannot be read.
        """
        read = self._link.attempt("fleet stats", lambda: read_stats(self._link, self._silence_s), None)
        answer: dict[str, Any] = {
            "status": "ok" if read else "degraded",
            "cache_enabled": self._tiers.enabled,
            "timestamp": time.time(),
            "stats": local_stats({}, []) | {"gpu_seconds_saved": 0.0, "archive_hits": 0},
            "local": {"workers": []},
            "shared": {"available": False},
        }
        usage = None
        if read is not None:
            usage, enabled = read.pop("archive_usage"), read.pop("enabled")
            answer |= read
            answer["cache_enabled"] = self._own.enabled if enabled is None else enabled == b"1"
        answer["shared"] |= {"breaker": self._link.breaker.state, "faults": self._link.fault_counts()}
        answer["archive"] = None if self._archive is None else self._archive.stats() | {"usage": usage}
        return answer

    def notes(self) -> list[str]:
        """What an operator should know of the shared tier's index, in sentences; nothing when Redis does not answer."""
        names = ("lost_at", "lost", "rebuild")
        asked = ("HMGET", self._link.state_key, *names)
        values = self._link.attempt("fleet notes", lambda: self._link.round_trip(asked)[0], [None] * len(names))
        state = {name.encode(): value for name, value in zip(names, values, strict=True) if value is not None}
        return rebuild_advice(state, time.time())

    def config(self) -> dict[str, Any]:
        """The configuration in force, its version, and which processes have applied it.

        Raises:
            SharedUnavailable: Redis did not answer.
        """
        return self._link.ask("fleet config", lambda: self._config(0.0))

    def configure(self, *, wait_s: float = 0.05, **changes: Any) -> dict[str, Any]:
        """Change `max_size`, `max_memory_mb`, `ttl_seconds`, `shared_max_size`, `shared_max_memory_mb`, `enabled` for
        all processes, running and future; answers like `config`, once all have applied it or `wait_s` has passed.

        Raises:
            ValueError: a value makes no sense; the message names the field, and nothing has changed.
            TypeError: there is no such setting.
            SharedUnavailable: Redis did not answer.
        """
        fields = state_fields(**changes)

        def change() -> dict[str, Any]:
            self._link.ensure_seed()
            if fields:
                self._link.configure("", fields)
                self._link.run("tidy", "")  # the first step; heartbeats and commits go on
            return self._config(wait_s)

        return self._link.ask("fleet config", change)

    def clear(self, tier: ClearTier | None = None, *, wait_s: float = 0.05) -> dict[str, Any]:
        """Empty tiers, by default the local ones and the shared one.

        Answers how many entries each had (of the local tiers nobody knows), and which processes have not confirmed it
        within `wait_s`. The archive is emptied before this returns, which takes as long as it takes.

        Raises:
            ValueError: there is no such tier.
            SharedUnavailable: Redis did not answer.
            ArchiveUnavailable: the archive did not do it.
        """
        tiers = {None: ("local", "shared"), "all": ("archive", "local", "shared")}.get(tier, (tier,))
        if not set(tiers) <= {"local", "shared", "archive"}:
            raise ValueError(f"tier is {tier!r}; it must be one of local, shared, archive, all (tier)")
        cleared: dict[str, int | None] = {}
        if "archive" in tiers:
            cleared["archive"] = self._archive.clear() if self._archive is not None else 0
            counted = ("HDEL", self._link.state_key, "archive_usage")  # until it is counted again
            self._link.attempt("archive usage", lambda: self._link.round_trip(counted), None)
        if tiers == ("archive",):
            return {"cleared": cleared, "pending": []}

        def clear() -> Confirmations:
            shared, local = "shared" in tiers, "local" in tiers
            answer = self._link.run("clear", int(shared), int(local))[0]
            cleared.update({"shared": int(answer[2])} if shared else {}, **({"local": None} if local else {}))
            self._link.run("tidy", "")
            return self._confirmations(int(answer[1]), wait_s)

        return {"cleared": cleared, "pending": self._link.ask("fleet clear", clear).pending}

    def entries(self, tier: str = "shared", limit: int = 100, cursor: str = "") -> tuple[list[dict[str, Any]], str]:
        """A page of one tier's entries, most recent first, and the next cursor.

        Raises:
            ValueError: there is no such tier, or the cursor is none of ours.
            SharedUnavailable, ArchiveUnavailable: the tier did not answer.
        """
        if tier == "shared":
            return self._link.ask("fleet entries", lambda: admin.entries(self._link, limit, cursor))
        if tier == "archive":
            return self._archive.entries(limit, cursor) if self._archive is not None else ([], "")
        if tier != "local":
            raise ValueError(f"tier is {tier!r}; it must be one of local, shared, archive (tier)")
        start = int(cursor or 0)
        rows = self._link.ask("fleet entries", lambda: read_local_rows(self._link, self._silence_s))
        return rows[start : start + limit], str(start + limit) if start + limit < len(rows) else ""

    def entry(self, key: str) -> dict[str, Any] | Missing:
        """One entry in every tier that has it: `{"key", "local": [...], "shared": {...}|None, "archive": {...}|None}`.

        Raises:
            InvalidKey: the key has not the form of one.
            SharedUnavailable, ArchiveUnavailable: a tier did not answer.
        """
        checked_key(key)
        rows = self._link.ask("fleet entry", lambda: read_local_rows(self._link, self._silence_s))
        local = [row for row in rows if row["key"] == key]
        shared = self._link.ask("fleet entry", lambda: admin.entry(self._link, key) or None)
        archive = self._archive.entry(key) if self._archive is not None else MISSING
        if not local and shared is None and archive is MISSING:
            return MISSING
        return {"key": key, "local": local, "shared": shared, "archive": archive or None}

    def delete(self, key: str) -> bool:
        """Forget one entry in every tier of every process; `False` when none of this process' tiers had it.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the archive did not do it; the others still have it.
            SharedUnavailable: Redis failed or refused; only the archive and this process have forgotten it.
        """
        return self._tiers.delete(key)

    def _config(self, wait_s: float) -> dict[str, Any]:
        (state,) = self._link.read_state()
        confirmed = self._confirmations(int(state[b"version"]), wait_s)
        workers = {"applied": confirmed.applied, "pending": confirmed.pending}
        return config_shown(state, self._own) | {"version": confirmed.version, "workers": workers}

    def _confirmations(self, version: int, wait_s: float) -> Confirmations:
        """Who has applied a version, as soon as all have or the time is up."""
        deadline = time.monotonic() + wait_s
        while True:
            confirmed = read_confirmations(self._link, version, self._silence_s)
            if not confirmed.pending or time.monotonic() >= deadline:
                return confirmed
            time.sleep(_POLL_S)
