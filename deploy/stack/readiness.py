"""Asks the API, over HTTP as everybody does, what the stack still lacks before it can take work."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.request
from typing import Any

from settings import Settings

ANSWER_WITHIN_S = 2.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Readiness:
    """What is missing on this host, by `settings`."""

    def __init__(self, settings: Settings) -> None:
        self._url = self.url_of(settings)
        self._wanted = {"generate": settings.generate_workers, "render": settings.render_workers}

    @staticmethod
    def url_of(settings: Settings) -> str:
        host = ANY_ADDRESS.get(settings.bind_host, settings.bind_host)
        return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"

    def missing(self) -> str | None:
        """What is waited for, in words; `None` when work is accepted and every worker has signed in."""
        health = self._get("/health")
        if health is None:
            return "waiting for the API"
        if health["redis"] != "ok":
            return "waiting for Redis"
        here = [worker for worker in health["workers"] if worker["ready"] and worker["host"] == socket.gethostname()]
        for queue, wanted in self._wanted.items():
            signed_in = sum(worker["queue"] == queue for worker in here)
            if signed_in < wanted:
                return f"waiting for {queue} workers: {signed_in} of {wanted} signed in"
        return None if self._get("/ready") else "waiting for the API to accept work"

    def _get(self, path: str) -> dict[str, Any] | None:
        # This host is asked, never a proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with (
            contextlib.suppress(OSError, http.client.HTTPException, ValueError),
            opener.open(self._url + path, timeout=ANSWER_WITHIN_S) as answer,
        ):
            return dict(json.load(answer))
        return None
