"""JSON bodies of the cache administration. Sizes in MB of 2²⁰ bytes, times in RFC 3339 UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, field_validator

Tier = Literal["local", "shared", "archive"]
# Bounds far from any sensible value, so that no figure that is made of them divides by zero or overflows.
Entries = Annotated[int, Field(strict=True, ge=1, le=10**12)]
Megabytes = Annotated[float, Field(ge=0.001, le=10**9)]

_CURSORS: dict[Tier, re.Pattern[str]] = {
    "local": re.compile(r"[0-9]{1,12}"),  # a place
    "shared": re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})? [0-9a-f]{64}"),  # a score and a key
    "archive": re.compile(r"[0-9]{1,12}\.[0-9]{1,9} [0-9a-f]{64}"),  # a time and a key
}


class LocalFigures(BaseModel):
    """One local tier, or several together."""

    hits: int
    misses: int
    hit_rate_percent: float
    evictions: int
    evictions_by_count: int
    evictions_by_size: int
    current_items: int
    current_memory_mb: float
    max_items: int
    max_memory_mb: float
    memory_utilization_percent: float
    max_memory_seen_mb: float


class FleetFigures(LocalFigures):
    """All local tiers that ever were, and what hits of any tier have saved."""

    gpu_seconds_saved: float
    archive_hits: int = 0


class ProcessFigures(BaseModel):
    """One process as of its last heartbeat."""

    id: str
    host: str
    queue: str
    alive: bool
    seen_s_ago: float
    stats: LocalFigures


class LocalBody(BaseModel):
    workers: list[ProcessFigures]


class StatsBody(BaseModel):
    status: Literal["ok", "degraded"]
    cache_enabled: bool
    timestamp: datetime
    stats: FleetFigures
    local: LocalBody
    shared: dict[str, Any] = Field(description="The shared tier, its Redis, and advice for the operator")
    archive: dict[str, Any] = Field(description="The archive as this process sees it, and its use as counted last")


class ConfigChange(BaseModel):
    """What is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")

    max_size: Entries | None = Field(None, description="Entries of each local tier")
    max_memory_mb: Megabytes | None = None
    ttl_seconds: Annotated[float, Field(ge=0.001, le=100 * 365 * 86_400)] | None = None
    shared_max_size: Entries | None = None
    shared_max_memory_mb: Megabytes | None = None
    enabled: StrictBool | None = None


class Applied(BaseModel):
    """Ids of the processes that follow this configuration, and of those that have not said so yet."""

    applied: list[str]
    pending: list[str]


class ConfigBody(BaseModel):
    max_size: int | None
    max_memory_mb: float | None
    ttl_seconds: float | None
    shared_max_size: int
    shared_max_memory_mb: float
    enabled: bool
    policy: str
    version: int
    workers: Applied


class ClearQuery(BaseModel):
    tier: Literal["local", "shared", "archive", "all"] | None = Field(None, description="Default: local and shared")


class ClearBody(BaseModel):
    cleared: dict[str, int | None] = Field(description="Entries per tier; null where only the processes know")
    pending: list[str] = Field(description="Processes that have not confirmed yet")


class EntriesQuery(BaseModel):
    tier: Tier = "shared"
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(max_length=200, description="`next_cursor` of the page before")] = ""

    @field_validator("cursor")
    @classmethod
    def _is_of_the_tier(cls, cursor: str, told: ValidationInfo) -> str:
        if cursor and not _CURSORS[told.data.get("tier", "shared")].fullmatch(cursor):
            raise ValueError("is no `next_cursor` of this tier")
        return cursor


class EntryPath(BaseModel):
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="A content key")]


class EntryBody(BaseModel):
    key: str
    size_mb: float
    timestamp: datetime
    age_seconds: float
    access_count: int | None
    expires_at: datetime | None
    expired: bool
    generator: str | None = None
    kind: str | None = Field(None, description="generation or rendition")
    generation: str | None = Field(None, description="The `key` of the jobs that this entry belongs to")
    format: str | None = Field(None, description="Of a rendition: glb, obj, stl, ply, or png for a preview")
    cost_seconds: float | None = Field(None, description="What making it took")
    worker: str | None = Field(None, description="The process whose local tier holds it")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> EntryBody:
        meta = row.get("meta") or {}
        told = {
            "generator": meta.get("generator"), "kind": meta.get("kind"), "cost_seconds": row.get("cost_s"),
            "generation": meta.get("generation") or (row["key"] if meta.get("kind") == "generation" else None),
            "format": (meta.get("result") or {}).get("format"),
        }  # fmt: skip
        return cls(**{**row, **told, "timestamp": instant(row["timestamp"]), "expires_at": instant(row["expires_at"])})


class EntriesBody(BaseModel):
    entries: list[EntryBody]
    next_cursor: str | None


class EntryInTiersBody(BaseModel):
    key: str
    local: list[EntryBody]
    shared: EntryBody | None
    archive: EntryBody | None


class DeletedBody(BaseModel):
    key: str
    deleted: bool


def instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
