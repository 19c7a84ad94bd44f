"""The commands for several hosts, typed as the pages say, make one fleet that serves jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import Client
from client.errors import OrfeasError
from client.retries import RetryPolicy
from tests.document_commands import ROOT
from tests.servers import RedisServer, free_port, wait_until

OWN_FLEET = "docs/operate/README.md"
READY_WITHIN_S = 90
STOPPED_WITHIN_S = 30
PROCESSES = 1 + 4 + 1  # that register: -c of each worker below


def typed() -> list[str]:
    """The block's programs, and the worker that one starts by hand."""
    (block,) = re.findall(r"```sh\n(export .*?)```", (ROOT / OWN_FLEET).read_text(), re.DOTALL)
    (by_hand,) = re.findall(r"`(\.venv/bin/python -m celery[^`]*)`", (ROOT / "deploy/README.md").read_text())
    return [*block.splitlines()[1:], by_hand]


@pytest.fixture
def fleet(own_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[str]:
    """Every command in a process of its own; they share a Redis and an archive, and nothing else."""
    shared = {"REDIS_URL": own_redis().url, "ARCHIVE_URL": f"file://{tmp_path}/archive"}
    port = free_port()
    running = []
    for number, line in enumerate(typed()):
        own = {"PORT": str(port), "DATA_DIR": str(tmp_path / str(number)), "PYTHONPATH": str(ROOT), "DEVICE": "cpu"}
        program = re.sub(r"^\.venv/bin/python -m |(?=^celery|^gunicorn)", f"exec {sys.executable} -m ", line)
        running.append(subprocess.Popen(["bash", "-c", program], cwd=ROOT, env=os.environ | shared | own))
    yield f"http://127.0.0.1:{port}"
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        process.wait(STOPPED_WITHIN_S)


def workers(url: str) -> int:
    try:
        with Client(url, retries=RetryPolicy(attempts=1)) as client:
            return sum(worker["alive"] for worker in client.health().workers)
    except OrfeasError:
        return 0


@pytest.mark.slow
def test_the_commands_for_several_hosts_make_a_fleet(fleet: str, tmp_path: Path) -> None:
    wait_until(lambda: workers(fleet) == PROCESSES, READY_WITHIN_S, "all workers to sign in")
    with Client(fleet) as client:
        job = client.submit(ROOT / "assets/rocket.png", params={"resolution": 96}, format="stl", size_mm=80)
        assert max(client.wait(job, timeout_s=60).result.size_mm) == pytest.approx(80, rel=1e-3)
    assert any((tmp_path / "archive").rglob("*")), "the archive that they share holds it"
