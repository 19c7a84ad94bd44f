"""Asks the API, over HTTP as everybody does, what the stack still lacks before it can take work."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from settings import Settings

ANSWER_WITHIN_S = 2.0


@dataclass(frozen=True)
class Missing:
    """What is waited for, in words; `elsewhere`: no program of this host can bring it."""

    text: str
    elsewhere: bool = False


class Readiness:
    """What is missing on this host, by `settings`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.local_url
        self._wanted = {"generate": settings.generate_workers, "render": settings.render_workers}
        self._redis = Missing("waiting for Redis")
        if settings.redis_url:
            hint = "waiting for the Redis of REDIS_URL; `orfeas doctor` says what is wrong with it"
            self._redis = Missing(hint, elsewhere=True)
        self._workers_elsewhere = Missing(
            f"{self._url} answers, and refuses jobs (503) until a generate worker of another host signs in",
            elsewhere=True,
        )

    def missing(self) -> Missing | None:
        """What is waited for; `None` when work is accepted and every worker has signed in."""
        health = self._get("/health")
        if health is None:
            return Missing("waiting for the API")
        if health["redis"] != "ok":
            return self._redis
        here = [worker for worker in health["workers"] if worker["ready"] and worker["host"] == socket.gethostname()]
        for queue, wanted in self._wanted.items():
            signed_in = sum(worker["queue"] == queue for worker in here)
            if signed_in < wanted:
                return Missing(f"waiting for {queue} workers: {signed_in} of {wanted} signed in")
        if self._get("/ready"):
            return None
        return Missing("waiting for the API to accept work") if self._wanted["generate"] else self._workers_elsewhere

    def _get(self, path: str) -> dict[str, Any] | None:
        # This host is asked, never a proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with (
            contextlib.suppress(OSError, http.client.HTTPException, ValueError),
            opener.open(self._url + path, timeout=ANSWER_WITHIN_S) as answer,
        ):
            return dict(json.load(answer))
        return None
