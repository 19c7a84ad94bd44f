"""A mesh with fewer faces that is still closed where it was, and still wears its texture where it did.

Quadric edge collapse (Garland & Heckbert 1997, by fast-simplification) does the work. It stops early on long thin
triangles and now and then leaves an edge with three faces; then Manifold's simplification, which cannot open a closed
surface, prepares the ground. `reattach.py` puts the texture back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import fast_simplification
import manifold3d
import numpy as np
import trimesh
from numpy.typing import NDArray

from worker.mesh import topology
from worker.mesh.reattach import reattach

Surface = tuple[NDArray[np.float64], NDArray[np.int64]]

_TOLERANCES = (1e-6, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # of the longest side
_one_at_a_time = threading.Lock()  # fast-simplification keeps its mesh in a module global


def simplify(mesh: trimesh.Trimesh, target_faces: int) -> trimesh.Trimesh:
    """The mesh with at most `target_faces` faces, itself if it has no more.

    An open surface of long thin triangles may keep more: no collapse is left there that would not fold it.
    """
    if len(mesh.faces) <= target_faces:
        return mesh
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    first, _ = topology.merge_by_position(vertices)
    surface = vertices[first], topology.merged_faces(vertices, faces)
    return reattach(mesh, *_best(surface, target_faces))


def _best(surface: Surface, target_faces: int) -> Surface:
    """The first candidate that is small enough and as closed as the original, else the best of them."""
    closed = topology.topology(*surface).watertight
    candidates: list[tuple[tuple[bool, bool, int], Surface]] = []
    for candidate in _candidates(surface, target_faces, closed):
        faces = len(candidate[1])
        if not faces:
            continue
        open_now = closed and not _sound(candidate, surface)
        if faces <= target_faces and not open_now:
            return candidate
        candidates.append(((faces > target_faces, open_now, faces), candidate))
    return min(candidates, key=lambda scored: scored[0])[1] if candidates else surface


def _candidates(surface: Surface, target_faces: int, closed: bool) -> Iterator[Surface]:
    yield _collapsed(surface, target_faces)
    if not closed:
        return
    solid = _solid(surface)
    longest = max(topology.extents(surface[0]))
    for tolerance in _TOLERANCES:
        reduced = _surface(solid.simplify(tolerance * longest))
        yield _collapsed(reduced, target_faces) if len(reduced[1]) > target_faces else reduced


def _sound(candidate: Surface, original: Surface) -> bool:
    return (
        topology.topology(*candidate).watertight
        and topology.signed_volume(*candidate) * topology.signed_volume(*original) > 0
    )


def _collapsed(surface: Surface, target_faces: int) -> Surface:
    if len(surface[1]) <= target_faces:
        return surface
    with _one_at_a_time:
        vertices, faces = fast_simplification.simplify(*surface, target_count=target_faces)
    return _compact(np.array(vertices), np.array(faces, dtype=np.int64))


def _compact(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Surface:
    faces = faces[~topology.has_repeated_index(faces)]
    used, renamed = np.unique(faces, return_inverse=True)
    return vertices[used], renamed.reshape(-1, 3)


def _solid(surface: Surface) -> manifold3d.Manifold:
    vertices, faces = surface
    return manifold3d.Manifold(
        manifold3d.Mesh64(np.ascontiguousarray(vertices), np.ascontiguousarray(faces, dtype=np.uint64))
    )


def _surface(solid: manifold3d.Manifold) -> Surface:
    mesh = solid.to_mesh64()
    return np.array(mesh.vert_properties[:, :3]), mesh.tri_verts.astype(np.int64)
