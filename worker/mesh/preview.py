"""A picture of a mesh: three-quarter view, studio light, a quiet background; what people see first.

Pure CPU, no display and no graphics driver, the same bytes every time. It is a picture, not a viewer.
"""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from worker.mesh import shading
from worker.mesh.appearance import CLAY, sample, tinted, to_linear, to_srgb
from worker.mesh.raster import NO_FACE, Floats, Sight, corner_weights, edge_functions, look
from worker.mesh.stage import Stage, set_up
from worker.mesh.topology import unit_length

_PIXELS_AT_ONCE = 1 << 18
_MOST_SAMPLES_PX = 1024  # beyond the size asked for: three samples a pixel and side at 512, one and a half at 2048
_FLOOR_STEP = 4
_PAPER_CENTRE, _PAPER_EDGE = np.float32([0.955, 0.96, 0.965]), np.float32([0.80, 0.815, 0.835])
_KEY = np.float32([-0.55, 0.60, 0.58])  # from the upper left, towards the eye, in view space


def preview_png(mesh: trimesh.Trimesh, *, size_px: int) -> bytes:
    """A square PNG of a mesh with at least one face, y up and front towards +z, whatever its size and place."""
    stage = set_up(mesh, min(3 * size_px, size_px + _MOST_SAMPLES_PX))
    sight = look(stage.triangles, stage.lens)
    picture = _paper(stage.lens.side_px)
    _darken_floor(picture, stage, sight)
    _paint(picture, stage, sight)
    small = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA)
    pixels = np.rint(to_srgb(small.clip(0, 1)) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=6)
    return file.getvalue()


def _portions(mask: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and columns of the pixels in the mask, in portions that bound the memory."""
    rows, columns = np.nonzero(mask)
    cuts = range(0, len(rows), _PIXELS_AT_ONCE)
    return [(rows[start : start + _PIXELS_AT_ONCE], columns[start : start + _PIXELS_AT_ONCE]) for start in cuts]


def _paper(side_px: int) -> Floats:
    """A bright sweep of paper that darkens towards the corners."""
    line = (np.arange(side_px, dtype=np.float32) + 0.5) / side_px * 2 - 1
    away = line[None, :] ** 2 + (line[:, None] + 0.1) ** 2
    blend = (away / 2.25).clip(0, 1)[..., None]
    return (to_linear(_PAPER_CENTRE) * (1 - blend) + to_linear(_PAPER_EDGE) * blend).astype(np.float32)


def _darken_floor(picture: Floats, stage: Stage, sight: Sight) -> None:
    """The mesh's shadow on the floor it stands on; the floor itself is the paper.

    Shadows there are soft: one sample in `_FLOOR_STEP` ² is enough, and the rest is drawn between them.
    """
    dark = shading.contact(stage.vertices, stage.vertices[stage.faces])
    floor, side = float(stage.vertices[:, 1].min()), len(dark)
    count = -(-stage.lens.side_px // _FLOOR_STEP)
    line = (np.arange(count, dtype=np.float32) + 0.5) * (stage.lens.side_px / count) - 0.5
    row, column = (axis.ravel() for axis in np.meshgrid(line, line, indexing="ij"))
    rays = stage.in_mesh_axes(stage.lens.directions(row, column))
    steps = np.where(rays[:, 1] < -1e-3, (floor - stage.eye[1]) / np.minimum(rays[:, 1], -1e-3), 0)
    place = stage.eye + rays * steps[:, None]
    uv = place[:, [0, 2]] / shading.CONTACT_REACH * (1, -1) + 0.5
    inside = ((uv > 0) & (uv < 1)).all(axis=1) & (steps > 0)
    shadow = sample(dark.reshape(side, side, 1), uv.clip(0, 1))[:, 0] * inside
    coarse = shadow.reshape(count, count).astype(np.float32)
    fine = cv2.resize(coarse, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    picture *= 1 - fine[..., None] * (sight.face == NO_FACE)[..., None]


def _paint(picture: Floats, stage: Stage, sight: Sight) -> None:
    key = _KEY / np.linalg.norm(_KEY)
    shadow = shading.cast(stage.triangles, key)
    sky = shading.open_sky(sight, stage.lens)
    edges = edge_functions(stage.triangles)
    texture = _texture(stage)
    for row, column in _portions(sight.face != NO_FACE):
        face = sight.face[row, column]
        rays = stage.lens.directions(row, column)
        weights = corner_weights(edges[face], rays)
        normals = _facing_the_eye(unit_length(np.einsum("kc,kci->ki", weights, stage.normals[face])), edges[face], rays)
        position = rays * sight.depth[row, column, None]
        lit = shadow.lit(position, _turns(row, column))
        albedo = _albedo(stage, texture, face, weights)
        light = shading.shade(albedo, normals, rays, lit, sky[row, column], key, stage.up)
        picture[row, column] = shading.rolled_off(light)


def _facing_the_eye(normals: Floats, edges: Floats, rays: Floats) -> Floats:
    """Normals of the side that is seen: where an open surface shows its inside, they are turned round."""
    inside = np.einsum("kci,ki->k", edges, rays) > 0
    return np.where(inside[:, None], -normals, normals)


def _turns(row: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
    """An angle for every sample, different in each of a block of 3 × 3, which becomes one pixel of the picture."""
    return (((row % 3) * 3 + column % 3) * (2 * math.pi / 9)).astype(np.float32)


def _texture(stage: Stage) -> Floats | None:
    """Linear pixels of the texture, reduced to about the resolution at which the picture shows it."""
    image = stage.look.texture
    if image is None:
        return None
    reduced = image.convert("RGB").reduce(max(1, round(max(image.size) / (2 * stage.lens.side_px))))
    pixels = np.asarray(reduced, dtype=np.float32) / 255
    return to_linear(tinted(pixels, stage.look.factor)).astype(np.float32)


def _albedo(stage: Stage, texture: Floats | None, face: NDArray[np.int32], weights: Floats) -> Floats:
    """Linear colours (k, 3) of places on faces (k,)."""
    corners = stage.faces[face]
    if texture is not None and stage.look.uv is not None:
        return sample(texture, np.einsum("kc,kci->ki", weights, stage.look.uv[corners].astype(np.float32)))
    if stage.look.colours is not None:
        srgb = np.einsum("kc,kci->ki", weights, stage.look.colours[corners].astype(np.float32) / 255)
        return to_linear(srgb).astype(np.float32)
    return np.tile(to_linear(np.float32(CLAY) / 255).astype(np.float32), (len(face), 1))
