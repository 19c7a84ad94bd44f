"""The files in `deploy/`, played on this machine: the processes that they name, and the promises in their comments."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import ROOT
from tests.house import picture
from tests.rehearsal.files import Service, compose
from tests.rehearsal.machine import Container, Machine, on_a_machine_of_its_own
from tests.servers import wait_until

pytestmark = pytest.mark.slow

START_LIMIT_S = 60.0
# Longer than the default STOP_GRACE_S would let it run.
GENERATION_S = 9.0
KEYS = {"API_KEYS": "a-user-key", "ADMIN_KEYS": "an-admin-key"}
LAB = "/lab"


class Played:
    """What a test does with the services: it submits slow work and watches it run."""

    def __init__(self, machine: Machine, **headers: str) -> None:
        self.machine = machine
        self.http = httpx.Client(base_url="http://localhost:5000", headers=headers, timeout=20, trust_env=False)
        self.lab = machine.folder / "volumes" / "lab"

    def answers(self, path: str, status: int = 200) -> bool:
        try:
            return self.http.get(path).status_code == status
        except httpx.TransportError:
            return False

    def submit(self, name: str, seconds: float = 0.0) -> str:
        form = {"generator": "lab", "name": name, "seconds": str(seconds)}
        answer = self.http.post("/api/jobs", data=form, files={"image": ("a.png", picture("red", (32, 32)))})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()["id"]

    def succeeded(self, job_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job = self.http.get(f"/api/jobs/{job_id}", params={"wait": 5}).json()
            return job if job["finished_at"] else None

        wait_until(ended, 40, f"job {job_id} to end")
        job = self.http.get(f"/api/jobs/{job_id}").json()
        assert job["status"] == "succeeded", job
        assert self.http.get(f"/api/jobs/{job_id}/model.stl").status_code == 200, "the render worker made another form"
        return job

    def runs(self, name: str) -> Counter[str]:
        path = self.lab / "runs"
        notes = [note.split() for note in path.read_text().splitlines()] if path.exists() else []
        return Counter(note[1] for note in notes if note[0] == name)

    def scale_down_in_the_middle(self, name: str, worker: Callable[[], Container]) -> None:
        """The one worker is stopped while it generates: the generation is finished, not thrown away."""
        job_id = self.submit(name, GENERATION_S)
        wait_until(lambda: self.runs(name)["begun"], 30, "the generation to begin")
        worker().stop()
        assert self.succeeded(job_id)["attempts"] == 1
        assert self.runs(name) == {"begun": 1, "finished": 1}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The lab, as somebody would install a generator into the image of the worker."""
    folder = tmp_path_factory.mktemp("plugin")
    told = folder / "orfeas_lab-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: orfeas-lab\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[orfeas.generators]\nlab = orfeas_lab:Lab\n")
    return {told.name: told, "orfeas_lab.py": ROOT / "tests" / "e2e" / "lab.py"}


def with_lab(service: Service) -> Service:
    return Service(**{**vars(service), "folders": {**service.folders, LAB: "lab"}})


@on_a_machine_of_its_own
def test_compose_without_keys_serves_and_lets_a_scaled_down_worker_finish(
    tmp_path: Path, plugins: dict[str, Path]
) -> None:
    services = compose()
    with Machine(tmp_path, plugins) as machine:
        machine.redis()
        api, flower, render = (machine.start(services[name]) for name in ("api", "flower", "render"))
        worker = machine.start(with_lab(services["worker"]), ORFEAS_LAB=LAB)
        play = Played(machine)
        machine.wait_until(lambda: play.answers("/ready"), "the API to be ready")
        for one in (api, worker, render, flower):
            machine.wait_until(lambda one=one: one.healthy("healthcheck"), f"{one.service.name} to be healthy")
        play.succeeded(play.submit("first"))
        streams = [stream() for _ in range(100)]
        began = time.monotonic()
        assert play.answers("/health") and time.monotonic() - began < 5, "streams leave threads for everybody else"
        for one in streams:
            one.close()
        play.scale_down_in_the_middle("middle", lambda: worker)


def stream() -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", 5000), timeout=10)
    connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection
