"""The `orfeas` command as people and scripts run it: a process of its own, against a real HTTP server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.client_service import MESH, Service, problem, serving

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 30
FAILED = {"status": "failed", "error": {"code": "no_surface", "message": "nothing stands out", "retryable": False}}

Orfeas = Callable[..., CompletedProcess[bytes]]


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
    def run(*arguments: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-m", "client", *arguments], input=stdin, timeout=LIMIT_S, **command)

    return run


def test_generate_saves_meshes_and_says_where_they_were_served_from(orfeas: Orfeas, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cup.jpg").write_bytes(b"another picture")
    done = orfeas("generate", "cup.png", "other/cup.jpg", "-o", "meshes", "--preview")
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "meshes" / "cup.glb").read_bytes() == MESH
    names = sorted(one.name for one in (tmp_path / "meshes").iterdir())
    assert names == ["cup-2.glb", "cup-2.preview.png", "cup.glb", "cup.preview.png"]
    assert b"generated (MISS)" in done.stdout
    assert b"1 200" in done.stdout


def test_the_summary_says_what_the_caches_saved(orfeas: Orfeas, service: Service, tmp_path: Path) -> None:
    (tmp_path / "mug.png").write_bytes(b"picture of a mug")
    service.states = [{"status": "succeeded", "cache": "HIT-L2", "saved_s": 95.0}]
    done = orfeas("generate", "cup.png", "mug.png")
    assert b"SAVED" in done.stdout and done.stdout.count(b"1 min 35 s") == 2
    assert b"2 meshes in " in done.stderr and b"the caches saved 3 min 10 s of generating" in done.stderr
    assert b"1 min 35 s of generating" in orfeas("status", "j1").stdout


def test_generate_sends_every_option(orfeas: Orfeas, service: Service) -> None:
    options = (
        "-g relief -p depth=0.5 -p name=a=b --size-mm 80 --up-axis z --faces 500 --seed 3 --priority high --label x"
    )
    assert orfeas("generate", "cup.png", "-o", "cup.stl", *options.split(), "--no-cache").returncode == 0
    asked = service.asked[0]
    assert asked.form.to_dict() == {
        "generator": "relief", "depth": "0.5", "name": "a=b", "size_mm": "80.0", "up_axis": "z", "target_faces": "500",
        "seed": "3", "priority": "high", "label": "x", "format": "stl",
    }  # fmt: skip
    assert asked.headers["Cache-Control"] == "no-cache"


def test_a_picture_goes_through_pipes(orfeas: Orfeas, service: Service) -> None:
    done = orfeas("generate", "-", "-o", "-", stdin=b"piped picture")
    assert (done.returncode, done.stdout) == (0, MESH)
    assert service.asked[0].files["image"].read() == b"piped picture"


def test_json_is_alone_on_standard_output(orfeas: Orfeas) -> None:
    (row,) = json.loads(orfeas("generate", "cup.png", "--json").stdout)
    assert (row["file"], row["job"]["status"], row["error"]) == ("out/cup.glb", "succeeded", None)
    assert row["job"]["a_field_of_tomorrow"] == 1
    assert json.loads(orfeas("list", "-n", "3", "--json").stdout)[2]["id"] == "j2"
    assert json.loads(orfeas("status", "j1", "--json").stdout)["id"] == "j1"
    assert json.loads(orfeas("generators", "--json").stdout)[0]["name"] == "inflate"
    assert json.loads(orfeas("cache", "stats", "--json").stdout)["stats"]["hits"] == 3
    assert json.loads(orfeas("cache", "config", "--max-size", "5", "--json").stdout) == {"max_size": 5}


def test_tables_are_for_people(orfeas: Orfeas) -> None:
    assert b"inflate (default)" in orfeas("generators").stdout
    assert b"How deep" in orfeas("generators", "inflate").stdout
    assert b"hit_rate" in orfeas("cache", "stats").stdout
    assert b"50.0" in orfeas("status", "j1").stdout


def test_one_failed_job_does_not_stop_the_others_and_ends_in_1(
    orfeas: Orfeas, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "mug.png").write_bytes(b"picture of a mug")
    service.states = [FAILED, {"status": "succeeded"}]
    done = orfeas("generate", "cup.png", "mug.png", "--at-once", "1", "--json")
    assert done.returncode == 1
    assert b"no_surface" in done.stderr
    assert [row["error"] is None for row in json.loads(done.stdout)] == [False, True]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["mug.glb"]


def test_a_refused_input_ends_in_4_and_names_the_field(orfeas: Orfeas, service: Service) -> None:
    service.next_answers = [problem(422, "bad_parameters", errors=[{"field": "depth", "message": "must be below 2"}])]
    done = orfeas("generate", "cup.png", "-p", "depth=9")
    assert done.returncode == 4
    assert b"depth: must be below 2" in done.stderr


def test_an_unknown_job_ends_in_4(orfeas: Orfeas, service: Service) -> None:
    service.next_answers = [problem(404, "job_not_found")]
    assert orfeas("status", "nobody").returncode == 4


def test_a_job_that_takes_too_long_ends_in_5(orfeas: Orfeas, service: Service) -> None:
    service.states = [{"status": "running", "progress": 10}]
    done = orfeas("generate", "cup.png", "--timeout", "0.2")
    assert done.returncode == 5
    assert b"goes on" in done.stderr


def test_nobody_at_the_url_ends_in_3_and_says_what_to_do(orfeas: Orfeas) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        done = orfeas("list", "--url", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert done.returncode == 3
    assert b"orfeas up" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate"],
        ["generate", "nowhere.png"],
        ["generate", "cup.png", "-p", "depth"],
        ["generate", "cup.png", "-o", "cup.stl", "-f", "glb"],
        ["generate", "cup.png", "cup.png", "-o", "cup.stl"],
        ["generate", "cup.png", "-o", "-", "--json"],
        ["generators", "nobody"],
        ["list", "--status", "asleep"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_ends_in_2_before_anything_is_submitted(
    orfeas: Orfeas, service: Service, arguments: list[str]
) -> None:
    done = orfeas(*arguments)
    assert done.returncode == 2
    assert b"Error" in done.stderr
    assert not service.jobs


def test_a_job_is_canceled_and_downloaded_in_another_form(orfeas: Orfeas, service: Service, tmp_path: Path) -> None:
    assert orfeas("cancel", "j7").stderr == b"j7 canceled\n"
    assert orfeas("download", "j1", "-f", "stl", "--size-mm", "80").stdout == b"j1.stl\n"
    assert (tmp_path / "j1.stl").read_bytes() == MESH
    assert service.paths()[-1] == "GET /api/jobs/j1/model.stl?size_mm=80.0"
    assert orfeas("download", "j1", "-o", "-").stdout == MESH


def test_watching_a_job_that_fails_ends_in_1(orfeas: Orfeas, service: Service) -> None:
    service.states = [{"status": "queued"}, {"status": "running", "progress": 50}, FAILED]
    done = orfeas("status", "j1", "--watch", "--json")
    assert done.returncode == 1
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()][-2:] == ["running", "failed"]


def test_detached_jobs_are_submitted_and_left(orfeas: Orfeas, service: Service) -> None:
    service.states = [{"status": "queued"}]
    done = orfeas("generate", "cup.png", "--detach")
    assert done.returncode == 0
    assert b"job j1" in done.stdout
    assert service.paths() == ["POST /api/jobs"]


def test_detached_jobs_need_a_service_that_goes_on(orfeas: Orfeas, command: dict[str, Any]) -> None:
    del command["env"]["ORFEAS_URL"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        command["env"] |= {"PORT": str(free.getsockname()[1]), "DATA_DIR": str(command["cwd"] / "data")}
        done = orfeas("generate", "cup.png", "--detach")
    assert done.returncode == 3
    assert b"./orfeas up" in done.stderr
    assert not (command["cwd"] / "data").exists(), "nothing was started"


@pytest.mark.parametrize("asked", [True, False], ids=["asked to cancel", "not asked"])
def test_ctrl_c_leaves_clean_and_cancels_only_when_asked(
    service: Service, command: dict[str, Any], asked: bool
) -> None:
    service.states = [{"status": "running", "progress": 10}]
    options = ["--cancel-on-interrupt"] if asked else []
    with subprocess.Popen([sys.executable, "-m", "client", "generate", "cup.png", *options], **command) as process:
        assert service.wait_for(lambda: any(path.startswith("GET /api/jobs/j1") for path in service.paths()), LIMIT_S)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert ("DELETE /api/jobs/j1" in service.paths()) is asked
    assert (b"orfeas cancel j1" in errors) is not asked


def test_a_closed_pipe_is_no_error(command: dict[str, Any]) -> None:
    call = f"{sys.executable} -m client list -n 500; echo $? >&2"
    shell = subprocess.Popen(["bash", "-c", f"({call}) | true"], **command)
    _, errors = shell.communicate(timeout=LIMIT_S)
    assert errors == b"0\n"


def test_the_archive_is_not_emptied_without_a_yes(orfeas: Orfeas, service: Service) -> None:
    done = orfeas("cache", "clear", "--tier", "archive", stdin=b"n\n")
    assert done.returncode != 0
    assert not service.asked


@pytest.mark.parametrize(
    ("shell", "script"),
    [("bash", b"complete -o default -F"), ("zsh", b"#compdef orfeas"), ("fish", b"complete --command orfeas")],
)
def test_completion_is_installed_and_shown(
    orfeas: Orfeas, command: dict[str, Any], tmp_path: Path, shell: str, script: bytes
) -> None:
    # Typer goes by the shell that calls it; a test has one, so it says which.
    command["env"] |= {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert script in orfeas("--show-completion", shell).stdout
    assert orfeas("--install-completion", shell).returncode == 0
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "cup.png"]
    assert any(b"orfeas" in path.read_bytes() for path in kept), kept


@pytest.mark.parametrize(("typed", "offered"), [("orfeas gen", "generate"), ("orfeas cache cl", "clear")])
def test_completion_completes(orfeas: Orfeas, command: dict[str, Any], typed: str, offered: str) -> None:
    words = typed.split()
    command["env"] |= {"_ORFEAS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    assert offered in orfeas().stdout.decode().split()


def test_a_label_that_looks_like_markup_is_shown_as_it_is(orfeas: Orfeas, service: Service) -> None:
    service.states = [{"status": "succeeded", "label": "[red]cup[/red]"}]
    assert b"[red]cup[/red]" in orfeas("list").stdout
