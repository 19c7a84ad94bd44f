"""A small real HTTP server that answers as the REST contract says, for tests of the client; it knows no Orfeas code."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import make_server

MESH = bytes(range(256)) * 4096
ETAG = f'"{hashlib.sha256(MESH).hexdigest()}"'
RESULT = {"format": "glb", "size_bytes": len(MESH), "faces": 1200, "watertight": True, "size_mm": [50, 40, 20]}
RESULT["sha256"] = hashlib.sha256(MESH).hexdigest()


class Service:
    """What was asked, and what to answer: `next_answers` come first, whatever is asked; then the job's own states."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Any] = []
        self.asked_again = threading.Condition()
        self.next_answers: list[Callable[[], Response]] = []
        self.states: list[dict[str, Any]] = [{"status": "succeeded"}]
        self.jobs: dict[str, str] = {}

    def job(self, job_id: str = "j1") -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        done = state["status"] == "succeeded"
        body = {"id": job_id, "generator": "inflate", "options": {"format": "glb"}, "cache": "MISS" if done else None}
        return body | {"result": RESULT if done else None, "label": None, "a_field_of_tomorrow": 1} | state

    def wait_for(self, seen: Callable[[], bool], limit_s: float) -> bool:
        """Whether it came true before the deadline; looked at after each request."""
        with self.asked_again:
            return self.asked_again.wait_for(seen, limit_s)

    def paths(self) -> list[str]:
        return [f"{one.method} {one.full_path.rstrip('?')}" for one in self.asked]


def problem(
    status: int, code: str, headers: dict[str, str] | None = None, retryable: bool | None = None, **more: object
) -> Callable[[], Response]:
    again = status in (429, 503) if retryable is None else retryable
    body = {"title": code, "status": status, "detail": f"no: {code}", "code": code, "retryable": again, **more}
    return lambda: Response(json.dumps(body), status, headers, content_type="application/problem+json")


def cut_after(size: int, status: int = 200, start: int = 0) -> Callable[[], Response]:
    """A mesh whose connection breaks after so many bytes."""
    headers = {"Content-Length": str(len(MESH) - start), "ETag": ETAG}
    return lambda: Response(iter([MESH[start : start + size]]), status, headers, content_type="model/gltf-binary")


def events(*bodies: dict[str, Any], first_id: int = 1) -> Callable[[], Response]:
    text = "".join(f"id: {first_id + n}\ndata: {json.dumps(body)}\n\n" for n, body in enumerate(bodies))
    return lambda: Response(f": heartbeat\nretry: 10\n\n{text}", content_type="text/event-stream")


def make_app(service: Service) -> Flask:
    app = Flask(__name__)

    @app.before_request
    def canned() -> Response | None:
        request.get_data()
        with service.asked_again:
            service.asked.append(request._get_current_object())  # type: ignore[attr-defined]
            service.asked_again.notify_all()
        return service.next_answers.pop(0)() if service.next_answers else None

    @app.post("/api/jobs")
    def submit() -> tuple[Any, int]:
        key = request.headers["Idempotency-Key"]
        return service.job(service.jobs.setdefault(key, f"j{len(service.jobs) + 1}")), 202

    @app.get("/api/jobs/<job_id>")
    def show(job_id: str) -> Any:
        return service.job(job_id)

    @app.delete("/api/jobs/<job_id>")
    def cancel(job_id: str) -> Any:
        return service.job(job_id) | {"status": "canceled", "result": None}

    @app.get("/api/jobs")
    def page() -> Any:
        start = int(request.args.get("cursor", 0))
        jobs = [service.job(f"j{n}") for n in range(start, start + 2)]
        return {"jobs": jobs, "next_cursor": str(start + 2) if start < 4 else None}

    @app.get("/api/jobs/<_job>/model.<_format>")
    @app.get("/api/jobs/<_job>/preview.png")
    def model(_job: str, _format: str = "png") -> Response:
        answer = Response(MESH, headers={"ETag": ETAG}, content_type="model/gltf-binary")
        return answer.make_conditional(request, accept_ranges=True, complete_length=len(MESH))

    @app.get("/api/generators")
    def generators() -> Any:
        parameters = {
            "properties": {"depth": {"type": "number", "minimum": 0, "default": 0.5, "description": "How deep"}}
        }
        return {"generators": [{"name": "inflate", "title": "Inflates", "default": True, "parameters": parameters}]}

    @app.get("/api/cache/stats")
    def stats() -> Any:
        return {"status": "ok", "cache_enabled": True, "stats": {"hits": 3, "hit_rate": 0.75}, "shared": {"hits": 1}}

    @app.route("/api/cache/config", methods=["GET", "POST"])
    def config() -> Any:
        return {"max_size": 1000} | (request.get_json(silent=True) or {})

    return app


@contextmanager
def serving() -> Iterator[Service]:
    """A service of its own on a free port."""
    service = Service()
    server = make_server("127.0.0.1", 0, make_app(service), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    yield service
    server.shutdown()
    thread.join()
    server.server_close()
