"""gunicorn serves by the settings, whatever its command line leaves out, and nobody but this host without keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.bootstrap.pip import ROOT
from tests.e2e.processes import Running
from tests.servers import free_port, wait_until

Start = Callable[..., Running]


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start(*options: str, app: str = "api.wsgi:app", **variables: Any) -> Running:
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", *options, app]
        environment = {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path), **{k: str(v) for k, v in variables.items()}}
        started.append(Running("api", command, environment, tmp_path / "log"))
        return started[-1]

    yield start
    for one in started:
        one.close()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (("--bind", "0.0.0.0:{port}"), {}),
        (("--bind", "[::]:{port}"), {}),
        (("--bind", "127.0.0.1:{port}", "--bind", "0.0.0.0:{other}"), {}),
        ((), {"HOST": "0.0.0.0"}),
    ],
)
def test_without_keys_gunicorn_serves_nobody_but_this_host(
    options: tuple[str, ...], variables: dict[str, str], start: Start
) -> None:
    port, other = free_port(), free_port()
    server = start(*(one.format(port=port, other=other) for one in options), PORT=port, **variables)
    assert server.wait(30) == 2
    assert "API_KEYS" in server.tail() and "Traceback" not in server.tail()


@pytest.mark.parametrize(
    "variables",
    [
        {"HOST": "0.0.0.0", "API_KEYS": "a-key"},
        {"HOST": "0.0.0.0", "PROTECTED_MODE": "0"},
        {"HOST": "127.0.0.5"},
    ],
)
def test_it_listens_where_host_and_port_say(variables: dict[str, str], start: Start) -> None:
    port = free_port()
    server = start(PORT=port, **variables)
    host = variables["HOST"].replace("0.0.0.0", "127.0.0.1")
    wait_until(lambda: answers(f"http://{host}:{port}"), 40, f"an answer: {server.tail()}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port), **variables}
    probe = subprocess.run([sys.executable, "-m", "deploy.healthcheck", "api"], env=environment, capture_output=True)
    assert probe.returncode == 0, probe.stdout + probe.stderr


def test_an_address_of_the_command_line_comes_before_host_and_its_threads_before_api_threads(
    start: Start, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "told.py").write_text(
        "from api.wsgi import settings\n"
        "def app(_, start):\n    start('200 OK', [])\n"
        "    return [f'{settings.api_threads} {settings.api_processes}'.encode()]\n"
    )
    options = ("--bind", f"127.0.0.1:{port}", "--threads", "7", "--pythonpath", str(tmp_path))
    server = start(*options, app="told:app", HOST="0.0.0.0", API_PROCESSES="2", API_THREADS="256")
    wait_until(lambda: answers(f"http://127.0.0.1:{port}"), 40, f"an answer: {server.tail()}")
    assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text == "7 2"
