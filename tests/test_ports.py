"""Ports that the environment does not name are the next free ones, whoever holds the usual ones, and are found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.doctor.findings import Level
from deploy.doctor.host import port_findings
from deploy.stack import as_running
from deploy.stack.announced import Announced
from deploy.stack.ports import Ports, is_unused
from deploy.stack.session import Session
from settings import Settings
from tests.rehearsal.machine import isolated, on_a_machine_of_its_own
from tests.servers import free_port, wait_until
from tests.test_stack import ROOT


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        one = socket.socket(family)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    one.listen()
    return one


def room(size: int = 6) -> int:
    """The first of some ports in a row that are all free."""
    return next(first for first in iter(free_port, 0) if all(is_unused(first + n) for n in range(size)))


def usual(first: int) -> type[Settings]:
    """Settings whose usual ports are `first` and two more, each with room behind it."""

    class Elsewhere(Settings):
        port: int = first
        flower_port: int = first + 100 if first < 65000 else first - 100
        redis_port: int = first + 200 if first < 65000 else first - 200

    return Elsewhere


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
@pytest.mark.parametrize("name", ["port", "flower_port", "redis_port"])
def test_a_usual_port_that_anybody_holds_is_left_to_them(name: str, host: str, ports: Ports) -> None:
    settings = usual(room())()
    with listen(host, getattr(settings, name)):
        assert getattr(ports.choose(settings), name) > getattr(settings, name)


def test_a_free_usual_port_and_any_named_one_are_taken_as_they_are(ports: Ports) -> None:
    settings = usual(room())
    assert ports.choose(settings()).port == settings().port
    with listen("127.0.0.1", free_port()) as other:
        named = settings(port=other.getsockname()[1], flower_port=0)
        chosen = ports.choose(named)
    assert (chosen.port, chosen.flower_port) == (named.port, 0), "it is refused later, with its reason"


def test_what_is_named_for_one_program_is_not_given_to_another(ports: Ports) -> None:
    settings = usual(room())
    first = settings().port
    with listen("127.0.0.1", first):
        assert ports.choose(settings(flower_port=first + 1)).port == first + 2


def test_stacks_that_start_at_once_take_different_ports(ports: Ports) -> None:
    settings, other = usual(room())(), Ports()
    chosen = [ports.choose(settings).port, other.choose(settings).port]
    assert len(set(chosen)) == 2
    other.release()
    third = Ports()
    assert third.choose(settings).port == chosen[1], "what a stack held is free again when it is gone"
    third.release()


def test_a_service_for_one_call_is_not_where_other_checkouts_look_for_a_lasting_one(ports: Ports) -> None:
    settings = usual(room())
    chosen = ports.choose(settings(flower_port=0), usual=False)
    assert chosen.port != settings().port and chosen.redis_port != settings().redis_port and is_unused(chosen.port)
    assert ports.choose(settings(port=settings().port), usual=False).port == settings().port, "it was named"


def test_commands_find_the_stack_of_their_data_dir_and_no_dead_one(tmp_path: Path) -> None:
    settings, taken = Settings(data_dir=tmp_path), free_port()
    (tmp_path / "run").mkdir()
    Announced(taken, 0, free_port()).save(tmp_path / "run")
    assert as_running(settings) is settings, "nobody runs there"
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stack:
        Session.led_by(stack.pid).save(tmp_path / "run" / "session.json")
        assert as_running(settings).local_url == f"http://127.0.0.1:{taken}"
        for command in (["list"], ["status", "0" * 32], ["cancel", "0" * 32]):
            assert f"127.0.0.1:{taken}" in client(*command, DATA_DIR=str(tmp_path)).stderr
        named = client("list", "--url", "http://127.0.0.1:1", DATA_DIR=str(tmp_path))
        assert "127.0.0.1:1 " in named.stderr
        stack.kill()
    assert as_running(settings) is settings


def client(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "client", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_doctor_does_not_call_a_usual_port_that_is_taken_a_fault() -> None:
    settings = usual(room())(flower_port=0, redis_url="redis://elsewhere:6379/0")
    with listen("127.0.0.1", settings.port):
        (found,) = port_findings(settings, runs=False)
        assert found.level == Level.WARN and "next free one" in found.says
        (named,) = port_findings(
            Settings(**{**settings.model_dump(exclude_unset=True), "port": settings.port}), runs=False
        )
        assert named.level == Level.FAIL


class Foreground:
    """`python -m deploy.stack` without workers, in a folder of its own."""

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.folder = folder
        self._log = folder.with_suffix(".out")
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder)}
        environment |= {"GENERATE_WORKERS": "0", "RENDER_WORKERS": "0", "FLOWER_PORT": "0", **variables}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.stack"], env=environment, stdout=output, stderr=output
            )

    def __enter__(self) -> Foreground:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0, self.said()

    def said(self) -> str:
        return self._log.read_text()


@on_a_machine_of_its_own
def test_two_checkouts_beside_a_stranger_on_the_usual_port_start_and_are_found(tmp_path: Path) -> None:
    """As on a Mac, where AirPlay has port 5000 on all addresses."""
    if not isolated():
        pytest.skip("this user may not set up a network of its own, and the usual ports are somebody's")
    with ExitStack() as stack:
        for host, port in (("0.0.0.0", 5000), ("::", 5000), ("::1", 6399)):
            stack.enter_context(listen(host, port))
        both = [stack.enter_context(Foreground(tmp_path / name)) for name in ("one", "two")]
        for one in both:
            wait_until(lambda one=one: "refuses jobs (503)" in one.said(), 60, f"it to be up: {one.said()}")
            assert "port 5000 is taken" in one.said() and "port 6399 is taken" in one.said()
        urls = {as_running(Settings(data_dir=one.folder)).local_url for one in both}
        assert urls == {"http://127.0.0.1:5001", "http://127.0.0.1:5002"}
        assert all(httpx.get(f"{url}/health", trust_env=False).json()["redis"] == "ok" for url in urls)
        assert client("list", "--json", DATA_DIR=str(both[1].folder)).stdout.strip() == "[]"
        refused = Foreground(tmp_path / "three", PORT="5000")
        assert refused.process.wait(60) == 1 and "set PORT" in refused.said(), "a named port is not exchanged"
