"""The files in `deploy/`, played on this machine: the processes that they name, and the promises in their comments."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.processes import ROOT
from tests.faults.bucket import Bucket
from tests.house import picture
from tests.rehearsal.files import Service, compose, kubernetes, unit
from tests.rehearsal.machine import Container, Machine, on_a_machine_of_its_own
from tests.servers import wait_until

pytestmark = pytest.mark.slow

# Longer than the default STOP_GRACE_S would let it run.
GENERATION_S = 9.0
KEYS = {"API_KEYS": "a-user-key", "ADMIN_KEYS": "an-admin-key"}
LAB = "/lab"
# What Kubernetes says of Services called `redis` and `flower` to each pod that does not refuse to hear it.
LINKS = {"REDIS_PORT": "tcp://10.96.0.5:6379", "FLOWER_PORT": "tcp://10.96.0.6:5555", "REDIS_SERVICE_HOST": "10.96.0.5"}


class Played:
    """What a test does with the services: it submits slow work and watches it run."""

    def __init__(self, machine: Machine, **headers: str) -> None:
        self.machine = machine
        self.http = httpx.Client(
            base_url=f"http://localhost:{machine.port(5000)}", headers=headers, timeout=20, trust_env=False
        )
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
        streams = [stream(machine.port(5000)) for _ in range(100)]
        began = time.monotonic()
        assert play.answers("/health") and time.monotonic() - began < 5, "streams leave threads for everybody else"
        for one in streams:
            one.close()
        play.scale_down_in_the_middle("middle", lambda: worker)


@on_a_machine_of_its_own
def test_kubernetes_pods_pass_their_probes_beside_services_of_any_name_and_finish_what_they_run(
    tmp_path: Path, plugins: dict[str, Path]
) -> None:
    bucket = Bucket()
    bucket.client.create_bucket(Bucket="orfeas")
    pods = kubernetes({**KEYS, **bucket.environment}, links=LINKS)
    with Machine(tmp_path, plugins) as machine:
        redis = machine.redis()
        api, render = machine.start(pods["orfeas-api"]), machine.start(pods["orfeas-render"])
        flower = machine.start(pods["orfeas-flower"])
        worker = machine.start(with_lab(pods["orfeas-worker"]), ORFEAS_LAB=LAB, DEVICE="cpu")
        play = Played(machine, Authorization="Bearer a-user-key")
        for one in (worker, render):
            machine.wait_until(lambda one=one: one.healthy("startupProbe"), f"{one.service.name} to have started")
        for kind in ("readinessProbe", "livenessProbe"):
            machine.wait_until(lambda kind=kind: passes(api, kind, machine.port(5000)), f"{kind} of the API")
        machine.wait_until(lambda: passes(flower, "readinessProbe", machine.port(5555)), "Flower to be ready")
        play.scale_down_in_the_middle("middle", lambda: worker)
        redis.send_signal(signal.SIGSTOP)
        machine.wait_until(
            lambda: not passes(api, "readinessProbe", machine.port(5000)), "the API not to be ready without Redis"
        )
        assert passes(api, "livenessProbe", machine.port(5000)), "a broken Redis must not restart the API"
        assert render.healthy("livenessProbe"), "nor a worker"
        redis.send_signal(signal.SIGCONT)
    bucket.close()


def passes(one: Container, kind: str, port: int) -> bool:
    """As the kubelet asks: at the pod's address, without a key."""
    probe = one.service.probes[kind]
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}{probe.path}", headers={"Host": f"10.1.2.3:{port}"}, timeout=probe.timeout_s,
            trust_env=False,
        )  # fmt: skip
    except httpx.TransportError:
        return False
    return 200 <= answer.status_code < 400


@on_a_machine_of_its_own
def test_systemd_units_work_in_a_system_that_they_cannot_write_and_leave_nothing_behind(
    tmp_path: Path, plugins: dict[str, Path]
) -> None:
    with Machine(tmp_path, plugins) as machine:
        stack = machine.start(unit("orfeas.service", {"GENERATE_WORKERS": "0", "FLOWER_PORT": "0"}), hostname="one")
        there = {"REDIS_URL": "redis://127.0.0.1:6399/0", "ARCHIVE_URL": "/var/lib/orfeas/archive"}
        worker = machine.start(
            with_lab(unit("orfeas-worker@.service", there, instance="0")), hostname="two", ORFEAS_LAB=LAB, DEVICE="cpu"
        )
        play = Played(machine)
        machine.wait_until(lambda: play.answers("/ready"), "the stack to be ready")
        play.scale_down_in_the_middle("middle", lambda: worker)
        members = psutil.Process(stack.process.pid).children(recursive=True)
        assert len(members) >= 4
        stack.stop()
        assert not psutil.wait_procs(members, timeout=1)[1], "systemd has nothing left to kill"


def stream(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection
