"""The command under conditions that nobody chose: odd names, closed streams, bad ids among good ones, a sudden end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from client import AsyncClient
from client.cli.orders import Order
from client.cli.progress import Bars
from client.cli.runs import Plan, Run, run_all
from client.submission import JobOptions
from tests.client_service import MESH, Service, problem, serving
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 30
Orfeas = Callable[..., subprocess.CompletedProcess[bytes]]
ODD = os.fsdecode(b"caf\xe9 \xff.png")


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def command(service: Service, tmp_path: Path) -> dict[str, Any]:
    """How to start the command, in an empty folder with one picture."""
    (tmp_path / "cup.png").write_bytes(b"picture")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORFEAS_")}
    variables |= {"ORFEAS_URL": service.url, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return {"cwd": tmp_path, "env": variables, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture
def orfeas(command: dict[str, Any]) -> Orfeas:
    return lambda *arguments: subprocess.run(
        [sys.executable, "-m", "client", *arguments], timeout=LIMIT_S, check=False, **command
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".png")


def test_a_name_that_is_not_utf_8_costs_nobody_a_mesh(orfeas: Orfeas, service: Service, tmp_path: Path) -> None:
    (tmp_path / ODD).write_bytes(b"picture")
    label = os.fsdecode(b"\xe9tude")
    done = orfeas("generate", "cup.png", ODD, "-o", "out", "--label", label, "--json")
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    assert names(tmp_path / "out") == sorted(["cup.glb", f"{Path(ODD).stem}.glb"])
    assert {row["image"] for row in json.loads(done.stdout)} == {"cup.png", ODD}
    assert {asked.form["label"] for asked in service.asked if asked.form} == {"\ufffdtude"}
    done = orfeas("generate", ODD, "-o", os.fsdecode(b"\xfe.stl"))
    assert done.returncode == 0 and (tmp_path / os.fsdecode(b"\xfe.stl")).read_bytes() == MESH
    done = orfeas("list", "--label", label)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def test_what_nobody_foresaw_of_one_picture_costs_nobody_else_a_mesh(service: Service, tmp_path: Path) -> None:
    (tmp_path / "cup.png").write_bytes(b"picture")
    images = [tmp_path / "no\0name.png", tmp_path / "cup.png"]  # the first is a ValueError to open
    runs = [Run(Order(image.name, image, tmp_path / f"{number}.glb")) for number, image in enumerate(images)]
    plan = Plan(JobOptions(), at_once=2, wait=True, timeout_s=None, with_preview=False)
    with Bars() as bars:
        asyncio.run(run_all(AsyncClient(service.url), runs, plan, bars))
    assert "ValueError" in str(runs[0].error) and runs[1].error is None
    assert (tmp_path / "1.glb").read_bytes() == MESH


def test_one_picture_that_cannot_be_read_costs_nobody_else_a_mesh(orfeas: Orfeas, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    done = orfeas("generate", "missing.png", "cup.png", "folder.png", "-o", "out", "--json")
    assert done.returncode == 1 and b"missing.png" in done.stderr and b"folder.png" in done.stderr
    assert [row["error"] is None for row in json.loads(done.stdout)] == [False, True, False]
    assert names(tmp_path / "out") == ["cup.glb"]
    assert orfeas("generate", "missing.png").returncode == 2


CLOSED = {"stderr": "2>&-", "all": "<&- >&- 2>&-", "stdout": ">&- 2>err"}


@pytest.mark.parametrize("closed", CLOSED)
def test_closed_streams_stop_nothing(command: dict[str, Any], tmp_path: Path, closed: str) -> None:
    quoted = f"{sys.executable} -m client generate cup.png -o out {CLOSED[closed]}; echo $? >code"
    subprocess.run(["sh", "-c", quoted], timeout=LIMIT_S, check=True, **command)
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "out" / "cup.glb").read_bytes() == MESH
    assert not (tmp_path / "err").exists() or "Traceback" not in (tmp_path / "err").read_text()


def test_a_mesh_for_a_closed_standard_output_is_not_lost_without_a_word(command: dict[str, Any]) -> None:
    line = f"{sys.executable} -m client generate cup.png -o - >&-"
    done = subprocess.run(["sh", "-c", line], timeout=LIMIT_S, check=False, **command)
    assert done.returncode == 1 and b"standard output is closed" in done.stderr


def test_nobody_who_reads_messages_is_no_reason_to_stop(command: dict[str, Any], tmp_path: Path) -> None:
    line = f"({sys.executable} -m client generate cup.png missing.png -o out; echo $? >code) 2>&1 >/dev/null | true"
    subprocess.run(["sh", "-c", line], timeout=LIMIT_S, check=True, **command)
    assert (tmp_path / "code").read_text() == "1\n"
    assert names(tmp_path / "out") == ["cup.glb"]


def test_every_id_is_tried_and_the_exit_code_tells(orfeas: Orfeas, service: Service) -> None:
    ok = lambda: Response(json.dumps(service.job("x") | {"status": "canceled"}), content_type="application/json")  # noqa: E731
    service.next_answers = [ok, problem(404, "job_not_found")]
    done = orfeas("cancel", "first", "bad", "last", "--json")
    assert done.returncode == 4
    assert [row.split()[1] for row in service.paths() if row.startswith("DELETE")] == [
        "/api/jobs/first", "/api/jobs/bad", "/api/jobs/last"
    ]  # fmt: skip
    assert len(done.stdout.splitlines()) == 2 and b"bad" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize(
    "arguments", [("download", "j1", "-o", "x.glb"), ("generate", "cup.png", "-o", "out")], ids=str
)
def test_an_interrupted_download_leaves_nothing(
    command: dict[str, Any],
    service: Service,
    tmp_path: Path,
    number: signal.Signals,
    arguments: tuple[str, ...],
) -> None:
    def stalled() -> Response:
        def body() -> Any:
            yield MESH[:100_000]
            service.wait_for(lambda: False, 20)

        return Response(body(), headers={"Content-Length": str(len(MESH))}, content_type="model/gltf-binary")

    job = lambda: Response(json.dumps(service.job()), content_type="application/json")  # noqa: E731
    service.next_answers = [job, stalled]
    running = subprocess.Popen([sys.executable, "-m", "client", *arguments], **command)
    wait_until(lambda: any(name.endswith(".part") for name in names(tmp_path)), LIMIT_S, "a file that is not whole")
    running.send_signal(number)
    _, stderr = running.communicate(timeout=LIMIT_S)
    assert names(tmp_path) == [], stderr.decode()
    assert running.returncode == 130 and b"Traceback" not in stderr


def test_a_variable_that_cannot_be_used_ends_in_2_and_is_named(command: dict[str, Any]) -> None:
    command["env"] |= {"ORFEAS_URL": "http://orfeas.example", "all_proxy": "socks://127.0.0.1:1080"}
    for line in (["list"], ["generate", "cup.png"]):
        done = subprocess.run([sys.executable, "-m", "client", *line], timeout=LIMIT_S, check=False, **command)
        assert done.returncode == 2 and b"all_proxy" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_file_name_of_the_longest_length_is_written(orfeas: Orfeas, tmp_path: Path) -> None:
    name = "é" * 125 + ".glb"
    assert orfeas("download", "j1", "-o", name).returncode == 0
    assert names(tmp_path) == [name]
