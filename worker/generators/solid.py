"""Sheets with thickness: two shells that share their rim, or two shells with a wall between.

Closed 2-manifolds by construction. It knows no textures and no pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worker.generators.sheet import Sheet


@dataclass(frozen=True)
class Solid:
    """A closed surface: vertices (n, 3), faces (m, 3) outwards; `plane` (n, 2) is each vertex's place on the grid."""

    vertices: Tensor
    faces: Tensor
    plane: Tensor


def shells(sheet: Sheet, front: Tensor, back: Tensor, rim: Tensor | float = 0.0) -> Solid:
    """Two shells that meet in the rim; heights in cells.

    `front` and `back` are z of the inner points, (inner_count,); `rim` is z of the rim. The Euler number
    V − E + F of the surface is twice that of the sheet: 2 · (regions − holes).
    """
    count = sheet.inner_count
    rim_points = sheet.points[count:]
    rim_z = torch.zeros(len(rim_points), dtype=front.dtype, device=front.device) + rim
    plane = torch.cat([sheet.points[:count], sheet.points[:count], rim_points])
    vertices = _lift(plane, torch.cat([front, back, rim_z]))
    front_faces = torch.where(sheet.triangles < count, sheet.triangles, sheet.triangles + count)
    back_faces = (sheet.triangles + count).flip(1)
    return Solid(vertices, torch.cat([front_faces, back_faces]), plane)


def walled(sheet: Sheet, front: Tensor, back: Tensor) -> Solid:
    """Two shells with an upright wall between their rims; `front` and `back` are z of all points, (n,), in cells."""
    count = len(sheet.points)
    plane = torch.cat([sheet.points, sheet.points])
    start, end = sheet.rim.unbind(1)
    wall = torch.cat(
        [
            torch.stack([start + count, end + count, end], dim=1),
            torch.stack([start + count, end, start], dim=1),
        ]
    )
    faces = torch.cat([sheet.triangles, sheet.triangles.flip(1) + count, wall])
    return Solid(_lift(plane, torch.cat([front, back])), faces, plane)


def _lift(plane: Tensor, z: Tensor) -> Tensor:
    """Points of the grid in space: x to the right, y up, z to the front."""
    return torch.stack([plane[:, 0], -plane[:, 1], z], dim=1)
