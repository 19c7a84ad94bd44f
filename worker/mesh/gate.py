"""The one gate that a mesh passes before it is stored, and the report of what it is.

It normalises and refuses; it does not repair holes or winding, which would hide a generator's fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from trimesh.visual import ColorVisuals, TextureVisuals

from jobs.errors import GenerationFailed, NoSurface
from worker.mesh import topology
from worker.mesh.appearance import keep_vertices
from worker.mesh.notices import notices, with_notices

_ALREADY_NORMAL = 1e-6  # about ten steps of float32 at 1: normalising again would only stir rounding


@dataclass(frozen=True)
class MeshReport:
    """What a mesh is, vertices merged by position for everything but their count; in the mesh's own units."""

    vertices: int
    faces: int
    watertight: bool
    winding_consistent: bool
    volume: float
    extents: tuple[float, float, float]
    euler_number: int


def accept(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A copy fit to be stored: float32 values, centred, longest side 1, closed surfaces wound outwards.

    Raises:
        NoSurface: no faces, or none with an area.
        GenerationFailed: positions or texture coordinates that are not finite, or indices that point nowhere.
    """
    vertices, faces = _arrays(mesh)
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.reshape(-1)] = True
    _require_finite(vertices[used])
    degenerate = topology.has_repeated_index(faces)
    if degenerate.any():
        faces = faces[~degenerate]
        used[:] = False
        used[faces.reshape(-1)] = True
    if not used.any():
        raise NoSurface("the generator made no face with three different corners")
    visual = keep_vertices(mesh, used)
    _require_finite_uv(visual)
    if not used.all():
        faces = (np.cumsum(used) - 1)[faces]
        vertices = vertices[used]
    vertices = _normalised(vertices)
    if not topology.area_vectors(vertices, faces).any():
        raise NoSurface("all faces of the generated mesh are without area")
    faces = _wound_outwards(vertices, faces)
    return with_notices(trimesh.Trimesh(vertices, faces, visual=visual, process=False), notices(mesh))


def report(mesh: trimesh.Trimesh) -> MeshReport:
    """Counts, closedness, volume and size of a mesh that has at least one face."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    surface = topology.topology(vertices, faces)
    return MeshReport(
        vertices=len(vertices),
        faces=len(faces),
        watertight=surface.watertight,
        winding_consistent=surface.winding_consistent,
        volume=topology.signed_volume(vertices, faces),
        extents=topology.extents(vertices),
        euler_number=surface.euler_number,
    )


def _arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    if len(vertices) == 0 or len(faces) == 0:
        raise NoSurface("the generator found no surface in this picture")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise GenerationFailed(
            f"the generated faces name vertices {faces.min()} to {faces.max()}, but there are {len(vertices)} (0 to"
            f" {len(vertices) - 1})"
        )
    return vertices, faces


def _require_finite(vertices: np.ndarray) -> None:
    bad = np.count_nonzero(~np.isfinite(vertices).all(axis=1))
    if bad:
        raise GenerationFailed(f"{bad} of {len(vertices)} vertices of the generated mesh are not finite")


def _require_finite_uv(visual: ColorVisuals | TextureVisuals) -> None:
    uv = visual.uv if isinstance(visual, TextureVisuals) else None
    if uv is not None and (bad := np.count_nonzero(~np.isfinite(uv).all(axis=1))):
        raise GenerationFailed(f"{bad} of {len(uv)} texture coordinates of the generated mesh are not finite")


def _normalised(vertices: np.ndarray) -> np.ndarray:
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    longest, centre = float((high - low).max()), (low + high) / 2
    if not longest > 0 or not np.isfinite(longest):
        raise NoSurface(f"the generated mesh has the size {longest:g}: there is nothing to show")
    if abs(longest - 1) > _ALREADY_NORMAL or np.abs(centre).max() > _ALREADY_NORMAL:
        vertices = (vertices - centre) / longest
    return vertices.astype(np.float32).astype(np.float64)  # what a file can hold


def _wound_outwards(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    if topology.signed_volume(vertices, faces) >= 0 or not topology.topology(vertices, faces).watertight:
        return faces
    return np.ascontiguousarray(faces[:, ::-1])
