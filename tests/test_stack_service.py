"""The stack with the service's own programs: ready in seconds, watched over, gone at Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.stack import Stack
from deploy.stack.programs import programs
from deploy.stack.session import Session
from deploy.stack.stack import ROOT
from settings import Settings
from tests.servers import free_port, wait_until

READY_WITHIN_S = 60


def own_settings(folder: Path, **others: Any) -> Settings:
    return Settings(
        **{
            "data_dir": folder, "port": free_port(), "flower_port": free_port(), "redis_port": free_port(),
            "redis_url": "", "stop_grace_s": 5, **others,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(own_settings(tmp_path_factory.mktemp("service"))) as stack:
        stack.wait_ready(READY_WITHIN_S)
        yield stack


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def pid_of(stack: Stack, name: str) -> int:
    return next((program.pid for program in stack.programs() if program.name == name), 0)


def workers_alive(stack: Stack) -> list[str]:
    return sorted(worker["queue"] for worker in get(f"{stack.url}/health")["workers"] if worker["alive"])


def test_ready_stack_has_all_its_programs_and_workers(stack: Stack) -> None:
    names = [program.name for program in stack.programs()]
    assert names == ["api", "flower", "generate1", "guard", "redis", "render"]
    assert workers_alive(stack) == ["generate", "render"]
    assert get(f"{stack.url}/ready")["ready"] is True


def test_generate_worker_that_was_killed_signs_in_again(stack: Stack) -> None:
    before = {worker["id"] for worker in get(f"{stack.url}/health")["workers"]}
    children = psutil.Process(pid_of(stack, "generate1")).children()
    os.kill(pid_of(stack, "generate1"), signal.SIGKILL)

    def signed_in() -> bool:
        workers = get(f"{stack.url}/health")["workers"]
        return any(worker["queue"] == "generate" and worker["id"] not in before for worker in workers)

    wait_until(signed_in, limit_s=30, what="a new generate worker")
    wait_until(lambda: not any(child.is_running() for child in children), what="the old worker's child to end")


def test_flower_listens_on_loopback_and_knows_the_workers(stack: Stack) -> None:
    flower = next(program for program in programs(stack.settings) if program.name == "flower")
    assert flower.port is not None and flower.port.host == "127.0.0.1"
    url = f"http://127.0.0.1:{flower.port.number}/workers?json=1"
    wait_until(
        lambda: any(row["hostname"].startswith("render@") for row in get(url)["data"]), what="Flower to see them"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_foreground_stack_stops_at_a_signal_and_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    settings = own_settings(tmp_path, generate_workers=0, render_workers=0, flower_port=0)
    command = [sys.executable, "-m", "deploy.stack"]
    environment = {**os.environ, **settings.as_environment(), "PYTHONPATH": str(ROOT)}
    runner = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    # The file is there before all of it is written.
    wait_until(lambda: Session.load(tmp_path / "run" / "session.json"), limit_s=20)
    session = Session.load(tmp_path / "run" / "session.json")
    assert session
    wait_until(lambda: len(session.members()) >= 3, what="the programs to start")
    runner.send_signal(number)
    out, _ = runner.communicate(timeout=60)
    assert runner.returncode == 0
    assert out.endswith("stopping\nstopped\n")
    assert session.members() == []
    assert not (tmp_path / "run" / "session.json").exists()


def test_redis_elsewhere_and_no_flower_leave_those_programs_out(tmp_path: Path) -> None:
    settings = own_settings(
        tmp_path, redis_url="redis://db:6379/0", flower_port=0, generate_workers=3, render_workers=0
    )
    assert [program.name for program in programs(settings)] == ["generate1", "generate2", "generate3", "api"]


def test_the_environment_says_how_many_workers_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENERATE_WORKERS", "4")
    names = [program.name for program in programs(Settings(flower_port=0))]
    assert sum("generate" in name for name in names) == 4


def test_data_of_the_embedded_redis_survives_a_restart(tmp_path: Path) -> None:
    import redis

    settings = own_settings(tmp_path, generate_workers=0, render_workers=0, flower_port=0)
    stack = Stack(settings, [program for program in programs(settings) if program.name == "redis"])
    client = redis.Redis(port=settings.redis_port, retry=None)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    with stack:
        wait_until(answers)
        client.set("kept", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with stack:
        wait_until(answers)
        assert client.get("kept") == b"1"
    client.close()
