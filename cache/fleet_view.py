"""What the shared state says about every process of the fleet, read in one round trip and put into figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cache.redis_admin import stats_shown
from cache.redis_link import RedisLink
from cache.stats import Snapshot, add_counters, local_stats


@dataclass(frozen=True, slots=True)
class Process:
    """One process as of its last heartbeat."""

    snapshot: Snapshot
    seen_s_ago: float
    alive: bool


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Which processes that are alive follow the present version of configuration, clears and deletes."""

    version: int
    applied: list[str]
    pending: list[str]


def name_of(process: bytes) -> str:
    """The worker's own name; behind it stands what tells its starts apart."""
    return process.decode().rpartition("#")[0]


def read_confirmations(link: RedisLink, version: int, silence_s: float) -> Confirmations:
    """One look at who has confirmed `version`."""
    applied, seen, (seconds, micros) = link.round_trip(
        ("ZRANGE", f"{link.tag}:applied", 0, -1, "WITHSCORES"),
        ("ZRANGE", f"{link.tag}:seen", 0, -1, "WITHSCORES"),
        ("TIME",),
    )
    oldest = seconds * 1e6 + micros - silence_s * 1e6
    versions = {process: int(float(score)) for process, score in _pairs(applied)}
    alive = [process for process, score in _pairs(seen) if float(score) >= oldest]
    done = {process for process in alive if versions.get(process, 0) >= version}
    return Confirmations(
        version,
        applied=sorted(name_of(process) for process in done),
        pending=sorted(name_of(process) for process in alive if process not in done),
    )


def read_stats(link: RedisLink, silence_s: float) -> dict[str, Any]:
    """Totals, processes and the shared tier, as `FleetCache.stats` shows them."""
    state, size, memory, server, workers, seen, totals, (seconds, micros) = link.read_state(
        ("ZCARD", f"{link.tag}:order"),
        ("INFO", "memory"),
        ("INFO", "server"),
        ("HGETALL", f"{link.tag}:workers"),
        ("ZRANGE", f"{link.tag}:seen", 0, -1, "WITHSCORES"),
        ("HGETALL", f"{link.tag}:totals"),
        ("TIME",),
    )
    now = seconds + micros / 1e6
    processes = _processes(workers, {name: float(score) / 1e6 for name, score in _pairs(seen)}, now, silence_s)
    shared = stats_shown(state, size, memory, server)
    counters = add_counters([totals, *(process.snapshot.counters for process in processes)])
    together = local_stats(counters, [process.snapshot.loads for process in processes if process.alive])
    saved_s = counters.get("saved_ms", 0) / 1000 + shared["gpu_seconds_saved"]
    return {
        "timestamp": now,
        "stats": together | {"gpu_seconds_saved": round(saved_s, 3), "archive_hits": counters.get("archive_hits", 0)},
        "local": {"workers": [_shown(process) for process in processes]},
        "shared": shared,
        "archive_usage": json.loads(state.get(b"archive_usage", b"null")),
        "enabled": state.get(b"enabled"),
    }


def read_local_rows(link: RedisLink, silence_s: float) -> list[dict[str, Any]]:
    """Entries of the local tiers of processes that are alive, the latest stored first, each with its `worker`."""
    entries, seen, (seconds, micros) = link.round_trip(
        ("HGETALL", f"{link.tag}:local"), ("ZRANGE", f"{link.tag}:seen", 0, -1, "WITHSCORES"), ("TIME",)
    )
    now = seconds + micros / 1e6
    alive = {process for process, score in _pairs(seen) if float(score) / 1e6 >= now - silence_s}
    rows = [
        row | {
            "age_seconds": max(0.0, now - row["timestamp"]),
            "expired": row["expires_at"] is not None and row["expires_at"] <= now,
            "worker": name_of(process),
        }
        for process, text in entries.items()
        if process in alive
        for row in json.loads(text)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["timestamp"], row["key"], row["worker"]))


def _processes(
    workers: Mapping[bytes, bytes], seen: Mapping[bytes, float], now: float, silence_s: float
) -> list[Process]:
    found = []
    for process, text in workers.items():
        ago = max(0.0, now - seen.get(process, 0.0))
        found.append(Process(Snapshot.from_json(text), ago, ago <= silence_s))
    return sorted(found, key=lambda process: (process.snapshot.id, process.snapshot.started))


def _shown(process: Process) -> dict[str, Any]:
    snapshot = process.snapshot
    return {
        "id": snapshot.id,
        "host": snapshot.host,
        "queue": snapshot.queue,
        "pid": snapshot.pid,
        "started": snapshot.started,
        "alive": process.alive,
        "seen_s_ago": round(process.seen_s_ago, 3),
        "cache_enabled": snapshot.enabled,
        "stats": snapshot.stats(),
    }


def _pairs(flat: list[Any]) -> list[tuple[bytes, Any]]:
    """Members and scores of a WITHSCORES answer, which redis-py has paired only when it knew the option."""
    if flat and isinstance(flat[0], tuple):
        return flat
    return list(zip(flat[::2], flat[1::2], strict=True))
