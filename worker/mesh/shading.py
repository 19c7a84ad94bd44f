"""Light for the preview: a soft key, a hemisphere of fill, a rim light, contact shadows; colours in and out are linear.

A small studio, not a renderer of materials: metals, emission and normal maps are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.mesh.raster import Floats, Lens, Sight, look

_SKY, _GROUND = np.float32([0.60, 0.62, 0.66]), np.float32([0.36, 0.34, 0.32])
_KEY = np.float32([0.80, 0.78, 0.74])
_RIM = np.float32([0.34, 0.36, 0.40])
_SHADOW_PX = 1024
_SHADOW_BIAS = 0.012  # of the mesh's longest side, about four texels of the shadow map
_SHADOW_SOFTNESS_PX = 7.0
_LIGHT_DISTANCE = 8.0
CONTACT_REACH = 2.0  # in longest sides of the mesh


@dataclass(frozen=True)
class Shadow:
    """What the key light sees, and how to get there: rotation (3, 3) from view space about `centre`."""

    sight: Sight
    lens: Lens
    rotation: Floats
    centre: Floats

    def to_light(self, positions: Floats) -> Floats:
        moved = (positions - self.centre) @ self.rotation.T
        moved[:, 2] -= _LIGHT_DISTANCE
        return moved

    def lit(self, positions: Floats, angles: Floats) -> Floats:
        """Share of the key light, 0 to 1, at (k, 3); four taps turned by `angles` (k,), so that neighbours differ."""
        there = self.to_light(positions)
        pixel = self.lens.pixels(there)
        depth = -there[:, 2] - _SHADOW_BIAS
        lit = np.zeros(len(positions), dtype=np.float32)
        for tap in range(4):
            radius = _SHADOW_SOFTNESS_PX * np.sqrt((tap + 0.5) / 4)
            turn = angles + tap * 2.399963  # the golden angle spreads the taps evenly
            column = (pixel[:, 0] + radius * np.cos(turn)).astype(np.intp).clip(0, _SHADOW_PX - 1)
            row = (pixel[:, 1] + radius * np.sin(turn)).astype(np.intp).clip(0, _SHADOW_PX - 1)
            lit += self.sight.depth[row, column] > depth
        return lit / 4


def cast(triangles: Floats, towards_light: Floats) -> Shadow:
    """The shadow map of faces (m, 3, 3) for a distant light in direction `towards_light`, all in view space."""
    low, high = triangles.reshape(-1, 3).min(axis=0), triangles.reshape(-1, 3).max(axis=0)
    centre = (low + high) / 2
    rotation = _facing(towards_light)
    turned = (triangles.reshape(-1, 3) - centre) @ rotation.T
    turned[:, 2] -= _LIGHT_DISTANCE
    half = float(np.abs(turned[:, :2] / -turned[:, 2:]).max()) * 1.05
    lens = Lens(_SHADOW_PX, half)
    return Shadow(look(turned.reshape(-1, 3, 3), lens), lens, rotation, centre)


def _facing(direction: Floats) -> Floats:
    """A rotation that turns `direction` to +z."""
    forward = direction / np.linalg.norm(direction)
    side = np.cross(np.float32([0, 1, 0]) if abs(forward[1]) < 0.99 else np.float32([1, 0, 0]), forward)
    side /= np.linalg.norm(side)
    return np.stack((side, np.cross(forward, side), forward)).astype(np.float32)


def shade(
    albedo: Floats, normals: Floats, rays: Floats, lit: Floats, open_sky: Floats, key: Floats, up: Floats
) -> Floats:
    """Light (k, 3) that leaves points towards the eye.

    `normals`, `rays` (from the eye) in view space; `lit` the share of the key light, `open_sky` of the fill, both (k,).
    """
    eye = -rays / np.linalg.norm(rays, axis=1, keepdims=True)
    half = eye + key
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    facing_key = normals @ key
    diffuse = np.maximum((facing_key + 0.15) / 1.15, 0) * lit  # a large soft box reaches a little round the corner
    sky = (0.5 + 0.5 * (normals @ up))[:, None]
    fill = (_GROUND + (_SKY - _GROUND) * sky) * open_sky[:, None]
    grazing = 1 - np.einsum("ij,ij->i", normals, eye).clip(0, 1)
    rim = grazing**3 * (0.4 + 0.6 * sky[:, 0]) * open_sky
    gloss = np.maximum(np.einsum("ij,ij->i", normals, half), 0)
    shine = (0.10 * gloss**48 + 0.05 * gloss**10) * lit * (facing_key > 0)
    return albedo * (fill + diffuse[:, None] * _KEY) + (rim[:, None] * _RIM) * (0.25 + 0.75 * albedo) + shine[:, None]


def open_sky(sight: Sight, lens: Lens, *, working_px: int = 512, radius: float = 0.16) -> Floats:
    """Share of the fill light that reaches each pixel, (side, side), from the depths around it.

    Screen-space ambient occlusion: neighbours in front of the tangent plane hide sky. Source: Bavoil & Sainz 2009.
    """
    side = min(working_px, lens.side_px)
    depth = cv2.resize(sight.depth, (side, side), interpolation=cv2.INTER_NEAREST)
    seen = depth < 1e3
    step = 2 * lens.half_width / side
    grid = (np.arange(side, dtype=np.float32) + 0.5) * step - lens.half_width
    position = np.dstack((grid[None, :] * depth, -grid[:, None] * depth, -depth))
    normal = _normals_of(position)
    reach_px = radius / (float(depth[seen].mean()) * step) if seen.any() else 1.0
    hidden = np.zeros((side, side), dtype=np.float32)
    taps = 20
    for tap in range(taps):
        length, angle = reach_px * ((tap + 0.5) / taps), tap * 2.399963
        dx, dy = round(length * np.cos(angle)), round(length * np.sin(angle))
        away = _shifted(position, dx, dy) - position
        distance = np.sqrt((away**2).sum(axis=2)) + 1e-6
        rise = (away * normal).sum(axis=2) / distance
        hidden += np.maximum(rise - 0.12, 0) * np.maximum(1 - (distance / (1.5 * radius)) ** 2, 0)
    hidden[~seen] = 0
    weight = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 1.5)
    hidden = cv2.GaussianBlur(hidden, (0, 0), 1.5) / np.maximum(weight, 1e-3)
    share = 1 / (1 + 2.6 * hidden / taps * 2)
    return cv2.resize(share, (lens.side_px, lens.side_px), interpolation=cv2.INTER_LINEAR)


def _normals_of(position: Floats) -> Floats:
    across = np.gradient(position, axis=1)
    down = np.gradient(position, axis=0)
    normal = np.cross(down, across)
    return normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12)


def _shifted(image: Floats, dx: int, dy: int) -> Floats:
    move = np.float32([[1, 0, -dx], [0, 1, -dy]])
    return cv2.warpAffine(image, move, image.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def contact(vertices: Floats, triangles: Floats, *, side_px: int = 256) -> NDArray[np.float32]:
    """Darkness (side, side) on the floor below a mesh of longest side 1, x to the right, z down, CONTACT_REACH wide.

    The mesh is seen from below; what is higher weighs less and is blurred more.
    """
    distance = 20.0
    floor = float(vertices[:, 1].min())
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    below = np.empty_like(triangles)
    below[..., 0] = triangles[..., 0] - middle[0]
    below[..., 1] = middle[2] - triangles[..., 2]
    below[..., 2] = floor - triangles[..., 1] - distance
    sight = look(below, Lens(side_px, CONTACT_REACH / 2 / distance))
    height = np.where(sight.depth < 1e3, sight.depth - distance, np.inf)
    texel = CONTACT_REACH / side_px
    dark = np.zeros((side_px, side_px), dtype=np.float32)
    for blur, fade, strength in ((0.02, 0.04, 0.5), (0.06, 0.12, 0.45), (0.16, 0.5, 0.4)):
        dark += strength * cv2.GaussianBlur(np.exp(-height / fade).astype(np.float32), (0, 0), blur / texel)
    return dark


def rolled_off(linear: Floats) -> Floats:
    """Highlights rolled off softly instead of clipped, still linear."""
    over = np.maximum(linear - 0.7, 0)
    return np.minimum(linear, 0.7) + over / (1 + over / 0.3)
