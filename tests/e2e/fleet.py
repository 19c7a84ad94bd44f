"""The real service in real processes, as the stack would start it, for tests that break it.

A Redis of its own, gunicorn, Celery workers with the `lab` generator installed, all on free ports. Nothing restarts
what a test kills: that is the supervisor's work, and a test says itself when it is done.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from deploy.stack.programs import Program, programs
from jobs.fleet import Fleet as Register
from jobs.fleet import WorkerInfo
from jobs.store import JobStore
from settings import Settings
from tests.e2e.processes import ROOT, Running
from tests.servers import RedisServer, free_port, wait_until

START_LIMIT_S = 60.0
END_LIMIT_S = 60.0

# Short, so that tests are; the defaults' own bounds are proved in tests/faults/test_takeover.py.
QUICK = {"heartbeat_s": 0.5, "heartbeat_timeout_s": 4.0, "job_time_limit_s": 120.0, "stop_grace_s": 8.0}


class Fleet:
    """Starts nothing by itself but Redis; `with` ends everything at its end, also what is frozen.

    `through` is a command that runs a program in a way of its own.
    """

    def __init__(
        self, folder: Path, redis: RedisServer | None = None, *, through: Sequence[str] = (), **settings: Any
    ) -> None:
        self.redis = redis or RedisServer(persist=True)
        self._through = through
        self.lab = folder / "lab"
        self.settings = Settings(**{
            "data_dir": folder / "data", "redis_url": self.redis.url, "port": free_port(), "flower_port": free_port(),
            "device": "cpu", "generate_workers": 4, "api_threads": 16, **QUICK, **settings,
        })  # fmt: skip
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.running: dict[str, Running] = {}
        self._programs = {program.name: program for program in programs(self.settings)}
        self._environment = self._make_environment(folder)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.settings.port}", timeout=40, trust_env=False)
        self.store = JobStore(self.redis.client(decode_responses=True))
        self.register = Register(self.store)

    def __enter__(self) -> Fleet:
        self.redis.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.show_logs()
        for one in self.running.values():
            one.close()
        self.http.close()
        self.redis.close()

    # Processes ----------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> Fleet:
        """Starts programs by their names in the stack (`generate1`, `render`, `api`, `flower`) and waits for them."""
        for name in names:
            self.launch(name)
        for name in names:
            self.wait_for(name)
        return self

    def launch(self, name: str, **environment: str) -> Running:
        """Starts one program and does not wait."""
        program: Program = self._programs[name]
        program = replace(program, environment={**self._environment, **program.environment, **environment})
        log = self.settings.data_dir / f"{name}.log"
        self.running[name] = Running(name, (*self._through, *program.command), program.environment, log)
        return self.running[name]

    def wait_for(self, name: str) -> None:
        if name == "api":
            wait_until(self.ready, START_LIMIT_S, f"the API to be ready: {self.running[name].tail()}")
        elif name.startswith(("generate", "render")):
            wait_until(lambda: self.process_of(name), START_LIMIT_S, f"{name} to register: {self.running[name].log}")

    def ready(self) -> bool:
        try:
            return self.http.get("/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def process_of(self, name: str) -> WorkerInfo | None:
        """The registered child process of a worker program that lives."""
        pids = {child.pid for child in self.running[name].children()}
        return next((worker for worker in self.register.workers() if worker.pid in pids), None)

    def whose(self, pid: int) -> Running:
        """The program to which a child process belongs."""
        return next(one for one in self.running.values() if pid in {child.pid for child in one.children()})

    def busy(self) -> bool:
        """Whether any claim is held by a worker, as the store sees it."""
        return any(self.store.redis.scan_iter(f"{self.store.prefix}:owns:*"))

    def show_logs(self) -> None:
        for one in self.running.values():
            print(f"--- {one.name}\n{one.tail()}")

    # Jobs ---------------------------------------------------------------------------------------------------------

    def post(self, name: str, **fields: Any) -> httpx.Response:
        """Submits a job of the lab; `name` makes it a generation of its own."""
        headers = fields.pop("headers", {})
        form = {"generator": "lab", "name": name, **{field: str(value) for field, value in fields.items()}}
        return self.http.post("/api/jobs", data=form, files={"image": ("a.png", PICTURE)}, headers=headers)

    def submit(self, name: str, **fields: Any) -> str:
        """Id of a job that was accepted."""
        answer = self.post(name, **fields)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, job_id: str, limit_s: float = END_LIMIT_S) -> dict[str, Any]:
        """The job, once it has ended."""
        wait_until(lambda: ended(self.job(job_id)), limit_s, f"job {job_id} to end")
        return self.job(job_id)

    def succeeded(self, job_id: str, limit_s: float = END_LIMIT_S) -> dict[str, Any]:
        """The job, once it has succeeded, and what it says of its mesh is true."""
        job = self.ended(job_id, limit_s)
        assert job["status"] == "succeeded", job
        mesh = self.http.get(f"/api/jobs/{job_id}/model.{job['result']['format']}")
        assert mesh.status_code == 200
        assert hashlib.sha256(mesh.content).hexdigest() == job["result"]["sha256"]
        return job

    # The lab ------------------------------------------------------------------------------------------------------

    def paused(self, name: str, stage: str, limit_s: float = 30.0) -> int:
        """Waits until a worker has come to the stage; answers the process id of the child."""
        mark = self.lab / f"{name}.{stage}"
        wait_until(mark.exists, limit_s, f"{name} to reach {stage}")
        return int(mark.read_text())

    def let_go(self, name: str) -> None:
        (self.lab / f"{name}.go").touch()

    def runs(self, name: str) -> Counter[str]:
        """How often the run was `begun` and `finished`."""
        notes = (self.lab / "runs").read_text().splitlines() if (self.lab / "runs").exists() else []
        return Counter(note.split()[1] for note in notes if note.split()[0] == name)

    def runner_of(self, name: str) -> Running:
        """The worker on which the run began last."""
        notes = [note.split() for note in (self.lab / "runs").read_text().splitlines()]
        return self.whose(int(next(note[2] for note in reversed(notes) if note[0] == name)))

    def wait_until_begun(self, name: str, limit_s: float = 30.0) -> None:
        wait_until(lambda: self.runs(name)["begun"], limit_s, f"{name} to begin")

    def assert_nothing_left(self) -> None:
        """Every work has ended, and nothing in Redis speaks of one any more."""
        pattern = f"{self.store.prefix}:*"
        names = [key.removeprefix(f"{self.store.prefix}:") for key in self.store.redis.scan_iter(pattern, count=1000)]
        left = [name for name in names if name.startswith(("work:", "queued:", "unsent:", "due", "owns:"))]
        assert not left, left

    def _make_environment(self, folder: Path) -> dict[str, str]:
        """Settings, and the lab as an installed distribution would announce it."""
        self.lab.mkdir(parents=True, exist_ok=True)
        installed = folder / "installed"
        told = installed / "orfeas_lab-1.dist-info"
        told.mkdir(parents=True, exist_ok=True)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: orfeas-lab\nVersion: 1\n")
        (told / "entry_points.txt").write_text("[orfeas.generators]\nlab = tests.e2e.lab:Lab\n")
        path = os.pathsep.join((str(ROOT), str(installed)))
        return {**self.settings.as_environment(), "ORFEAS_LAB": str(self.lab), "PYTHONPATH": path}


def ended(job: dict[str, Any]) -> bool:
    return job["status"] in ("succeeded", "failed", "canceled")


def within(limit_s: float, condition: Callable[[], object], what: str) -> None:
    """A promise with a bound; the name says that the number is part of it."""
    wait_until(condition, limit_s, what)


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()
