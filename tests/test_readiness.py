"""What a starting stack waits for: its own programs for a while, what only another host can bring for ever."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.stack import NotReady, Stack
from settings import Settings
from tests.servers import RedisServer, free_port, wait_until
from tests.test_stack import ROOT, WAIT, python

LIMIT_S = 0.3
ASKED_FOR_LONGER = 12  # questions, at most ten a second


class Api:
    """Answers as an API does whose Redis or fleet is not there yet."""

    def __init__(self) -> None:
        self.redis, self.workers, self.ready, self.asked = "down", [], False, 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked += self.path == "/health"
                body = json.dumps({"redis": api.redis, "workers": api.workers}).encode()
                self.send_response(200 if self.path == "/health" or api.ready else 503)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def asked_again(self, times: int) -> None:
        asked = self.asked
        wait_until(lambda: self.asked >= asked + times, 20, f"{times} more questions")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


class Waiting:
    """A stack of nothing but a program that waits, whose readiness is waited for in a thread."""

    def __init__(self, stack: Stack) -> None:
        self.told: list[str] = []
        self.raised: list[NotReady] = []
        self.done = threading.Event()
        self._stack = stack
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        try:
            self._stack.wait_ready(LIMIT_S, self.told.append, wait_for_others=True)
        except NotReady as error:
            self.raised.append(error)
        self.done.set()


def stack_of(api: Api, folder: Path, **values: Any) -> Stack:
    given = {"data_dir": folder, "port": api.port, "stop_grace_s": 1, "render_workers": 0, **values}
    return Stack(Settings(**given), [python("api", WAIT)])


def test_a_redis_elsewhere_and_workers_elsewhere_are_waited_for_without_limit(api: Api, tmp_path: Path) -> None:
    with stack_of(api, tmp_path, generate_workers=0, redis_url="redis://elsewhere:6379/0") as stack:
        waiting = Waiting(stack)
        api.asked_again(ASKED_FOR_LONGER)
        api.redis = "ok"
        api.asked_again(ASKED_FOR_LONGER)
        assert [text.split("; ")[0] for text in waiting.told] == [
            "waiting for the Redis of REDIS_URL",
            f"{stack.url} answers, and refuses jobs (503) until a generate worker of another host signs in",
        ]
        assert not waiting.done.is_set()
        api.ready = True
        assert waiting.done.wait(10) and not waiting.raised


@pytest.mark.parametrize(
    ("redis", "values"),
    [
        ("down", {"generate_workers": 0}),  # the embedded one does not start
        ("ok", {"generate_workers": 1, "redis_url": "redis://elsewhere:6379/0"}),  # nor does the worker
    ],
)
def test_what_this_host_starts_by_itself_is_waited_for_so_long(
    redis: str, values: dict[str, Any], api: Api, tmp_path: Path
) -> None:
    api.redis = redis
    with stack_of(api, tmp_path, **values) as stack:
        waiting = Waiting(stack)
        assert waiting.done.wait(20) and waiting.raised


def test_a_worker_of_another_host_does_not_count_as_this_host_s(api: Api, tmp_path: Path) -> None:
    api.redis, api.ready = "ok", True
    api.workers = [{"ready": True, "host": f"not-{socket.gethostname()}", "queue": "generate"}]
    with stack_of(api, tmp_path, generate_workers=1) as stack, pytest.raises(NotReady, match="0 of 1"):
        stack.wait_ready(LIMIT_S)


def test_a_host_with_the_api_alone_stays_up_before_its_redis_and_before_any_worker(tmp_path: Path) -> None:
    server, port = RedisServer(), free_port()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path / "data"), "PORT": str(port),
        "FLOWER_PORT": "0", "GENERATE_WORKERS": "0", "RENDER_WORKERS": "0", "REDIS_URL": server.url,
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "deploy.stack"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: "waiting for the Redis of REDIS_URL" in log.read_text(), 60)
        with server:
            wait_until(lambda: "refuses jobs (503)" in log.read_text(), 30, "Redis to be found")
            answer = httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False)
            assert (answer.status_code, answer.json()["code"]) == (503, "no_generators")
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
