"""Looking at the shared tier and changing its limits: everything an operator asks, nothing that a job waits for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

from cache.limits import bytes_of_mb, optional_positive, positive, whole_number
from cache.missing import MISSING, Missing
from cache.record import Record
from cache.redis_health import advice
from cache.redis_link import RedisLink
from cache.redis_rebuild import rebuild, rebuild_advice
from cache.redis_transfer import Transfer
from cache.values import MB

Info = Mapping[str, Any]
Policy = Literal["lru", "gdsf"]
_PATIENCE_S = 2.0  # for deleting in steps; commits and heartbeats go on with what is left


def limit_fields(
    *,
    max_size: int | None = None,
    max_memory_mb: float | None = None,
    ttl_s: float | Missing | None = MISSING,
    policy: str | None = None,
) -> dict[str, Any]:
    """The fields of the state that hold these limits; what is left out is not in it.

    Raises:
        ValueError: a limit makes no sense; the message names it.
    """
    fields: dict[str, Any] = {}
    if max_size is not None:
        fields["max_size"] = whole_number("max_size", max_size)
    if max_memory_mb is not None:
        fields["max_bytes"] = bytes_of_mb("max_memory_mb", positive("max_memory_mb", max_memory_mb))
    if ttl_s is not MISSING:
        ttl_s = optional_positive("ttl_s", ttl_s)
        fields["ttl_ms"] = 0 if ttl_s is None else max(1, round(1000 * ttl_s))
    if policy is not None:
        if policy not in get_args(Policy):
            raise ValueError(f"policy is {policy!r}; it must be one of {', '.join(get_args(Policy))} (policy)")
        fields["policy"] = policy
    return fields


def limits_shown(state: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The limits in the units people set them in."""
    ttl_ms = int(state.get(b"ttl_ms", 0))
    return {
        "max_size": int(state[b"max_size"]),
        "max_memory_mb": int(state[b"max_bytes"]) / MB,
        "ttl_s": ttl_ms / 1000 if ttl_ms else None,
        "policy": state[b"policy"].decode(),
    }


def read_limits(link: RedisLink) -> dict[str, Any]:
    return limits_shown(link.read_state()[0])


def write_limits(link: RedisLink, transfer: Transfer, fields: Mapping[str, Any]) -> bool:
    link.ensure_seed()
    link.configure("", fields)
    _tidy_through(link, transfer)
    return True


def clear(link: RedisLink) -> int:
    cleared = int(link.run("clear", 1, 0)[0][2])
    _tidy_through(link, None)
    return cleared


def tidy(link: RedisLink, transfer: Transfer | None) -> bool:
    room = None
    if transfer is not None:
        transfer.refresh_health()
        room = transfer.health.room_bytes()
    answer, _, phase = link.run("tidy", "" if room is None else room)[0]
    return rebuild(link, phase) and bool(answer == b"clean")


def _tidy_through(link: RedisLink, transfer: Transfer | None) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not tidy(link, transfer) and time.monotonic() < deadline:
        pass


def stats(link: RedisLink) -> dict[str, Any]:
    state, size, memory, server = link.read_state(
        ("ZCARD", f"{link.tag}:order"), ("INFO", "memory"), ("INFO", "server")
    )
    return stats_shown(state, size, memory, server)


def stats_shown(state: Mapping[bytes, bytes], size: int, memory: Info, server: Info) -> dict[str, Any]:
    """The state and two sections of INFO as figures; memory in MB of 1024 × 1024 bytes, as Redis really charges it."""

    def number(field: str) -> int:
        return int(state.get(field.encode(), 0))

    limits = limits_shown(state)
    lookups, live_bytes = number("hits") + number("misses"), number("bytes") - number("stale_bytes")
    return {
        "available": True,
        "hits": number("hits"),
        "misses": number("misses"),
        "hit_rate_percent": round(100 * number("hits") / lookups, 2) if lookups else 0.0,
        "evictions": number("evictions_by_count") + number("evictions_by_size"),
        "evictions_by_count": number("evictions_by_count"),
        "evictions_by_size": number("evictions_by_size"),
        "expirations": number("expirations"),
        "corruptions": number("corruptions"),
        "stores": number("stores"),
        "refused": number("refused"),
        "gpu_seconds_saved": number("saved_ms") / 1000,
        "index_rebuilds": number("rebuilds"),
        "current_items": size - number("stale"),
        "current_memory_mb": live_bytes / MB,
        "max_items": limits["max_size"],
        "max_memory_mb": limits["max_memory_mb"],
        "memory_utilization_percent": round(100 * live_bytes / number("max_bytes"), 2),
        "ttl_seconds": limits["ttl_s"],
        "policy": limits["policy"],
        "redis": {
            "version": server.get("valkey_version") or server.get("redis_version"),
            "used_memory_mb": memory["used_memory"] / MB if memory else None,
            "maxmemory_mb": memory["maxmemory"] / MB if memory else None,
            "maxmemory_policy": memory.get("maxmemory_policy"),
        },
        "advice": rebuild_advice(state, time.time()) + advice(memory, number("max_bytes")),
    }


def entries(link: RedisLink, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str]:
    page, (seconds, micros) = link.run("list", limit, cursor, also=[("TIME",)])
    now_us = seconds * 1_000_000 + micros
    rows = [page[i : i + 4] for i in range(2, len(page), 4)]
    shown = [Record.parse(record).summary(key.decode(), int(hits), now_us) for key, _, record, hits in rows]
    more = f"{rows[-1][1].decode()} {rows[-1][0].decode()}" if len(rows) == limit else ""
    return shown, more


def entry(link: RedisLink, key: str) -> dict[str, Any] | Missing:
    text, hits, epoch, (seconds, micros) = link.round_trip(
        ("HGET", f"{link.tag}:entries", key), ("HGET", f"{link.tag}:hits", key), ("HGET", link.state_key, "epoch"),
        ("TIME",),
    )  # fmt: skip
    record = None if text is None else Record.parse(text)
    if record is None or epoch is None or record.epoch != int(epoch):
        return MISSING
    return record.summary(key, int(hits or 0), seconds * 1_000_000 + micros)
