"""Tells Docker and Kubernetes whether a container's program works: `python -m deploy.healthcheck api|worker`.

Ends with 0 or 1 and says why. A Redis that is down is nobody's reason to restart a worker, which waits for it.
"""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from settings import Settings, load

TIMEOUT_S = 5.0


def api(settings: Settings) -> str | None:
    """What is wrong with the API of this container; `None` when it answers."""
    address = urlsplit(settings.local_url)
    connection = http.client.HTTPConnection(address.hostname or "", settings.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except OSError as error:
        return f"no answer on port {settings.port}: {error}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"/health answered {status}"


def worker(settings: Settings) -> str | None:
    """What is wrong with the workers of this container; `None` when one beats and takes messages.

    Not `celery inspect ping`: the parent process answers that, whatever became of the child that works.
    """
    from redis import RedisError

    from cache.redis_client import make_plain_client
    from jobs.fleet import Fleet
    from jobs.store import JobStore

    client = make_plain_client(
        settings.broker_url, connect_timeout_s=TIMEOUT_S, timeout_s=TIMEOUT_S, decode_responses=True
    )
    try:
        here = [worker for worker in Fleet(JobStore(client)).workers() if worker.host == socket.gethostname()]
    except RedisError:
        return None
    if not here:
        return "no worker of this host has signed in"
    alive = [worker for worker in here if worker.alive(settings.heartbeat_timeout_s)]
    if not alive:
        return f"the last heartbeat was {min(worker.seen_s_ago for worker in here):.0f} s ago"
    # One that is told to stop takes none either, and must not be ended over the work that it finishes.
    well = any(worker.consuming or worker.doing for worker in alive)
    return None if well else "it takes no messages from its queue"


CHECKS: dict[str, Callable[[Settings], str | None]] = {"api": api, "worker": worker}


def main(role: str) -> int:
    problem = CHECKS[role](load(protected_mode=False))
    print(problem or "ok")
    return 1 if problem else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        raise SystemExit(f"usage: python -m deploy.healthcheck {'|'.join(CHECKS)}")
    raise SystemExit(main(sys.argv[1]))
