"""Cache administration over the whole fleet: figures, configuration, clearing, entries. For admins."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi import APIBlueprint, Tag
from pydantic import ValidationError

from api import cache_schemas as bodies
from api.cache_schemas import ClearQuery, ConfigChange, EntriesQuery, EntryBody, EntryPath, instant
from api.errors import Problem, invalid
from api.problems import problems
from api.services import services
from cache import MISSING
from jobs.errors import BadParameters, FieldError

cache_admin = APIBlueprint(
    "cache_admin", __name__, url_prefix="/api/cache", abp_tags=[Tag(name="cache")],
    abp_responses=problems(401, 403, 429, 503),
)  # fmt: skip
_CHANGE = {"content": {"application/json": {"schema": ConfigChange.model_json_schema()}}}


@cache_admin.get("/stats", responses={200: bodies.StatsBody})
def read_stats() -> dict[str, Any]:
    """Fleet totals, every process, every tier; totals survive restarts."""
    told = services().fleet_cache.stats()
    return bodies.StatsBody(**told | {"timestamp": instant(told["timestamp"])}).model_dump(mode="json")


@cache_admin.get("/config", responses={200: bodies.ConfigBody})
def read_config() -> dict[str, Any]:
    """The configuration in force, and which processes have applied it."""
    return bodies.ConfigBody(**services().fleet_cache.config()).model_dump()


@cache_admin.post("/config", request_body=_CHANGE, responses={200: bodies.ConfigBody, **problems(400)})
def change_config() -> dict[str, Any]:
    """Change limits for all processes, running and future; all fields or none."""
    try:
        changes = ConfigChange.model_validate(request.get_json(silent=True)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise invalid(error, status=400) from None
    return bodies.ConfigBody(**services().fleet_cache.configure(wait_s=0.5, **changes)).model_dump()


@cache_admin.post("/clear", responses={200: bodies.ClearBody, **problems(422)})
def clear(query: ClearQuery) -> dict[str, Any]:
    """Empty tiers of every process."""
    return bodies.ClearBody(**services().fleet_cache.clear(query.tier, wait_s=0.5)).model_dump()


@cache_admin.get("/entries", responses={200: bodies.EntriesBody, **problems(422)})
def list_entries(query: EntriesQuery) -> dict[str, Any]:
    """One tier's entries, the most recently used first."""
    try:
        rows, cursor = services().fleet_cache.entries(query.tier, query.limit, query.cursor)
    except ValueError as error:
        raise BadParameters([FieldError("cursor", str(error))]) from None
    page = bodies.EntriesBody(entries=[EntryBody.of(row) for row in rows], next_cursor=cursor or None)
    return page.model_dump(mode="json")


@cache_admin.get("/entries/<key>", responses={200: bodies.EntryInTiersBody, **problems(404, 422)})
def read_entry(path: EntryPath) -> dict[str, Any]:
    """One entry, in every tier that has it."""
    entry = services().fleet_cache.entry(path.key)
    if entry is MISSING:
        raise no_entry(path.key)
    found = bodies.EntryInTiersBody(
        key=path.key,
        local=[EntryBody.of(row) for row in entry["local"]],
        shared=entry["shared"] and EntryBody.of(entry["shared"]),
        archive=entry["archive"] and EntryBody.of(entry["archive"]),
    )
    return found.model_dump(mode="json")


@cache_admin.delete("/entries/<key>", responses={200: bodies.DeletedBody, **problems(404, 422)})
def delete_entry(path: EntryPath) -> dict[str, Any]:
    """Forget one entry in every tier of every process, the archive included."""
    if not services().fleet_cache.delete(path.key):
        raise no_entry(path.key)
    return bodies.DeletedBody(key=path.key, deleted=True).model_dump()


def no_entry(key: str) -> Problem:
    return Problem(404, "entry_not_found", f"no tier holds {key}")
