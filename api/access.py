"""One log line per request, and one id from the caller through the worker and back."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

import logs

log = logging.getLogger("orfeas.access")

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_TOO_MANY_TO_LOG = frozenset({"health.read_health", "health.read_ready", "metrics.read_metrics"})


def request_id() -> str:
    """The id of the request that is being answered."""
    return g.get("request_id", "-")


def follow_requests(app: Flask) -> None:
    """Takes the caller's `X-Request-ID` over, or makes one; binds it to every log line of the request."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.began = time.perf_counter()
        logs.forget()
        logs.bind(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id()
        if request.endpoint not in _TOO_MANY_TO_LOG:
            caller = g.get("caller")
            log.info(
                "%s %s %d", request.method, request.path, response.status_code,
                extra={
                    "ms": round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 1),
                    "caller": caller.owner if caller else None,
                    "cache": response.headers.get("X-Cache"),
                },
            )  # fmt: skip
        return response
