"""A picture of a mesh: three-quarter view, studio light, a quiet background; what people see first.

Pure CPU, no display and no graphics driver, the same bytes every time. It is a picture, not a viewer.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from worker.mesh import shading, shadows
from worker.mesh.appearance import sample, to_linear, to_srgb
from worker.mesh.raster import Floats, Sight, look
from worker.mesh.stage import Stage, set_up
from worker.mesh.visible import VisibleFaces

_SAMPLES = 2  # a pixel and side
_MOST_SAMPLES_PX = 1024  # beyond the size asked for: one and a half at 2048
_PORTION = 1 << 16  # samples shaded at once: what a core's cache holds
_FLOOR_STEP = 2  # pixels; the floor's shadow is soft
_PAPER_CENTRE, _PAPER_EDGE = np.float32([0.955, 0.96, 0.965]), np.float32([0.80, 0.815, 0.835])
_KEY = np.float32([-0.55, 0.60, 0.58])  # from the upper left, towards the eye, in view space
_KEY /= np.linalg.norm(_KEY)


def preview_png(mesh: trimesh.Trimesh, *, size_px: int) -> bytes:
    """A square PNG of a mesh with at least one face, y up and front towards +z, whatever its size and place."""
    stage = set_up(mesh, min(_SAMPLES * size_px, size_px + _MOST_SAMPLES_PX))
    sight = look(stage.seen[stage.faces], stage.lens)
    mesh_light = _reduced(_painted(stage, sight), size_px)
    coverage = _reduced(sight.covered.astype(np.float32), size_px)[..., None]
    picture = mesh_light + _floor(stage, size_px) * (1 - coverage)
    pixels = np.rint(to_srgb(picture.clip(0, 1)) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=6)
    return file.getvalue()


def _reduced(samples: Floats, size_px: int) -> Floats:
    return cv2.resize(samples, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _painted(stage: Stage, sight: Sight) -> Floats:
    """Linear light of the mesh alone, (side, side, 3), on black."""
    picture = np.zeros((stage.lens.side_px, stage.lens.side_px, 3), dtype=np.float32)
    shadow = shadows.cast(stage.seen, stage.faces, _KEY)
    sky = shadows.open_sky(sight.depth, stage.lens)
    faces = VisibleFaces(stage, sight)
    for row, column in _portions(sight.covered):
        rays = stage.lens.directions(row, column)
        normals, albedo = faces.hits(sight.face[row, column], rays)
        lit = shadow.lit(rays * sight.depth[row, column, None], _turns(row, column))
        light = shading.shade(albedo, normals, rays, lit, sky[row, column], _KEY, stage.up)
        picture[row, column] = shading.rolled_off(light)
    return picture


def _portions(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and columns of the pixels in the mask, in portions that bound the memory."""
    rows, columns = np.nonzero(mask)
    for start in range(0, len(rows), _PORTION):
        yield rows[start : start + _PORTION], columns[start : start + _PORTION]


def _turns(row: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
    """An angle for every sample, different in each of the block that becomes one pixel of the picture."""
    block = (row % _SAMPLES) * _SAMPLES + column % _SAMPLES
    return (block * (2 * math.pi / _SAMPLES**2)).astype(np.float32)


def _floor(stage: Stage, size_px: int) -> Floats:
    """A bright sweep of paper that darkens towards the corners, and the mesh's shadow on it; (size, size, 3)."""
    line = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px * 2 - 1
    away = line[None, :] ** 2 + (line[:, None] + 0.1) ** 2
    blend = (away / 2.25).clip(0, 1)[..., None]
    paper = to_linear(_PAPER_CENTRE) * (1 - blend) + to_linear(_PAPER_EDGE) * blend
    shadow = cv2.resize(_floor_shadow(stage, -(-size_px // _FLOOR_STEP)), (size_px, size_px))
    return (paper * (1 - shadow[..., None])).astype(np.float32)


def _floor_shadow(stage: Stage, count: int) -> Floats:
    """Darkness of the floor that the mesh stands on, at count × count places of the picture."""
    dark = shadows.contact(stage.vertices, stage.faces)
    height = float(stage.vertices[:, 1].min())
    line = (np.arange(count, dtype=np.float32) + 0.5) * (stage.lens.side_px / count) - 0.5
    row, column = (axis.ravel() for axis in np.meshgrid(line, line, indexing="ij"))
    rays = stage.in_mesh_axes(stage.lens.directions(row, column))
    steps = np.where(rays[:, 1] < -1e-3, (height - stage.eye[1]) / np.minimum(rays[:, 1], -1e-3), 0)
    place = stage.eye + rays * steps[:, None]
    uv = place[:, [0, 2]] / shadows.CONTACT_REACH * (1, -1) + 0.5
    inside = ((uv > 0) & (uv < 1)).all(axis=1) & (steps > 0)
    shadow = sample(dark[..., None], uv.clip(0, 1))[:, 0] * inside
    return shadow.reshape(count, count).astype(np.float32)
