"""From a mask in pixels to a signed field on a grid whose zero line is the outline, fit for meshing.

It decides how fine the grid is and how smooth the outline; it builds no triangles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from jobs.errors import NoSurface
from jobs.requests import Notice
from worker.generators.fineness import CELLS_ACROSS, affordable_px, lines_of
from worker.generators.grid import SOLID_GRID, affordable

MARGIN_CELLS = 2
LEAST_CELLS_ACROSS = 24  # even a ribbon gets this many cells across, if the grid stays affordable
RIBBON_FACES = 250_000  # what that may cost
LEFT_OUT = 0.002  # share of the shape from which thin places that no cell holds are reported


@dataclass(frozen=True)
class Outline:
    """`field` (rows, columns) float32, positive inside; node (row, column) is at `origin` + `cell` · (column, row)."""

    field: Tensor
    cell_px: float
    origin_px: tuple[float, float]
    notices: tuple[Notice, ...] = ()

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Places on the grid (n, 2) as x, y in pixels of the working picture."""
        return points * self.cell_px + np.asarray(self.origin_px)

    def sample(self, values: np.ndarray) -> Tensor:
        """A float picture of the mask's size at the grid's nodes, area-averaged; edges are continued."""
        blurred = _blur(values, 0.5 * self.cell_px)
        return torch.from_numpy(_at_nodes(blurred, self, cv2.BORDER_REPLICATE)).to(self.field.device)


def outline_of(coverage: np.ndarray, *, resolution: int, smoothing: float, device: torch.device) -> Outline:
    """Sample coverage (height, width; outline at 0.5) on about `resolution` cells along the shape's longer side.

    There are more of them where lines or gaps would be lost and the shape is so thin that it costs no more.

    `smoothing` is the radius of a Gaussian, in cells, that rounds off the pixels' stairs. The outline's notices name
    what was too thin for the grid, and a grid coarser than asked for.

    Raises:
        NoSurface: all of the shape is too thin for the grid.
    """
    rows, columns = np.nonzero(coverage >= 0.5)
    low = np.array([columns.min(), rows.min()]) - 0.5
    high = np.array([columns.max(), rows.max()]) + 0.5
    extent = high - low
    ratio = float(extent.max() / extent.min())
    ribbon = min(LEAST_CELLS_ACROSS * ratio, math.sqrt(RIBBON_FACES / 4 * ratio))
    fill = len(rows) / float(extent.max()) ** 2
    cells, told = affordable(resolution, longest_px=float(extent.max()), fill=fill)
    lines = lines_of(coverage)
    fine = max(lines.finest_px / CELLS_ACROSS, affordable_px(coverage, extent, min(cells, SOLID_GRID)))
    cell = min(float(extent.max() / max(cells, ribbon)), fine)
    shape = np.ceil(extent / cell).astype(int) + 2 * MARGIN_CELLS + 1
    slack = (shape - 1) * cell - extent
    origin = low - slack / 2
    empty = Outline(torch.empty(int(shape[1]), int(shape[0])), cell, (float(origin[0]), float(origin[1])))
    sigma = max(smoothing * cell, min(0.7, 0.35 * lines.finest_px))
    pad = int(np.ceil(3 * sigma)) + 2
    padded = cv2.copyMakeBorder(coverage, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0.0)
    around = replace(empty, origin_px=(empty.origin_px[0] + pad, empty.origin_px[1] + pad))
    blurred = _blur(padded, sigma)
    field = _at_nodes(blurred, around, cv2.BORDER_CONSTANT)
    level = min(lines.level(blurred[pad:-pad, pad:-pad]), 0.9 * float(field.max()))
    field = field - level
    field[[0, -1], :] = field[:, [0, -1]] = np.minimum(field[0, 0], -level)
    told += _too_thin(coverage, Outline(torch.from_numpy(field), cell, empty.origin_px))
    return Outline(torch.from_numpy(field).to(device), cell, empty.origin_px, told)


def _too_thin(coverage: np.ndarray, outline: Outline) -> tuple[Notice, ...]:
    """What became of parts that are about as thin as a cell.

    Raises:
        NoSurface: no node of the grid lies in the shape.
    """
    inside = outline.field.numpy() > 0
    if not inside.any():
        raise NoSurface(
            f"the shape is thinner than the grid's cells of {outline.cell_px:.3g} pixels: there is nothing to build;"
            " raise resolution or send a larger picture"
        )
    mask = (coverage >= 0.5).astype(np.uint8)
    parts, labels = cv2.connectedComponents(mask, connectivity=8)
    left_out = (mask > 0) & ~_near(inside, outline, coverage.shape)
    shown = len(np.unique(labels[(mask > 0) & ~left_out]))
    pieces = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4)[0] - 1
    return _thin_notices(parts - 1, shown, pieces, float(left_out.sum() / max(1, mask.sum())), outline.cell_px)


def _near(inside: np.ndarray, outline: Outline, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels with a node of the shape about one cell away."""
    step, (x, y) = 1 / outline.cell_px, outline.origin_px
    found = cv2.warpAffine(
        cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)),
        np.array([[step, 0, -x * step], [0, step, -y * step]]),
        (shape[1], shape[0]),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    return found > 0


def _thin_notices(parts: int, shown: int, pieces: int, left_out: float, cell_px: float) -> tuple[Notice, ...]:
    told = []
    advice = f"the grid's cells are {cell_px:.2g} pixels wide; a higher resolution or a larger picture shows more"
    if shown < parts:
        message = f"{parts - shown} of {parts} parts of the shape are too thin and were left out: {advice}"
        told.append(Notice(code="parts_dropped", message=message))
    elif left_out > LEFT_OUT:
        message = f"places that are too thin, {left_out:.1%} of the shape, were left out: {advice}"
        told.append(Notice(code="parts_dropped", message=message))
    if pieces > shown > 0:
        message = f"thin places of the shape came apart, {shown} parts became {pieces}: {advice}"
        told.append(Notice(code="parts_split", message=message))
    return tuple(told)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) if sigma > 0.3 else values


def _at_nodes(values: np.ndarray, outline: Outline, border: int) -> np.ndarray:
    rows, columns = outline.field.shape
    matrix = np.array([[outline.cell_px, 0, outline.origin_px[0]], [0, outline.cell_px, outline.origin_px[1]]])
    return cv2.warpAffine(
        values,
        matrix,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=0.0,
    )
