"""Which generators this process has: the built-in ones, and those that installed packages offer.

It loads no weights and touches no device; a plug-in that cannot be imported is listed with the reason.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from PIL import Image
from pydantic import BaseModel

from jobs.errors import GeneratorUnavailable
from worker.generators.base import ENTRY_POINT_GROUP, Generator, GeneratorParams, Progress

if TYPE_CHECKING:
    import torch
    import trimesh

DEFAULT_GENERATOR = "inflate"
BUILT_IN = {
    "inflate": "worker.generators.inflate:Inflate",
    "relief": "worker.generators.relief:Relief",
    "extrude": "worker.generators.extrude:Extrude",
}
_MEMBERS = ("name", "title", "revision", "needs", "Params", "unavailable_because", "load", "generate")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Broken:
    """Stands in for a generator that could not be imported, so that people see its name and the reason."""

    revision = "0"
    needs: tuple[str, ...] = ()
    Params = GeneratorParams

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.title = f"{name} (not available)"
        self._reason = reason

    def unavailable_because(self) -> str | None:
        return self._reason

    def load(self, device: torch.device) -> None:
        raise GeneratorUnavailable(f"generator {self.name} is not available: {self._reason}")

    def generate(self, image: Image.Image, params: BaseModel, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        raise GeneratorUnavailable(f"generator {self.name} is not available: {self._reason}")


def discover() -> dict[str, Generator]:
    """Every generator by name: the built-in ones first, then entry points of the group `orfeas.generators`."""
    found: dict[str, Generator] = {}
    for name, target in BUILT_IN.items():
        found[name] = _make(EntryPoint(name=name, value=target, group=ENTRY_POINT_GROUP))
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
        name, generator = point.name, _make(point)
        if name in found:
            name = f"{point.name}@{point.dist.name if point.dist else point.module}"
            generator = Broken(name, f"its name {point.name!r} is already taken")
        found[name] = generator
    return found


def choose_device(setting: str) -> torch.device:
    """The device that DEVICE names; `auto` is the first CUDA device when there is one, else the CPU.

    Raises:
        ValueError: the setting names no device that torch knows, or one that this machine lacks.
    """
    torch = import_module("torch")
    if setting == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(setting)
    except RuntimeError as error:
        raise ValueError(f"DEVICE={setting!r} is not a device: {str(error).splitlines()[0]}") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"DEVICE={setting!r}, but torch sees {torch.cuda.device_count()} CUDA devices here")
    return device


def device_memory_mb(device: torch.device) -> tuple[float, float]:
    """Memory of a CUDA device that is used, by whomever, and all there is, in MB of 2²⁰ bytes; zeros for the CPU."""
    if device.type != "cuda":
        return 0.0, 0.0
    free, total = import_module("torch").cuda.mem_get_info(device)
    return (total - free) / 2**20, total / 2**20


def _make(point: EntryPoint) -> Generator:
    try:
        target = point.load()
        generator = target() if callable(target) else target
        _check(point.name, generator)
    except Exception as error:
        return Broken(point.name, f"{type(error).__name__}: {error}")
    return generator


def _check(name: str, generator: object) -> None:
    missing = [member for member in _MEMBERS if not hasattr(generator, member)]
    if missing:
        raise TypeError(f"{generator!r} is no generator: it lacks {', '.join(missing)}")
    if generator.name != name:
        raise ValueError(f"the entry point is called {name!r}, the generator {generator.name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use lower-case letters, digits, - and _")
    if not isinstance(generator.revision, str) or not generator.revision:
        raise ValueError("revision must be a non-empty string: it is part of every result's key")
    generator.Params.model_json_schema()
    generator.Params()
