"""A generator for logos and lettering: the shape in the picture as a plate with upright sides and a bevelled edge."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import trimesh
from PIL import Image
from pydantic import Field
from scipy.spatial import cKDTree
from torch import Tensor

from worker.generators.base import Progress
from worker.generators.outline import outline_of
from worker.generators.sheet import Sheet, sheet_of
from worker.generators.solid import walled
from worker.generators.texture import dressed
from worker.generators.weight_free import ShapeParams, WeightFree
from worker.masks import find_mask, working_picture
from worker.mesh.notices import with_notices


class ExtrudeParams(ShapeParams):
    """How thick the plate is and how its edge is broken."""

    depth: float = Field(0.15, ge=0.005, le=2.0, description="Thickness, as a share of the longer side")
    bevel: float = Field(0.25, ge=0.0, le=0.48, description="Width of the bevel, as a share of the thickness")
    edge: Literal["round", "chamfer"] = Field("round", description="Form of the bevel")
    resolution: int = Field(288, ge=32, le=1024, description="Grid cells along the longer side of the shape")


class Extrude(WeightFree):
    """Shape → prism; the bevel's height follows the distance to the outline."""

    name = "extrude"
    title = "Extrude: a logo or lettering as a plate with bevelled edges"
    revision = "2"
    Params = ExtrudeParams

    def generate(self, image: Image.Image, params: ExtrudeParams, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        progress(0.0, "mask")
        picture = working_picture(image)
        mask = find_mask(picture, road=params.mask, holes=params.holes, seed=seed)
        progress(0.5, "mesh")
        outline = outline_of(mask.coverage, resolution=params.resolution, smoothing=0.7, device=self._device)
        sheet = sheet_of(outline.field)
        extent = sheet.points.amax(dim=0) - sheet.points.amin(dim=0)
        thickness = params.depth * float(extent.max())
        height = bevelled(rim_distance(sheet), thickness, params.bevel * thickness, params.edge)
        solid = walled(sheet, height, -height)
        progress(0.8, "texture")
        mesh = dressed(solid, outline, picture, mask.coverage)
        progress(1.0, "done")
        return with_notices(mesh, (*mask.notices, *outline.notices))


def rim_distance(sheet: Sheet) -> Tensor:
    """Distance of every point of the sheet to the nearest rim vertex, in cells: (n,), zero on the rim."""
    count = sheet.inner_count
    points = sheet.points.cpu().numpy()
    distance = np.zeros(len(points), np.float32)
    distance[:count] = cKDTree(points[count:]).query(points[:count])[0]
    return torch.from_numpy(distance).to(sheet.points.device)


def bevelled(distance: Tensor, thickness: float, width: float, edge: Literal["round", "chamfer"]) -> Tensor:
    """Half the plate's thickness over each point: full inside, lower by `width` at the outline, in cells."""
    if width <= 0:
        return torch.full_like(distance, thickness / 2)
    away = (1 - distance / width).clamp(0, 1)
    drop = away if edge == "chamfer" else 1 - (1 - away * away).sqrt()
    return thickness / 2 - width * drop
