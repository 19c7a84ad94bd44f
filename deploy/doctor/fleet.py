"""Does the API answer, and who works?"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

from redis import Redis, RedisError

from deploy.doctor.findings import Finding, fail, ok, warn
from jobs.fleet import Fleet, WorkerInfo
from jobs.records import QUEUES
from jobs.store import JobStore
from settings import Settings

PATIENCE_S = 3.0


def api_finding(settings: Settings) -> Finding:
    url = settings.local_url
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this host is asked, never a proxy
    try:
        with opener.open(f"{url}/health", timeout=PATIENCE_S) as answer:
            told = json.load(answer)
            return ok("api", f"version {told['version']} answers at {url}")
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return warn("api", f"nobody answers at {url}", "start the service with `./orfeas up`")
    except (ValueError, KeyError, TypeError):
        return fail("api", f"another program answers at {url}", "stop it, or set PORT")


def worker_findings(redis: Redis, settings: Settings, *, runs: bool) -> Iterator[Finding]:
    """Per queue, who is alive; nothing when Redis is away, which has its own line."""
    try:
        workers = Fleet(JobStore(redis)).workers()
    except RedisError:
        return
    finally:
        redis.close()
    for queue in QUEUES:
        yield _queue(queue, [one for one in workers if one.queue == queue], settings.heartbeat_timeout_s, runs)


def _queue(queue: str, workers: list[WorkerInfo], patience_s: float, runs: bool) -> Finding:
    name = f"{queue} workers"
    alive = [one for one in workers if one.alive(patience_s)]
    silent = len(workers) - len(alive)
    deaf = sum(not one.consuming for one in alive)
    if not alive:
        grade = fail if runs else warn
        says = f"none is alive{f', {silent} silent' if silent else ''}"
        return grade(name, says, "they start with `./orfeas up`; their log says why they end")
    devices = ", ".join(sorted({one.device for one in alive}))
    says = f"{len(alive)} alive on {devices}"
    if deaf:
        grade = fail if deaf == len(alive) else warn
        mend = "their log says what Redis refuses them; after `celery control cancel_consumer`, restart them"
        return grade(name, f"{says}, {deaf} of them take no work", mend)
    if silent:
        return warn(name, f"{says}, {silent} silent", "a silent one is forgotten and its work taken over by itself")
    return ok(name, says)
