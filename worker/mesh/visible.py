"""The faces that some pixel sees, and what lies on them under a pixel: a normal, a colour.

Of a fine mesh a picture shows the smaller part; only that part is prepared. Nothing here knows of light.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.mesh import topology
from worker.mesh.appearance import CLAY, Appearance, to_linear
from worker.mesh.raster import Floats, Ints, Sight, moved
from worker.mesh.stage import Stage

_CREASE = math.cos(math.radians(38))
_REMAP_ROW = 1 << 10  # OpenCV's remap takes no picture of more than 32767 rows or columns


class VisibleFaces:
    """Corner weights, normals and linear colours for pixels, by the faces they see."""

    def __init__(self, stage: Stage, sight: Sight) -> None:
        shown = np.zeros(len(stage.faces) + 1, dtype=bool)  # NO_FACE, −1, falls on the last
        shown[sight.face.reshape(-1)] = True
        numbers = np.flatnonzero(shown[:-1])
        self._place = np.zeros(len(stage.faces), dtype=np.int32)
        self._place[numbers] = np.arange(len(numbers), dtype=np.int32)
        corners = stage.faces[numbers]
        self._edges = _edge_functions(stage.seen[corners])
        self._normals = _corner_normals(stage, numbers)
        self._texture = _texture(stage.look, stage.lens.side_px)
        self._values = _corner_values(stage.look, corners)

    def hits(self, face: NDArray[np.int32], rays: Floats) -> tuple[Floats, Floats]:
        """Unit normals towards the eye (k, 3), and linear colours (k, 3), where rays (k, 3) meet faces (k,)."""
        place = self._place[face]
        edges = self._edges[place]
        weights = _corner_weights(edges, rays)
        normals = topology.unit_length(np.einsum("kc,kci->ki", weights, self._normals[place]))
        inside = np.einsum("kci,ki->k", edges, rays) > 0  # an open surface may show its inside
        normals[inside] *= -1
        return normals, self._colours(weights, place)

    def _colours(self, weights: Floats, place: NDArray[np.int32]) -> Floats:
        if self._values is None:
            return np.tile(_linear(np.float32(CLAY) / 255), (len(place), 1))
        values = np.einsum("kc,kci->ki", weights, self._values[place])
        return _linear(values) if self._texture is None else _sampled(self._texture, values)


def _edge_functions(triangles: Floats) -> Floats:
    """Per face a matrix (m, 3, 3) that turns a ray into unnormalised corner weights, perspective included.

    With the corners as columns of V the weights of the ray d are V⁻¹d up to scale; V⁻¹ has cross products as rows.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return np.stack((np.cross(b, c), np.cross(c, a), np.cross(a, b)), axis=1)


def _corner_weights(edges: Floats, rays: Floats) -> Floats:
    """Weights (k, 3) of the corners where rays (k, 3) meet their faces' planes; `edges` (k, 3, 3), one per ray."""
    weights = np.einsum("kij,kj->ki", edges, rays)
    total = np.einsum("ki->k", weights)[:, None]
    weights = np.divide(weights, total, out=np.full_like(weights, 1 / 3), where=total != 0)
    np.clip(weights, 0, 1, out=weights)  # a pixel's centre may lie a rounding outside
    weights /= np.einsum("ki->k", weights)[:, None]
    return weights


def _corner_normals(stage: Stage, numbers: NDArray[np.intp]) -> Floats:
    """Normals (v, 3, 3) of faces (v,) as the lens sees them: smooth, but where a face turns sharply away its own."""
    flat = topology.area_vectors(stage.vertices, stage.faces)
    smooth = topology.vertex_normals(stage.vertices, stage.faces, flat).astype(np.float32)[stage.faces[numbers]]
    own = topology.unit_length(flat[numbers])[:, None, :]
    sharp = np.einsum("vci,voi->vc", smooth, own) < _CREASE
    chosen = np.where(sharp[..., None], own, smooth).astype(np.float32)
    return moved(chosen, stage.rotation, np.zeros(3)).reshape(chosen.shape)


def _corner_values(look: Appearance, corners: Ints) -> Floats | None:
    """What is interpolated over each face: UV (v, 3, 2), or sRGB colours (v, 3, 3), 0 to 1."""
    if look.uv is not None:
        return look.uv.astype(np.float32)[corners]
    return None if look.colours is None else look.colours[corners] / np.float32(255)


def _texture(look: Appearance, side_px: int) -> Floats | None:
    """Linear pixels of the texture, reduced to about the resolution at which the picture shows it."""
    if look.texture is None:
        return None
    reduced = look.texture.convert("RGB").reduce(max(1, round(max(look.texture.size) / (2 * side_px))))
    return _linear(np.arange(256) / 255)[np.asarray(reduced)] * np.float32(look.factor)  # glTF's factor is linear


def _linear(srgb: NDArray[np.floating]) -> Floats:
    return to_linear(srgb).astype(np.float32)


def _sampled(pixels: Floats, uv: Floats) -> Floats:
    """Bilinear samples (k, 3) as `appearance.sample` takes them, to 1/32 of a pixel, and much faster."""
    height, width = pixels.shape[:2]
    count = len(uv)
    rows = -(-count // _REMAP_ROW)
    places = np.zeros((rows * _REMAP_ROW, 2), dtype=np.float32)
    inside = np.where((uv < 0) | (uv > 1), uv % 1.0, uv)
    places[:count, 0] = inside[:, 0] * width - 0.5
    places[:count, 1] = (1 - inside[:, 1]) * height - 0.5
    found = cv2.remap(
        pixels, places.reshape(rows, _REMAP_ROW, 2), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found.reshape(-1, 3)[:count]
