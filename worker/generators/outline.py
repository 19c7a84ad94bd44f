"""From a mask in pixels to a signed field on a grid whose zero line is the outline, fit for meshing.

It decides how fine the grid is and how smooth the outline; it builds no triangles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from jobs.errors import NoSurface
from worker.generators.fineness import CELLS_ACROSS, affordable_px, lines_of

MARGIN_CELLS = 2
LEAST_CELLS_ACROSS = 24  # even a ribbon gets this many cells across, if the grid stays affordable
LONGEST_GRID = 4  # times the asked resolution


@dataclass(frozen=True)
class Outline:
    """`field` (rows, columns) float32, positive inside; node (row, column) is at `origin` + `cell` · (column, row)."""

    field: Tensor
    cell_px: float
    origin_px: tuple[float, float]

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

    `smoothing` is the radius of a Gaussian, in cells, that rounds off the pixels' stairs.

    Raises:
        NoSurface: no node of the grid lies on the shape.
    """
    rows, columns = np.nonzero(coverage >= 0.5)
    low = np.array([columns.min(), rows.min()]) - 0.5
    high = np.array([columns.max(), rows.max()]) + 0.5
    extent = high - low
    cells = max(resolution, min(LONGEST_GRID * resolution, LEAST_CELLS_ACROSS * extent.max() / extent.min()))
    lines = lines_of(coverage)
    fine = max(lines.finest_px / CELLS_ACROSS, affordable_px(coverage, extent, resolution))
    cell = min(float(extent.max() / cells), fine)
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
    if level <= 0:
        raise NoSurface("the shape is too thin for the grid; send a larger picture or ask for a higher resolution")
    field = field - level
    field[[0, -1], :] = field[:, [0, -1]] = np.minimum(field[0, 0], -level)
    return Outline(torch.from_numpy(field).to(device), cell, empty.origin_px)


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
