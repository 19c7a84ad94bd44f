"""A generator from a package of its own: turns a dark silhouette around its middle, as a lathe does."""

import numpy as np
import trimesh
from PIL import Image
from pydantic import Field

from jobs.errors import NoSurface
from worker.generators.base import GeneratorParams, Progress


class LatheParams(GeneratorParams):
    segments: int = Field(96, ge=8, le=512, description="Flat sides around the axis")
    rows: int = Field(200, ge=8, le=1000, description="Rings from the foot to the rim")


class Lathe:
    name = "lathe"
    title = "Lathe: turns a silhouette around its middle"
    revision = "1"  # part of every key: change it whenever other bytes come out
    needs = ()
    Params = LatheParams

    def unavailable_because(self) -> str | None:
        return None

    def load(self, device: object) -> None:
        """Nothing to load; a learned model would read its weights here, once per process."""

    def generate(self, image: Image.Image, params: LatheParams, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        progress(0.0, "outline")
        grey = np.asarray(image.convert("L").resize((image.width, params.rows)))
        alpha = np.asarray(image.getchannel("A").resize((image.width, params.rows)))
        radius = ((grey < 128) & (alpha > 127)).sum(axis=1) / 2
        used = np.flatnonzero(radius)
        if used.size < 2:
            raise NoSurface("the picture has no dark shape to turn")
        radius = radius[used[0] : used[-1] + 1].clip(min=0.5)[::-1]
        height = np.arange(radius.size) * image.height / params.rows
        profile = [(0, 0), *zip(radius, height, strict=True), (0, height[-1])]
        progress(0.5, "turn")
        solid = trimesh.creation.revolve(profile, sections=params.segments)
        solid.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))  # z up → y up
        return solid
