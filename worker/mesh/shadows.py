"""What keeps light away in the preview: the key light's shadows, skies hidden by neighbours, the floor's darkness.

It knows distances only, no colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.mesh.raster import NOTHING, Floats, Ints, Lens, depths, moved

_SHADOW_PX = 1024
_SHADOW_BIAS = 0.012  # of the mesh's longest side, about four texels of the shadow map
_SHADOW_SOFTNESS_PX = 7.0
_SHADOW_TAPS = 6
_LIGHT_DISTANCE = 8.0
_GOLDEN_ANGLE = 2.399963  # spreads taps evenly
CONTACT_REACH = 2.0  # in longest sides of the mesh


@dataclass(frozen=True)
class Shadow:
    """What the key light sees, and how to get there: rotation (3, 3) from view space about `centre`."""

    depth: Floats
    lens: Lens
    rotation: Floats
    centre: Floats

    def lit(self, positions: Floats, angles: Floats) -> Floats:
        """Share of the key light, 0 to 1, at (k, 3); taps turned by `angles` (k,), so that neighbours differ."""
        there = _turned(positions, self.centre, self.rotation)
        pixel = self.lens.pixels(there)
        depth = -there[:, 2] - np.float32(_SHADOW_BIAS)
        lit = np.zeros(len(positions), dtype=np.float32)
        for tap in range(_SHADOW_TAPS):
            radius = np.float32(_SHADOW_SOFTNESS_PX * np.sqrt((tap + 0.5) / _SHADOW_TAPS))
            turn = angles + np.float32(tap * _GOLDEN_ANGLE)
            column = (pixel[:, 0] + radius * np.cos(turn)).astype(np.int32).clip(0, _SHADOW_PX - 1)
            row = (pixel[:, 1] + radius * np.sin(turn)).astype(np.int32).clip(0, _SHADOW_PX - 1)
            lit += self.depth[row, column] > depth
        return lit / _SHADOW_TAPS


def cast(vertices: Floats, faces: Ints, towards_light: Floats) -> Shadow:
    """The shadow map of a mesh for a distant light in direction `towards_light` (length 1), all in view space."""
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    rotation = _facing(towards_light)
    turned = _turned(vertices, centre, rotation)
    half = float(np.abs(turned[:, :2] / -turned[:, 2:]).max()) * 1.05
    lens = Lens(_SHADOW_PX, half)
    return Shadow(depths(turned, faces, lens), lens, rotation, centre)


def _turned(positions: Floats, centre: Floats, rotation: Floats) -> Floats:
    return moved(positions, rotation, -rotation @ centre - np.float32([0, 0, _LIGHT_DISTANCE]))


def _facing(direction: Floats) -> Floats:
    """A rotation that turns `direction` to +z."""
    side = np.cross(np.float32([0, 1, 0]), direction)
    side /= np.linalg.norm(side)
    return np.stack((side, np.cross(direction, side), direction)).astype(np.float32)


def open_sky(depth: Floats, lens: Lens, *, working_px: int = 512, radius: float = 0.16) -> Floats:
    """Share of the fill light that reaches each pixel, (side, side), from the depths around it.

    Screen-space ambient occlusion: neighbours in front of the tangent plane hide sky. Source: Bavoil & Sainz 2009.
    """
    side = min(working_px, lens.side_px)
    coarse = cv2.resize(depth, (side, side), interpolation=cv2.INTER_NEAREST)
    seen = coarse < NOTHING
    share = np.ones((side, side), dtype=np.float32)
    if seen.any():
        part = _frame(seen)
        weight = cv2.GaussianBlur(seen[part].astype(np.float32), (0, 0), 1.5)
        hidden = cv2.GaussianBlur(_hidden(coarse, part, lens, radius), (0, 0), 1.5) / np.maximum(weight, 1e-3)
        share[part] = 1 / (1 + 5.2 * hidden)
    return cv2.resize(share, (lens.side_px, lens.side_px), interpolation=cv2.INTER_LINEAR)


def _frame(seen: NDArray[np.bool_], margin: int = 6) -> tuple[slice, slice]:
    """The rows and columns that hold all that is seen, and a little more."""
    return tuple(  # type: ignore[return-value]
        slice(max(int(line[0]) - margin, 0), int(line[-1]) + margin + 1)
        for line in (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    )


def _hidden(depth: Floats, part: tuple[slice, slice], lens: Lens, radius: float, taps: int = 20) -> Floats:
    """Mean rise of the neighbours over each pixel's tangent plane, in one part of the depths."""
    side = len(depth)
    step = 2 * lens.half_width / side
    grid = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(step) - np.float32(lens.half_width)
    depth = depth[part]
    x, y, z = grid[None, part[1]] * depth, -grid[part[0], None] * depth, -depth
    normal = _normals_of(np.dstack((x, y, z)))
    seen = depth < NOTHING
    reach_px = radius / (float(depth[seen].mean()) * step)
    hidden = np.zeros_like(depth)
    for tap in range(taps):
        length, angle = reach_px * ((tap + 0.5) / taps), tap * _GOLDEN_ANGLE
        dx, dy = round(length * np.cos(angle)), round(length * np.sin(angle))
        away = [_shifted(axis, dx, dy) - axis for axis in (x, y, z)]
        squared = away[0] * away[0] + away[1] * away[1] + away[2] * away[2] + np.float32(1e-12)
        rise = sum(away[axis] * normal[..., axis] for axis in range(3)) / np.sqrt(squared)
        near = np.maximum(1 - squared * np.float32(1 / (1.5 * radius) ** 2), 0)
        hidden += np.maximum(rise - np.float32(0.12), 0) * near
    return np.where(seen, hidden / taps, 0)


def _normals_of(position: Floats) -> Floats:
    across = np.gradient(position, axis=1)
    down = np.gradient(position, axis=0)
    normal = np.cross(down, across)
    return normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12)


def _shifted(image: Floats, dx: int, dy: int) -> Floats:
    move = np.float32([[1, 0, -dx], [0, 1, -dy]])
    return cv2.warpAffine(image, move, image.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def contact(vertices: Floats, faces: Ints, *, side_px: int = 256) -> Floats:
    """Darkness (side, side) on the floor below a mesh of longest side 1, x to the right, z down, CONTACT_REACH wide.

    The mesh is seen from below; what is higher weighs less and is blurred more.
    """
    distance = 20.0
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    middle = (low + high) / 2
    below = np.column_stack(
        (vertices[:, 0] - middle[0], middle[2] - vertices[:, 2], low[1] - vertices[:, 1] - np.float32(distance))
    )
    depth = depths(below, faces, Lens(side_px, CONTACT_REACH / 2 / distance))
    height = np.where(depth < NOTHING, depth - np.float32(distance), np.float32(np.inf))
    texel = CONTACT_REACH / side_px
    dark = np.zeros((side_px, side_px), dtype=np.float32)
    for blur, fade, strength in ((0.02, 0.04, 0.5), (0.06, 0.12, 0.45), (0.16, 0.5, 0.4)):
        dark += strength * cv2.GaussianBlur(np.exp(-height / fade).astype(np.float32), (0, 0), blur / texel)
    return dark
