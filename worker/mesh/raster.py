"""Triangles to pixels on the CPU: which face each pixel sees, how far away, and where on that face.

OpenCV's rasteriser does it, not OpenGL: VTK or a GL driver needs libEGL and libX11 on every host, and where they are
missing the process dies of a segmentation fault. No shading here, and no anti-aliasing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NO_FACE = -1
_FAR = 1e4


@dataclass(frozen=True)
class Lens:
    """A pinhole that looks along −z with y up: a square of `side_px`, `half_width` at distance 1 reaching its edge."""

    side_px: int
    half_width: float

    def directions(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Rays (k, 3) through the centres of pixels, scaled so that z is −1: times the depth they are positions."""
        step = 2 * self.half_width / self.side_px
        rays = np.empty((len(rows), 3), dtype=np.float32)
        rays[:, 0] = (columns + 0.5) * step - self.half_width
        rays[:, 1] = self.half_width - (rows + 0.5) * step
        rays[:, 2] = -1.0
        return rays

    def pixels(self, positions: Floats) -> Floats:
        """Where positions (k, 3) in front of the lens appear: column and row (k, 2), pixel centres at .5."""
        scale = self.side_px / (2 * self.half_width)
        middle = self.side_px / 2
        depth = -positions[:, 2]
        return np.column_stack((positions[:, 0] / depth * scale + middle, middle - positions[:, 1] / depth * scale))


@dataclass(frozen=True)
class Sight:
    """What every pixel sees: index of the face (−1: nothing) and distance along −z, both (side, side)."""

    face: NDArray[np.int32]
    depth: Floats


def look(triangles: Floats, lens: Lens) -> Sight:
    """The nearest of faces (m, 3, 3), given in the lens' space and all in front of it, at each pixel's centre."""
    count = len(triangles)
    side = lens.side_px
    numbers = np.repeat(np.arange(1, count + 1, dtype=np.float32), 3)  # exact up to 2²⁴ faces
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_FLAT)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    colour, depth = cv2.triangleRasterize(
        np.ascontiguousarray(triangles, dtype=np.float32).reshape(-1, 1, 3),
        np.arange(3 * count, dtype=np.int32).reshape(-1, 1, 3),
        np.repeat(numbers[:, None], 3, axis=1).reshape(-1, 1, 3),
        np.zeros((side, side, 3), dtype=np.float32),
        np.full((side, side), _FAR, dtype=np.float32),
        np.eye(4, dtype=np.float32),
        2 * math.atan(lens.half_width),
        1e-3,
        _FAR,
        settings,
    )
    return Sight(face=colour[..., 0].astype(np.int32) - 1, depth=depth)


def edge_functions(triangles: Floats) -> Floats:
    """Per face a matrix (m, 3, 3) that turns a ray into unnormalised corner weights, perspective included.

    With the corners as columns of V the weights of the ray d are V⁻¹d up to scale; V⁻¹ has cross products as rows.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return np.stack((np.cross(b, c), np.cross(c, a), np.cross(a, b)), axis=1)


def corner_weights(edges: Floats, rays: Floats) -> Floats:
    """Weights (k, 3) of the corners where rays (k, 3) meet their faces' planes; `edges` (k, 3, 3), one per ray."""
    weights = np.einsum("kij,kj->ki", edges, rays)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, total, out=np.full_like(weights, 1 / 3), where=total != 0)
    weights = weights.clip(0, 1)  # a pixel's centre may lie a rounding outside
    return weights / weights.sum(axis=1, keepdims=True)
