"""A generator for photographs: brightness as height over a plate, or a lithophane that shows the picture against light.

It needs no shape; with `cut` the plate takes the outline of the one that is found.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import torch
import trimesh
from PIL import Image
from pydantic import Field
from torch import Tensor

from worker.generators.base import GeneratorParams, Progress
from worker.generators.grid import affordable
from worker.generators.outline import Outline, outline_of
from worker.generators.sheet import Sheet, rectangle, sheet_of
from worker.generators.solid import walled
from worker.generators.texture import dressed, plain
from worker.generators.tone import Range, contrasted, file_heights, on_ground, stretched
from worker.generators.weight_free import WeightFree
from worker.masks import find_mask, working_picture
from worker.masks.picture import WorkingPicture
from worker.mesh.notices import with_notices

LITHOPHANE_CONTRAST = 20.0  # of the light that passes the thinnest and the thickest place


class ReliefParams(GeneratorParams):
    """What becomes of light and dark."""

    style: Literal["brightness", "lithophane"] = Field("brightness", description="Bright is high, or bright is thin")
    height: float = Field(0.08, ge=0.002, le=1.0, description="Height of the relief, as a share of the longer side")
    base: float = Field(
        0.03, ge=0.002, le=0.5, description="Thickness of the plate below, as a share of the longer side"
    )
    invert: bool = Field(False, description="Swap light and dark")
    smoothing: float = Field(0.8, ge=0.0, le=8.0, description="Radius of the blur, in grid cells")
    resolution: int = Field(288, ge=32, le=1024, description="Grid cells along the longer side")
    cut: bool = Field(False, description="Cut the plate to the shape in the picture")
    low: float = Field(
        0.0, ge=-1e9, le=1e9, description="Value at the bottom, in the file's numbers; high = low takes the lowest"
    )
    high: float = Field(
        0.0, ge=-1e9, le=1e9, description="Value at the top, in the file's numbers; high = low takes the highest"
    )


class Relief(WeightFree):
    """Luminance → height field over a flat back."""

    name = "relief"
    title = "Relief: a photograph as a raised plate or a lithophane"
    revision = "2"
    Params = ReliefParams

    def generate(self, image: Image.Image, params: ReliefParams, *, seed: int, progress: Progress) -> trimesh.Trimesh:
        progress(0.0, "outline")
        picture = working_picture(image)
        mask = find_mask(picture, seed=seed) if params.cut else None
        coverage = mask.coverage if mask else np.ones(picture.shape, np.float32)
        outline, sheet = self._plate(picture, coverage, params)
        progress(0.5, "mesh")
        longest = float((sheet.points.amax(dim=0) - sheet.points.amin(dim=0)).max())
        shown = on_ground(picture)
        tone = _tone(image, shown, outline.cell_px, params)
        raised = relief_heights(_at_points(tone, outline, sheet), params)
        front = longest * (params.base + params.height * raised)
        solid = walled(sheet, front, torch.zeros_like(front))
        progress(0.8, "texture")
        if params.style == "lithophane":
            mesh = plain(solid)
        else:
            mesh = dressed(solid, outline, shown, coverage)
        progress(1.0, "done")
        return with_notices(mesh, (*(mask.notices if mask else ()), *outline.notices))

    def _plate(self, picture: WorkingPicture, coverage: np.ndarray, params: ReliefParams) -> tuple[Outline, Sheet]:
        """The grid and the flat plate on it: the whole frame, or the shape."""
        if params.cut:
            outline = outline_of(coverage, resolution=params.resolution, smoothing=0.7, device=self._device)
            return outline, sheet_of(outline.field)
        height, width = picture.shape
        longest = max(height, width)
        cells, told = affordable(params.resolution, longest_px=longest, fill=min(height, width) / longest)
        cell = longest / cells
        rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
        field = torch.ones(rows, columns, device=self._device)
        return Outline(field, cell, (-0.5, -0.5), told), rectangle(rows, columns, self._device)


def _tone(image: Image.Image, shown: WorkingPicture, cell_px: float, params: ReliefParams) -> np.ndarray:
    """Light in 0..1 at each pixel of the working picture: the file's own heights, or how bright the picture is."""
    wanted = Range(params.low, params.high)
    heights = file_heights(image, shown.shape, wanted)
    tone = contrasted(shown.rgb) if heights is None else heights
    if params.style == "lithophane":
        tone = np.maximum(tone, 0) ** 2.2
    if params.smoothing:
        tone = cv2.GaussianBlur(tone, (0, 0), max(0.3, params.smoothing * cell_px))
    return tone if heights is not None else stretched(tone, wanted.of_levels())


def _at_points(tone: np.ndarray, outline: Outline, sheet: Sheet) -> Tensor:
    """Tones at each point of the sheet: (n,)."""
    nodes = outline.sample(tone.astype(np.float32))
    place = sheet.points.T.flip(0).to(nodes.dtype)  # row, column
    return bilinear(nodes, place[0], place[1])


def relief_heights(light: Tensor, params: ReliefParams) -> Tensor:
    """Height in 0..1 over the base for light in 0..1.

    A lithophane's thickness follows Beer–Lambert: light that falls off by e^(−μt) shall be proportional to the
    picture's, between 1 and 1/`LITHOPHANE_CONTRAST`.
    """
    light = 1 - light if params.invert else light
    if params.style == "brightness":
        return light
    least = 1 / LITHOPHANE_CONTRAST
    return -torch.log(least + (1 - least) * light) / math.log(LITHOPHANE_CONTRAST)


def bilinear(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`values` (height, width) at places given in nodes, (n,) each; beyond the edge the nearest holds."""
    height, width = values.shape
    row, column = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    top, left = row.floor().long().clamp(max=max(height - 2, 0)), column.floor().long().clamp(max=max(width - 2, 0))
    down, across = row - top, column - left
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    upper = torch.lerp(values[top, left], values[top, right], across)
    lower = torch.lerp(values[bottom, left], values[bottom, right], across)
    return torch.lerp(upper, lower, down)
