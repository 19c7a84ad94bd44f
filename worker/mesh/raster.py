"""Triangles to pixels on the CPU: which face each pixel sees, and how far away.

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
Ints = NDArray[np.integer]

NO_FACE = -1
_NEAR, _FAR = 1.0, 100.0  # closer bounds keep the depths exact: they are stored as a float of 1/z
NOTHING = 0.9 * _FAR  # depths beyond are no face


@dataclass(frozen=True)
class Lens:
    """A pinhole that looks along −z with y up: a square of `side_px`, `half_width` at distance 1 reaching its edge."""

    side_px: int
    half_width: float

    def directions(self, rows: NDArray[np.number], columns: NDArray[np.number]) -> Floats:
        """Rays (k, 3) through the centres of pixels, scaled so that z is −1: times the depth they are positions."""
        step = 2 * self.half_width / self.side_px
        rays = np.empty((len(rows), 3), dtype=np.float32)
        rays[:, 0] = (columns + 0.5) * step - self.half_width
        rays[:, 1] = self.half_width - (rows + 0.5) * step
        rays[:, 2] = -1.0
        return rays

    def pixels(self, positions: Floats) -> Floats:
        """Where positions (k, 3) in front of the lens appear: column and row (k, 2), pixel centres at .5."""
        scale = np.float32(self.side_px / (2 * self.half_width))
        middle = np.float32(self.side_px / 2)
        places = positions[:, :2] * (scale / -positions[:, 2])[:, None]
        places *= np.float32([1, -1])
        places += middle
        return places


@dataclass(frozen=True)
class Sight:
    """What every pixel sees: index of the face (−1: nothing) and distance along −z, both (side, side)."""

    face: NDArray[np.int32]
    depth: Floats

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Pixels that see a face, (side, side)."""
        return self.face != NO_FACE


def look(triangles: Floats, lens: Lens) -> Sight:
    """The nearest of faces (m, 3, 3), given in the lens' space and 1 to 100 away, at each pixel's centre."""
    count = len(triangles)
    numbers = np.repeat(np.arange(1, count + 1, dtype=np.float32), 3)  # exact up to 2²⁴ faces
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_FLAT)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    colour, depth = cv2.triangleRasterize(
        np.ascontiguousarray(triangles, dtype=np.float32).reshape(-1, 1, 3),
        np.arange(3 * count, dtype=np.int32).reshape(-1, 1, 3),
        np.repeat(numbers[:, None], 3, axis=1).reshape(-1, 1, 3),
        np.zeros((lens.side_px, lens.side_px, 3), dtype=np.float32),
        _nothing(lens),
        *_camera(lens),
        settings,
    )
    return Sight(face=colour[..., 0].astype(np.int32) - 1, depth=depth)


def depths(vertices: Floats, faces: Ints, lens: Lens) -> Floats:
    """Distance along −z of the nearest face at each pixel's centre (side, side); beyond `NOTHING` there is none."""
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    return cv2.triangleRasterizeDepth(
        np.ascontiguousarray(vertices, dtype=np.float32).reshape(-1, 1, 3),
        np.ascontiguousarray(faces, dtype=np.int32).reshape(-1, 1, 3),
        _nothing(lens),
        *_camera(lens),
        settings,
    )


def moved(points: Floats, rotation: Floats, shift: Floats) -> Floats:
    """Points (k, 3) turned by a matrix (3, 3), then shifted (3,).

    By OpenCV's loop: for so thin a matrix BLAS wakes threads that cost ten times as much as they do.
    """
    affine = np.column_stack((rotation, shift)).astype(np.float32)
    return cv2.transform(points.reshape(-1, 1, 3), affine).reshape(-1, 3)


def _nothing(lens: Lens) -> Floats:
    return np.full((lens.side_px, lens.side_px), _FAR, dtype=np.float32)


def _camera(lens: Lens) -> tuple[NDArray[np.float32], float, float, float]:
    """World to camera, the vertical field of view, the near and the far plane, as OpenCV wants them."""
    return np.eye(4, dtype=np.float32), 2 * math.atan(lens.half_width), _NEAR, _FAR
