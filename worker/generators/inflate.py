"""The default generator: the shape in the picture, blown up like a cushion and wearing the picture.

Height is √u, where u solves a Poisson equation on the shape: a disc becomes a ball. It needs no weights.
"""

from __future__ import annotations

import trimesh
from PIL import Image
from pydantic import Field

from worker.generators.base import Progress
from worker.generators.outline import outline_of
from worker.generators.poisson import solve_inflation
from worker.generators.sheet import sheet_of
from worker.generators.solid import shells
from worker.generators.texture import dressed
from worker.generators.weight_free import ShapeParams, WeightFree
from worker.masks import find_mask, working_picture
from worker.mesh.notices import with_notices


class InflateParams(ShapeParams):
    """How the shape is found and how it swells."""

    thickness: float = Field(0.8, ge=0.05, le=2.0, description="Depth; at 1 a disc becomes a ball")
    resolution: int = Field(320, ge=32, le=1024, description="Grid cells along the longer side of the shape")


class Inflate(WeightFree):
    """Shape → Poisson equation → two shells that share their rim. Sources: Joshi & Carr 2008; Sýkora et al. 2014."""

    name = "inflate"
    title = "Inflate: the picture's shape as a rounded, textured, printable solid"
    revision = "2"
    Params = InflateParams

    def generate(self, image: Image.Image, params: InflateParams, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        progress(0.0, "mask")
        picture = working_picture(image)
        mask = find_mask(picture, road=params.mask, holes=params.holes, seed=seed)
        progress(0.45, "solve")
        outline = outline_of(mask.coverage, resolution=params.resolution, smoothing=0.7, device=self._device)
        u = solve_inflation(outline.field)
        height = params.thickness * u.sqrt()
        progress(0.7, "mesh")
        sheet = sheet_of(outline.field)
        front = height.flatten()[sheet.nodes]
        solid = shells(sheet, front, -front)
        progress(0.8, "texture")
        mesh = dressed(solid, outline, picture, mask.coverage)
        progress(1.0, "done")
        return with_notices(mesh, (*mask.notices, *outline.notices))
