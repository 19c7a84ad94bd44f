"""A mesh with fewer faces that still looks the same: every body is kept, closed where it was, within a tolerance.

Quadric edge collapse (Garland & Heckbert 1997) by two libraries: fast-simplification is fast and may open or fold a
surface; libigl's takes ten times as long and changes neither topology nor lets faces cross. `fidelity.py` judges what
comes out, and what it refuses is done again with more faces. `reattach.py` puts the texture back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import fast_simplification
import igl
import manifold3d
import numpy as np
import trimesh

from worker.mesh import topology
from worker.mesh.fidelity import Bools, Floats, Ints, Original, Part, joined
from worker.mesh.reattach import reattach

Factors = tuple[float, ...]

_GENTLE = 2  # fast-simplification's growth of the error it allows; its default, 7, tears thin walls
_ROOM = (3, 12)  # times the faces asked for: where the fast library hands over to the careful one
_LEAST_START = 4_000  # faces: with three times as many the careful one is fast enough
# Factors on a number of faces, tried one after the other. Rounding to float32 now and then lets two faces touch; with
# a few more or fewer it is others.
_DIRECT: Factors = (1.0,)
_TIGHTER: Factors = (0.98,)
_STEP: Factors = (0.72, 1.08, 1.08)
_SLIVER = 3e-6  # of the longest side
_LEAST_BODY = 4  # faces: a tetrahedron
_one_at_a_time = threading.Lock()  # fast-simplification keeps its mesh in a module global


@dataclass(frozen=True)
class Simplified:
    """The mesh, and whether it has more faces than asked for because fewer would show something else."""

    mesh: trimesh.Trimesh
    limited: bool


def simplify(mesh: trimesh.Trimesh, target_faces: int, *, tolerance: float) -> Simplified:
    """The mesh with at most `target_faces` faces, or with the fewest that look like it.

    `tolerance` is how far its surface may move, in the mesh's own units; thin bodies move less.
    """
    if len(mesh.faces) <= target_faces:
        return Simplified(mesh, limited=False)
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    first, _ = topology.merge_by_position(vertices)
    original = Original(vertices[first], topology.merged_faces(vertices, faces), tolerance)
    fewer = _fewer(original, target_faces)
    if len(fewer.faces) >= len(original.part.faces):
        return Simplified(mesh, limited=True)
    return Simplified(reattach(mesh, fewer.vertices, fewer.faces), len(fewer.faces) > target_faces)


def _fewer(original: Original, target: int) -> Part:
    quick = _quick(original, target)
    wrong = original.unlike(quick)
    if len(quick.faces) <= target and not wrong.any():
        return quick
    start = _start(original, target, quick, wrong)
    work = original.regular
    fixed, base = start.only(~work), start.only(work)
    left = target - len(fixed.faces)
    good, wrong = _tried(original, base, work, left, _DIRECT)
    kept = _fewest(original, base.only(wrong), wrong, left - len(good.faces))
    right = work & ~wrong
    if len(good.faces) + len(kept.faces) > left > len(kept.faces) and right.any():
        tighter, wrong = _tried(original, base.only(right), right, left - len(kept.faces), _TIGHTER)
        good = joined([tighter, good.only(wrong)])
    return _apart(original, joined([fixed, good, kept]))


def _tried(original: Original, base: Part, bodies: Bools, faces: float, factors: Factors) -> tuple[Part, Bools]:
    """The bodies that pass, and a mark for each that does not; `faces` times the first factor is tried first.

    Each further factor is of the faces with which the rest has just failed.
    """
    found = [base.only(np.zeros(original.count, dtype=bool))]
    for factor in factors:
        goal = int(factor * faces)
        if not bodies.any() or goal >= len(base.faces):
            break
        fewer = _careful(original, base, goal)
        wrong = original.unlike(fewer, among=bodies)
        found.append(fewer.only(bodies & ~wrong))
        faces = len(fewer.only(wrong).faces)
        base, bodies = base.only(wrong), wrong
    return joined(found), bodies


def _quick(original: Original, target: int) -> Part:
    vertices, faces = original.part.vertices, original.part.faces
    with _one_at_a_time:
        points, corners = fast_simplification.simplify(vertices, faces, target_count=target, agg=_GENTLE)
    corners = np.array(corners, dtype=np.int64)
    return original.labelled(*_compact(np.array(points), corners[~topology.has_repeated_index(corners)]))


def _start(original: Original, target: int, quick: Part, wrong: Bools) -> Part:
    """Where the careful collapse begins: what the fast one left of each body, or the original where that is wrong."""
    found: list[Part] = []
    missing = np.ones(original.count, dtype=bool)
    for room in _ROOM:
        goal = room * max(target, _LEAST_START)
        if goal >= len(original.part.faces) or not missing.any():
            break
        if len(quick.faces) < goal:  # otherwise the fast one stopped there by itself, and would again
            quick = _quick(original, goal)
            wrong = original.unlike(quick, among=missing)
        wrong = wrong & missing
        found.append(quick.only(missing & ~wrong))
        missing = wrong
    return joined([*found, original.part.only(missing)])


def _careful(original: Original, part: Part, target: int) -> Part:
    """Edge collapse that keeps the topology and lets no faces cross; it stops where it cannot."""
    if len(part.faces) <= max(target, _LEAST_BODY):
        return part
    vertices, faces, births, _ = igl.qslim(
        part.vertices, part.faces.astype(np.int32), max(target, _LEAST_BODY), block_intersections=True
    )
    vertices, faces = np.ascontiguousarray(vertices), np.ascontiguousarray(faces, dtype=np.int64)
    solid = manifold3d.Manifold(manifold3d.Mesh64(vertices, faces.astype(np.uint64)))
    if solid.status() != manifold3d.Error.NoError or solid.is_empty():
        return Part(*_compact(vertices, faces), part.bodies[births])
    # Slivers along straight edges are thinner than float32 can hold; rounded, they would cross their neighbours.
    cleaned = solid.simplify(_SLIVER).to_mesh64()
    return original.labelled(*_compact(np.array(cleaned.vert_properties[:, :3]), cleaned.tri_verts.astype(np.int64)))


def _fewest(original: Original, base: Part, bodies: Bools, faces: int) -> Part:
    """Each of the bodies thinned out in steps until a step fails, all of them together to no fewer than `faces`."""
    found = [base.only(np.zeros(original.count, dtype=bool))]
    while bodies.any() and len(base.faces) > max(faces, _LEAST_BODY):
        start = max(_STEP[0] * len(base.faces), faces)
        fewer, wrong = _tried(original, base, bodies, start, (1.0, *_STEP[1:]))
        found.append(base.only(wrong))
        bodies, base = bodies & ~wrong, fewer
    return joined([*found, base])


def _apart(original: Original, part: Part) -> Part:
    """Bodies that were thinned out apart may touch: those go back to what they were, until none does."""
    for _ in range(original.count):
        wrong = original.unlike(part)
        if not wrong.any():
            return part
        part = joined([part.only(~wrong), original.part.only(wrong)])
    return original.part


def _compact(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """Only the vertices in use, at places that a file of float32 can hold."""
    used, renamed = np.unique(faces, return_inverse=True)
    return vertices[used].astype(np.float32).astype(np.float64), renamed.reshape(-1, 3)
