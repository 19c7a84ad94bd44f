"""The command and the client with the real service behind them: started by `orfeas up`, seen through HTTP alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from client import Client
from client.errors import Conflict, NotFound, OrfeasError, ValidationFailed
from client.retries import RetryPolicy
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 120
COMMAND = (sys.executable, "-m", "client")


def draw(path: Path, colour: str) -> Path:
    picture = Image.new("RGB", (240, 240), "white")
    ImageDraw.Draw(picture).ellipse((40, 60, 200, 180), fill=colour)
    picture.save(path)
    return path


def environment(data_dir: Path) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORFEAS_")}
    ports = {"PORT": str(free_port()), "REDIS_PORT": str(free_port()), "FLOWER_PORT": "0"}
    return variables | ports | {"DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "DEVICE": "cpu", "REDIS_URL": ""}


def answers(url: str) -> bool:
    try:
        with Client(url, retries=RetryPolicy(attempts=1)) as client:
            return client.health().status == "ok"
    except OrfeasError:
        return False


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service in the foreground of a terminal that ends with Ctrl-C."""
    folder = tmp_path_factory.mktemp("up")
    variables = environment(folder / "data")
    url = f"http://127.0.0.1:{variables['PORT']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, "up"], env=variables, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(url), LIMIT_S, "the service to be up")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0, (folder / "log").read_text()
        assert not answers(url)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_the_demo_starts_a_service_makes_a_mesh_and_is_served_from_the_cache_the_second_time(tmp_path: Path) -> None:
    draw(tmp_path / "cup.png", "teal")
    variables = environment(tmp_path / "data")
    done = subprocess.run(
        [*COMMAND, "demo", "cup.png", "--json"], cwd=tmp_path, env=variables, capture_output=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr.decode()
    first, second = json.loads(done.stdout)
    assert first["job"]["cache"] == "MISS"
    assert second["job"]["cache"].startswith("HIT-")
    assert (tmp_path / "out" / "cup.glb").read_bytes().startswith(b"glTF")
    assert (tmp_path / "out" / "cup.preview.png").read_bytes().startswith(b"\x89PNG")
    assert not answers(f"http://127.0.0.1:{variables['PORT']}")


def test_a_picture_becomes_a_mesh_of_the_asked_size_and_other_forms_generate_nothing_again(
    client: Client, tmp_path: Path
) -> None:
    told = []
    submitted = client.submit(draw(tmp_path / "a.png", "navy"), format="stl", size_mm=80, label="a")
    job = client.wait(submitted, timeout_s=LIMIT_S, on_progress=told.append)
    assert job.result is not None
    assert max(job.result.size_mm) == pytest.approx(80, rel=1e-3)
    assert told[-1].ended
    assert client.download(job, tmp_path / "a.stl").stat().st_size == job.result.size_bytes
    assert client.model(job, format="ply", target_faces=500).startswith(b"ply")
    again = client.submit(tmp_path / "a.png", format="obj", size_mm=20, label="a")
    assert (client.wait(again, timeout_s=LIMIT_S).cache or "").startswith("HIT-")
    assert {one.id for one in client.jobs(label="a", page_size=1)} == {job.id, again.id}


def test_a_submission_with_the_same_key_is_the_same_job(client: Client, tmp_path: Path) -> None:
    picture = draw(tmp_path / "b.png", "olive")
    first = client.submit(picture, idempotency_key="once-only-b")
    assert client.submit(picture, idempotency_key="once-only-b").id == first.id
    with pytest.raises(Conflict):
        client.submit(picture, idempotency_key="once-only-b", size_mm=12)


def test_what_the_service_refuses_comes_as_its_error(client: Client, tmp_path: Path) -> None:
    picture = draw(tmp_path / "c.png", "maroon")
    with pytest.raises(ValidationFailed) as caught:
        client.submit(picture, params={"no_such_parameter": 1})
    assert "no_such_parameter" in caught.value.fields
    with pytest.raises(NotFound):
        client.job("0" * 32)
    ended = client.wait(client.submit(picture), timeout_s=LIMIT_S)
    with pytest.raises(Conflict):
        client.cancel(ended)


def test_a_picture_goes_through_the_command_as_a_pipe(url: str, tmp_path: Path) -> None:
    picture = draw(tmp_path / "d.png", "purple").read_bytes()
    call = [*COMMAND, "generate", "-", "-o", "-", "-f", "ply", "--url", url]
    done = subprocess.run(call, input=picture, env=environment(tmp_path), capture_output=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"ply")
