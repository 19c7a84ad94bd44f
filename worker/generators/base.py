"""What a generator is: a named, versioned function from one picture to one mesh, with its parameters as a model.

It says nothing of files, formats, sizes in millimetres or caches: whoever calls a generator owns those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from PIL import Image
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch
    import trimesh

ENTRY_POINT_GROUP = "orfeas.generators"


class Progress(Protocol):
    """How a generator tells where it is; call it between steps, at least every few seconds.

    Raises:
        jobs.errors.Canceled: nobody waits for the mesh any more; let it pass through.
    """

    def __call__(self, fraction: float, stage: str) -> None:
        """Report `fraction` (0 to 1, never falling) and the word for what comes next, such as `solve`."""


class GeneratorParams(BaseModel):
    """Base of a generator's parameters: unknown names are refused, values never change.

    Every field has a default, a range and a description: its JSON schema makes the form of the page.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@runtime_checkable
class Generator(Protocol):
    """One way to make a mesh. One instance serves a worker process, one call at a time.

    `revision` is part of every result's key: change it whenever the bytes that come out may change
    (for learned models: code version plus a digest of the weights).
    """

    name: str
    title: str
    revision: str
    needs: tuple[str, ...]
    Params: type[BaseModel]

    def unavailable_because(self) -> str | None:
        """The reason why this process cannot run it, in words for an operator; `None` when it can."""

    def load(self, device: torch.device) -> None:
        """Get ready on `device`; called once per process, before the first `generate`.

        Raises:
            jobs.errors.GeneratorUnavailable: weights or an extra are missing; the message says how to fetch them.
        """

    def generate(self, image: Image.Image, params: BaseModel, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        """The mesh of an upright RGBA picture: y up, x right, the picture's front facing +z, any scale.

        Grey of more than 8 bits has its own numbers in `image.info["samples"]`, (height, width).
        Textured meshes carry `TextureVisuals` with UV and a PBR material whose base colour is a PIL picture.

        Raises:
            jobs.errors.NoSurface: the picture holds no shape to build.
            jobs.errors.OutOfMemory: the device's memory did not suffice; trying again may help.
            jobs.errors.Canceled: passed through from `progress`.
        """
