"""A generator that goes wrong on order: slow, deaf, deadly, out of memory; workers load it as an installed plug-in.

Every run is noted in `$ORFEAS_LAB/runs` with the process and its wall clock, so that a test can tell how often
something was begun and finished. With `pause_at` the first worker that comes to that stage writes `<name>.<stage>` with
its process id and waits for a signal from the test, usually its last; the next worker passes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

import trimesh
from PIL import Image
from pydantic import Field

from jobs.errors import NoSurface, OutOfMemory
from jobs.store import JobStore
from worker import runner
from worker.generators.base import GeneratorParams, Progress

STEP_S = 0.05


class LabParams(GeneratorParams):
    name: str = Field("", description="Tells one run from another")
    seconds: float = Field(0.0, ge=0, description="How long it takes")
    goes: Literal["well", "deaf", "hung", "frozen", "deadly", "out_of_memory", "wrong", "refused"] = "well"
    pause_at: Literal["", "generate", "state", "render"] = ""
    subdivisions: int = Field(0, ge=0, le=6, description="Makes the mesh larger")


class Lab:
    """A box, after whatever its parameters ask for."""

    name, title, revision, needs, Params = "lab", "Lab", "1", (), LabParams

    def __init__(self) -> None:
        self.folder = Path(os.environ["ORFEAS_LAB"])

    def unavailable_because(self) -> str | None:
        return None

    def load(self, device: object) -> None:
        """Puts a gate before the steps that a generator does not see itself."""
        _gate(JobStore, "complete_generation", self._gate_of("state"))
        _gate(runner, "make_rendition", self._gate_of("render"))

    def generate(self, image: Image.Image, params: LabParams, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        self._params = params
        self._note("begun")
        self._pause("generate")
        self._misbehave(params.goes)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < params.seconds:
            if params.goes != "deaf":
                progress(passed / params.seconds, "solve")
            time.sleep(STEP_S)
        mesh = trimesh.creation.box((1.0, 2.0, 0.5 + image.height / max(1, image.width)))
        for _ in range(params.subdivisions):
            mesh = mesh.subdivide()
        self._note("finished")
        return mesh

    def _misbehave(self, goes: str) -> None:
        if goes == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if goes == "hung":
            time.sleep(3600)
        if goes == "frozen":  # native code that never gives the interpreter's lock back
            ctypes.PyDLL(None).sleep(3600)
        if goes == "out_of_memory":
            raise OutOfMemory("the device's memory did not suffice")
        if goes == "wrong":
            raise RuntimeError("shapes do not match")
        if goes == "refused":
            raise NoSurface("the picture holds no shape to build")

    def _gate_of(self, stage: str) -> Any:
        return lambda: self._pause(stage)

    def _pause(self, stage: str) -> None:
        mark = self.folder / f"{self._params.name}.{stage}"
        if self._params.pause_at != stage or mark.exists():
            return
        mark.with_suffix(".new").write_text(str(os.getpid()))
        mark.with_suffix(".new").rename(mark)
        while not mark.with_suffix(".go").exists():
            time.sleep(STEP_S)

    def _note(self, what: str) -> None:
        with (self.folder / "runs").open("a") as runs:
            runs.write(f"{self._params.name} {what} {os.getpid()} {time.time():.0f}\n")


def _gate(owner: Any, name: str, pause: Any) -> None:
    step = getattr(owner, name)

    def gated(*args: Any, **more: Any) -> Any:
        pause()
        return step(*args, **more)

    setattr(owner, name, gated)
