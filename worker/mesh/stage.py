"""The mesh placed in front of the lens for its portrait: turned to three-quarter view, centred, filling the frame.

It decides where things are, not how they look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from worker.mesh.appearance import Appearance, appearance
from worker.mesh.raster import Floats, Ints, Lens, moved

_YAW, _PITCH = math.radians(-30), math.radians(14)
_DISTANCE = 4.0  # of the eye from the middle of the mesh, in longest sides
_FILL = 0.78  # share of the picture's width or height that the mesh takes


@dataclass(frozen=True)
class Stage:
    """A mesh of longest side 1, and the way between its own axes and those of the lens.

    `vertices` (n, 3) are in mesh axes, `seen` (n, 3) are the same as the lens sees them.
    """

    vertices: Floats
    faces: Ints
    look: Appearance
    seen: Floats
    lens: Lens
    rotation: Floats
    shift: Floats

    @property
    def up(self) -> Floats:
        """The mesh's +y as the lens sees it."""
        return self.rotation[:, 1]

    @property
    def eye(self) -> Floats:
        """Where the lens is, in mesh axes."""
        return self.rotation[2] * np.float32(_DISTANCE)

    def in_mesh_axes(self, rays: Floats) -> Floats:
        """Directions of rays (k, 3) of the lens in mesh axes."""
        return moved(rays, self.rotation.T, self.rotation.T[:, :2] @ self.shift)


def set_up(mesh: trimesh.Trimesh, side_px: int) -> Stage:
    """The stage for a picture `side_px` wide; the mesh may have any size and place."""
    vertices, faces = _unit(np.asarray(mesh.vertices)), np.asarray(mesh.faces)
    rotation = _rotation()
    seen = moved(vertices, rotation, np.float32([0, 0, -_DISTANCE]))
    on_film = seen[:, :2] / -seen[:, 2:]
    low, high = on_film.min(axis=0), on_film.max(axis=0)
    shift = (low + high) / 2
    seen[:, :2] += shift * seen[:, 2:]  # a shifted lens keeps the mesh in the middle without turning it
    lens = Lens(side_px, float((high - low).max()) / 2 / _FILL)
    return Stage(vertices, faces, appearance(mesh), seen, lens, rotation, shift)


def _unit(vertices: NDArray[np.float64]) -> Floats:
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return ((vertices - (low + high) / 2) / float((high - low).max())).astype(np.float32)


def _rotation() -> Floats:
    """From the mesh's axes to the lens': turned about y, then tipped towards the eye."""
    cy, sy, cp, sp = math.cos(_YAW), math.sin(_YAW), math.cos(_PITCH), math.sin(_PITCH)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    tip = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return (tip @ turn).astype(np.float32)
