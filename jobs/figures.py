"""What operators measure: totals, depths, durations and the state of Redis, read in a few round trips.

Counting happens in the scripts, in the step that is counted; here it is only read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError

from jobs.records import QUEUES, Queue
from jobs.scripts import TextRedis
from jobs.store import JobStore

# Upper bounds of all histograms in seconds; `observe` in lua/core.lua counts by the same.
BOUNDS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


@dataclass(frozen=True, slots=True)
class Durations:
    """One histogram: how many durations were at most each bound in seconds, the last infinite, and their sum."""

    cumulative: list[tuple[float, int]]
    sum_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """`counters` are totals since Redis was empty, by the names under which the scripts count.

    What the server says of itself is None where this user may not run INFO.
    """

    counters: dict[str, int]
    depths: dict[Queue, int]
    waits: dict[Queue, Durations]
    generations: dict[str, Durations]
    webhooks_pending: int
    memory_bytes: int | None
    memory_limit_bytes: int | None
    persisted: bool | None

    def by(self, prefix: str) -> dict[str, int]:
        """The counters below `prefix:`, by what follows it."""
        return {
            name.removeprefix(f"{prefix}:"): count
            for name, count in self.counters.items()
            if name.startswith(f"{prefix}:")
        }


def read_figures(store: JobStore) -> Figures:
    """Raises: redis.RedisError."""
    redis, prefix = store.redis, store.prefix
    pipeline = redis.pipeline(transaction=False)
    pipeline.hgetall(f"{prefix}:counters")
    pipeline.hkeys(f"{prefix}:pace")
    pipeline.smembers(f"{prefix}:owners")
    for queue in QUEUES:
        pipeline.zcard(f"{prefix}:queued:{queue}")
    counters, generators, owners, *depths = pipeline.execute()
    memory, persistence = _info(redis, "memory"), _info(redis, "persistence")
    for owner in owners:
        pipeline.zcard(f"{prefix}:webhooks:{owner}")
    for what in (*(f"wait:{queue}" for queue in QUEUES), *(f"generate:{name}" for name in generators)):
        pipeline.hgetall(f"{prefix}:seconds:{what}")
    answers = pipeline.execute()
    pending, durations = sum(answers[: len(owners)]), [_durations(fields) for fields in answers[len(owners) :]]
    return Figures(
        counters={name: int(count) for name, count in counters.items()},
        depths=dict(zip(QUEUES, depths, strict=True)),
        waits=dict(zip(QUEUES, durations, strict=False)),
        generations=dict(zip(generators, durations[len(QUEUES) :], strict=True)),
        webhooks_pending=pending,
        memory_bytes=memory["used_memory"] if memory else None,
        memory_limit_bytes=memory["maxmemory"] if memory else None,
        persisted=_is_persisted(persistence) if persistence else None,
    )


def _info(redis: TextRedis, section: str) -> Mapping[str, Any] | None:
    """What the server says of itself; None where this user may not ask."""
    try:
        info: Mapping[str, Any] = redis.info(section)
    except NoPermissionError:
        return None
    return info


def _durations(fields: Mapping[str, str]) -> Durations:
    total, cumulative = 0, []
    for bound in (*BOUNDS_S, math.inf):
        total += int(fields.get("+Inf" if bound == math.inf else f"{bound:g}", 0))
        cumulative.append((float(bound), total))
    return Durations(cumulative, float(fields.get("sum", 0)))


def _is_persisted(persistence: Mapping[str, Any]) -> bool:
    """Whether the last writes to disk went well, as far as Redis writes any."""
    words = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
    return all(persistence.get(word, "ok") == "ok" for word in words)
