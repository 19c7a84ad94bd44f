"""gunicorn as people run it: works, or is refused at start with a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis

from cache.redis import RedisCache
from tests.e2e.processes import ROOT, Running
from tests.servers import free_port, wait_until

START_S, STOP_S = 60.0, 15.0
SECRET = "hunter2"


class Site:
    """gunicorn with options of its own; `bind` is where it is reached."""

    def __init__(self, redis_url: str, folder: Path, bind: str, arguments: Sequence[str], variable: str) -> None:
        self.shared = RedisCache(redis_url)
        environment = {
            "REDIS_URL": redis_url, "DATA_DIR": str(folder / "data"), "HEARTBEAT_S": "0.2",
            "GUNICORN_CMD_ARGS": variable,
        }  # fmt: skip
        command = [sys.executable, "-m", "gunicorn", "--bind", bind, *arguments, "api.wsgi:app"]
        self.program = Running("api", command, environment, folder / "log")
        path = bind.removeprefix("unix:") if bind.startswith("unix:") else None
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=path), timeout=10, base_url=f"http://{'localhost' if path else bind}"
        )

    def answers(self) -> bool:
        assert self.program.alive, self.program.tail()
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def beating(self) -> set[int]:
        """Processes whose cache heartbeat runs."""
        workers = self.shared.link.client.hvals(f"{self.shared.link.tag}:workers")
        children = {child.pid for child in self.program.children()} | {self.program.pid}
        return {
            pid for pid in children if any(b'"pid": %d,' % pid in one or b'"pid":%d,' % pid in one for one in workers)
        }


@contextmanager
def site(redis_url: str, folder: Path, *arguments: str, bind: str = "", variable: str = "") -> Iterator[Site]:
    running = Site(redis_url, folder, bind or f"127.0.0.1:{free_port()}", arguments, variable)
    try:
        wait_until(running.answers, START_S, f"an answer; the log is {folder / 'log'}")
        yield running
        running.program.signal(signal.SIGTERM)
        assert running.program.wait(STOP_S) == 0
    finally:
        running.http.close()
        running.program.close()


@pytest.mark.parametrize("arguments", [("--threads", "4"), ("-k", "gthread", "--threads", "4")])
def test_a_unix_socket_is_answered(
    real_redis: Redis, redis_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with site(redis_url, tmp_path, *arguments, bind=f"unix:{tmp_path}/s") as running:
        assert running.http.get("/api/jobs").json() == {"jobs": [], "next_cursor": None}
        image = {"image": ("a.png", b"0" * 300_000)}  # more than is gathered before a thread reads it
        assert running.http.post("/api/jobs", files=image).status_code in (400, 503)


def test_threads_run_in_each_process_that_answers_and_only_there(
    real_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with site(redis_url, tmp_path, "--threads", "4", variable="--preload -w 2") as running:
        wait_until(lambda: len(running.beating()) == 2, 20, "both processes to beat")
        assert running.program.pid not in running.beating()
        before = running.beating()
        running.program.signal(signal.SIGHUP)
        wait_until(lambda: len(running.beating() - before) == 2, 30, "their successors to beat")
        wait_until(running.answers, 10)
        wait_until(lambda: not any(map(psutil.pid_exists, before)), 20, "the processes before them to end")


def ended(arguments: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """How a program ended by itself, within seconds."""
    environment = {"DATA_DIR": str(folder / "data"), "PORT": str(free_port()), "FLOWER_PORT": "0", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


def test_a_worker_class_that_cannot_hold_streams_is_refused(redis_url: str, tmp_path: Path) -> None:
    arguments = ["-m", "gunicorn", "--bind", f"127.0.0.1:{free_port()}", "api.wsgi:app"]
    done = ended(arguments, tmp_path, REDIS_URL=redis_url, GUNICORN_CMD_ARGS="-k sync --threads 1")
    assert done.returncode == 2
    assert "--worker-class" in done.stderr


PROGRAMS = {
    "gunicorn": ("-m", "gunicorn", "--bind", "127.0.0.1:0", "api.wsgi:app"),
    "gunicorn --preload": ("-m", "gunicorn", "--preload", "--bind", "127.0.0.1:0", "api.wsgi:app"),
    "worker": ("-m", "celery", "-A", "worker.app", "worker", "-Q", "generate"),
    "flower": ("-m", "celery", "-A", "worker.app", "flower", "--port=0"),
    "stack": ("-m", "deploy.stack"),
    "healthcheck": ("-m", "deploy.healthcheck", "worker"),
    "up": ("-m", "client", "up"),
    "doctor": ("-m", "client", "doctor"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_refuses_a_wrong_url_at_once_by_the_settings_name(program: str, tmp_path: Path) -> None:
    done = ended(PROGRAMS[program], tmp_path, REDIS_URL=f"redis://:{SECRET}[@127.0.0.1:6379/0")
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "REDIS_URL" in said and "Traceback" not in said
    assert SECRET not in said
