"""`GET /metrics`: how this service does, for Prometheus; and the timing of every HTTP request behind it.

Requests are timed in each process. Under several gunicorn processes the sums of all are told, through the files of
prometheus_client's multiprocess mode, which `gunicorn.conf.py` sets up; the fleet's figures come from Redis.
"""

from __future__ import annotations

import time

from flask import Flask, Response, current_app, g, request
from flask_openapi import APIBlueprint, Tag
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from api.fleet_metrics import FleetCollector
from api.services import services

metrics = APIBlueprint("metrics", __name__, abp_tags=[Tag(name="service")])

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def measure_requests(app: Flask) -> None:
    """Times every answer until its first byte, by method, route and class of status."""
    seconds = Histogram(
        "orfeas_http_request_seconds", "Time to the first byte of an answer", ["method", "route", "status"],
        buckets=_BOUNDS_S, registry=None,
    )  # fmt: skip
    app.extensions["orfeas-http-seconds"] = seconds

    @app.before_request
    def begin() -> None:
        g.measured_from = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        began = g.get("measured_from")
        if began is not None:
            method = request.method if request.method in _METHODS else "other"
            labels = (method, _route(), f"{response.status_code // 100}xx")
            seconds.labels(*labels).observe(time.perf_counter() - began)
        return response


@metrics.get("/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def read_metrics() -> Response:
    """Counters, gauges and histograms of this service and its fleet, for Prometheus."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)
    except ValueError:  # the only process: its own counts are all there are
        registry.register(current_app.extensions["orfeas-http-seconds"])
    registry.register(FleetCollector(services()))  # type: ignore[arg-type]  # it needs `collect` alone
    return Response(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})


def _route() -> str:
    """The route's pattern, never the path, of which there are endlessly many."""
    if request.url_rule is None:
        return "none"
    # An answer that was asked to be held back says nothing of how fast we are.
    return f"{request.url_rule.rule}?wait" if "wait" in request.args else request.url_rule.rule
