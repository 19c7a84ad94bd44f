"""Live: the changes of one job, and the fleet at work, as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Response, current_app, request
from flask.blueprints import BlueprintSetupState
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from api.auth import caller
from api.fleet_pulse import FleetLook, FleetPulse
from api.forwarded import links_from
from api.jobs import known
from api.places import Place, full, gate, keep_places
from api.problems import problems
from api.schemas import JobId, JobPath
from api.services import Services, services
from api.streams import JobLook, event, follow, watched

events = APIBlueprint("events", __name__, abp_tags=[Tag(name="events")], abp_responses=problems(404, 422, 503))

_ADMINS_ONLY = frozenset({"cache"})
_FIGURES = (
    "hits", "misses", "evictions", "current_items", "current_memory_mb", "max_items", "max_memory_mb",
)  # fmt: skip
_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


class FleetQuery(BaseModel):
    job: list[JobId] = Field([], max_length=100, description="Tell of these jobs too, as events named `job`")


@events.record
def _open(state: BlueprintSetupState) -> None:
    house: Services = state.app.extensions["orfeas"]
    keep_places(state.app, house.settings)
    state.app.extensions["orfeas-pulse"] = FleetPulse(lambda: fleet_now(house))


@events.get("/api/jobs/<job_id>/events", responses={200: _STREAM, 204: {"description": "The end was told already"}})
def stream_job(path: JobPath) -> Response:
    """One event per change of status, stage or progress, the job's body as data; ends when the job has ended.

    The first event is the present state, unless `Last-Event-ID` says that it is known.
    """
    house = services()
    job = known(house, path.job_id)
    told = request.headers.get("Last-Event-ID", "")
    if job.ended and told == job.rev:
        return Response(status=204)  # on which a browser stops coming back
    look = JobLook(house.store, [job.id], seen={job.id: told}, links_from=links_from())
    return streamed(_job_stream(house, look, job.id))


@events.get("/api/events", responses={200: _STREAM})
def stream_fleet(query: FleetQuery) -> Response:
    """Workers, queue depths and, for admins, the cache, as events named `fleet` whenever they change.

    With `job` given, jobs' bodies too, as events named `job`: one connection for a whole page.
    """
    house = services()
    house.store.depths()  # a stream that could tell nothing is refused at once: poll, and see what is wrong
    for job_id in query.job:
        known(house, job_id)
    jobs = JobLook(house.store, query.job, seen={}, name="job", links_from=links_from())
    pulse: FleetPulse = current_app.extensions["orfeas-pulse"]
    hidden = frozenset() if caller().admin else _ADMINS_ONLY
    fleet = FleetLook(pulse, hidden=hidden, tell=lambda text: event(text, name="fleet"))
    return streamed(_fleet_stream(house, pulse, jobs, fleet, query.job))


def streamed(body: Iterator[str]) -> Response:
    """Raises: Problem 503 when this process holds as many streams as it may, or as this caller may have."""
    behind, owner = gate(), caller().owner
    if not behind.enter(owner):
        raise full()
    response = Response(Place(behind, owner, body), mimetype="text/event-stream")
    # Nginx would hold events back until its buffer is full.
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    return response


def _job_stream(house: Services, look: JobLook, job_id: str) -> Iterator[str]:
    with watched(house.feed, [job_id]) as changed:
        yield from follow(changed, look, lambda: look.done)


def _fleet_stream(house: Services, pulse: FleetPulse, jobs: JobLook, fleet: FleetLook, ids: list[str]) -> Iterator[str]:
    with watched(house.feed, ids) as changed, pulse.watching(changed):
        yield from follow(changed, lambda: chain(jobs(), fleet()), lambda: False)


def fleet_now(house: Services) -> dict[str, Any]:
    """Queue depths, workers and tiers, without what changes by the mere passing of time."""
    patience_s = house.settings.heartbeat_timeout_s
    workers = [
        {
            "id": one.id, "host": one.host, "queue": one.queue, "device": one.device, "doing": one.doing or None,
            "alive": one.alive(patience_s), "ready": one.ready(patience_s),
        }
        for one in house.fleet.workers()
    ]  # fmt: skip
    return {"queues": house.store.depths(), "workers": workers, "cache": cache_now(house.fleet_cache.stats())}


def cache_now(told: dict[str, Any]) -> dict[str, Any]:
    """Of the figures of `/api/cache/stats`, those to watch; its words."""
    usage = (told["archive"] or {}).get("usage") or {}
    return {
        "enabled": told["cache_enabled"],
        "gpu_seconds_saved": told["stats"]["gpu_seconds_saved"],
        "local": {name: told["stats"].get(name) for name in _FIGURES},
        "shared": {name: told["shared"].get(name) for name in _FIGURES},
        "archive": {
            "hits": told["stats"].get("archive_hits", 0),
            "objects": usage.get("objects"),
            "memory_mb": usage.get("memory_mb"),
        },
    }
