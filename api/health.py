"""Whether the service lives, and whether it can take work."""

from __future__ import annotations

from typing import Any

from flask_openapi import APIBlueprint, Tag
from redis import RedisError

from api.problems import problems
from api.schemas import HealthBody, ReadyBody, WorkerBody
from api.services import services
from cache.loops import THREADS
from version import VERSION

health = APIBlueprint("health", __name__, abp_tags=[Tag(name="service")])


@health.get("/health", responses={200: HealthBody})
def read_health() -> dict[str, Any]:
    """200 as long as this process lives, with the state of Redis, the queues and the workers."""
    house = services()
    gone = THREADS.gone()
    try:
        depths, workers, stalled = house.store.depths(), house.fleet.workers(), house.store.stalls()
    except RedisError:
        return HealthBody(
            status="degraded",
            version=VERSION,
            redis="down",
            queues={},
            stalled={},
            threads_gone=gone,
            notes=[],
            workers=[],
        ).model_dump()
    patience_s = house.settings.heartbeat_timeout_s
    bodies = [
        WorkerBody(
            id=one.id, host=one.host, queue=one.queue, device=one.device, alive=one.alive(patience_s),
            ready=one.ready(patience_s), seen_s_ago=round(one.seen_s_ago, 1), doing=one.doing or None,
            memory_used_mb=one.memory_used_mb, memory_total_mb=one.memory_total_mb,
            threads_gone=list(one.threads_gone),
        )
        for one in workers
    ]  # fmt: skip
    served = {body.queue for body in bodies if body.ready}
    lost = gone or any(stalled.values()) or any(body.threads_gone for body in bodies if body.alive)
    status = "degraded" if lost or not set(depths) <= served else "ok"
    return HealthBody(
        status=status,
        version=VERSION,
        redis="ok",
        queues=depths,
        stalled=stalled,
        threads_gone=gone,
        notes=house.fleet_cache.notes(),
        workers=bodies,
    ).model_dump()


@health.get("/ready", responses={200: ReadyBody, **problems(503)})
def read_ready() -> dict[str, Any]:
    """200 once a submission would be accepted: Redis answers and a generator is known."""
    house = services()
    house.intake.check_ready()
    return ReadyBody(ready=True).model_dump()
