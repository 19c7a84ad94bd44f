"""Texture coordinates or colours for a surface that was made anew from a textured one.

Planar coordinates are computed from the new positions exactly. Others are looked up at the closest point of the old
surface, chart by chart, so that no face spans two islands of the texture.
"""

from __future__ import annotations

import igl
import numpy as np
import trimesh
from numpy.typing import NDArray

from worker.mesh.appearance import Appearance, appearance, visuals
from worker.mesh.fidelity import vertex_components

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

_PLANAR_ERROR = 1e-5  # of the texture's width: a hundredth of a pixel at 1024


def reattach(old: trimesh.Trimesh, vertices: Floats, faces: Ints) -> trimesh.Trimesh:
    """The new surface with the looks of the old one; vertices split where the texture has a seam."""
    look = appearance(old)
    if look.uv is None:
        colours = None
        if look.colours is not None:
            one_chart = np.zeros(len(old.faces), dtype=np.intp)
            found = _lookup(old, look.colours.astype(np.float64), one_chart, vertices, np.zeros(len(vertices), np.intp))
            colours = np.rint(found).clip(0, 255).astype(np.uint8)
        return _mesh(vertices, faces, Appearance(colours=colours))
    projection = _planar(np.asarray(old.vertices), look.uv)
    if projection is not None:
        return _mesh(vertices, faces, _with_uv(look, _homogeneous(vertices) @ projection))
    return _by_chart(old, look, vertices, faces)


def _mesh(vertices: Floats, faces: Ints, look: Appearance) -> trimesh.Trimesh:
    return trimesh.Trimesh(vertices, faces, visual=visuals(look), process=False)


def _with_uv(look: Appearance, uv: Floats) -> Appearance:
    return Appearance(texture=look.texture, uv=uv, factor=look.factor)


def _planar(vertices: Floats, uv: Floats) -> Floats | None:
    """The affine map (4, 2) from positions to UV, if there is one."""
    design = _homogeneous(vertices)
    projection = np.linalg.lstsq(design.T @ design, design.T @ uv, rcond=1e-12)[0]
    return projection if np.abs(design @ projection - uv).max() <= _PLANAR_ERROR else None


def _homogeneous(vertices: Floats) -> Floats:
    return np.column_stack((vertices, np.ones(len(vertices))))


def _by_chart(old: trimesh.Trimesh, look: Appearance, vertices: Floats, faces: Ints) -> trimesh.Trimesh:
    """Every new face takes the chart of the old face nearest to it; a vertex is split when its faces disagree."""
    assert look.uv is not None
    charts = _charts(np.asarray(old.faces), len(old.vertices))
    nearest, _ = _closest(old, np.arange(len(old.faces)), vertices[faces].mean(axis=1))
    chart = np.repeat(charts[nearest], 3)
    pairs, corner = np.unique(np.column_stack((faces.reshape(-1), chart)), axis=0, return_inverse=True)
    split = vertices[pairs[:, 0]]
    uv = _lookup(old, look.uv, charts, split, pairs[:, 1])
    return _mesh(split, corner.reshape(-1, 3), _with_uv(look, uv))


def _charts(faces: Ints, count: int) -> NDArray[np.intp]:
    """Number of the UV island of every face: what is connected through shared vertices."""
    return vertex_components(faces, count)[1][faces[:, 0]]


def _lookup(
    old: trimesh.Trimesh, values: Floats, charts: NDArray[np.intp], points: Floats, point_charts: NDArray[np.intp]
) -> Floats:
    """Vertex values (n, k) of the old surface at the closest point of the same chart to each of (q, 3) points."""
    result = np.zeros((len(points), values.shape[1]))
    order = np.argsort(charts, kind="stable")
    starts = np.searchsorted(charts[order], np.arange(charts.max() + 2))
    for chart in np.unique(point_charts):
        members = order[starts[chart] : starts[chart + 1]]
        asked = np.flatnonzero(point_charts == chart)
        face, weights = _closest(old, members, points[asked])
        result[asked] = np.einsum("qc,qck->qk", weights, values[np.asarray(old.faces)[face]])
    return result


def _closest(old: trimesh.Trimesh, members: Ints, points: Floats) -> tuple[Ints, Floats]:
    """Of the old faces in `members` the one closest to each point, and the barycentric weights (q, 3) of that place."""
    vertices = np.asarray(old.vertices, dtype=np.float64)
    faces = np.asarray(old.faces, dtype=np.int64)[members]
    _, nearest, places = igl.point_mesh_squared_distance(np.ascontiguousarray(points), vertices, faces)
    weights = trimesh.triangles.points_to_barycentric(vertices[faces[nearest]], places)
    weights = np.where(np.isfinite(weights).all(axis=1, keepdims=True), weights, 1 / 3).clip(0, 1)
    return members[nearest], weights / weights.sum(axis=1, keepdims=True)
