"""A canonical mesh in the form somebody asked for: scaled, turned, thinned out, written, and measured as written.

The same mesh and options give the same bytes. Previews are made in `preview.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from jobs.requests import MeshResult, Notice, RenditionOptions
from worker.mesh import formats, topology
from worker.mesh.appearance import Appearance, appearance, vertex_colours
from worker.mesh.fidelity import visible_mm
from worker.mesh.notices import notices
from worker.mesh.simplify import simplify

_MM_PER_M = 1000.0
_SIZE_DIGITS = 4  # of a millimetre: finer than any float32 above 0.1 mm


@dataclass(frozen=True)
class _Placed:
    """The mesh as a file will hold it, positions as float32 in mm."""

    vertices_mm: NDArray[np.float32]
    faces: NDArray[np.integer]
    look: Appearance


def make_rendition(mesh: trimesh.Trimesh, options: RenditionOptions) -> tuple[bytes, MeshResult]:
    """The file and what is in it. `mesh` is canonical: y up, front towards +z.

    With z up the front faces −y and the mesh stands on z = 0, as a slicer wants it; with y up it stays centred.
    GLB carries the texture; OBJ and PLY carry it sampled at their vertices; STL has no colours.
    """
    mesh, told = _thinned(mesh, options)
    look = appearance(mesh)
    placed = _Placed(_placed_mm(np.asarray(mesh.vertices), options), np.asarray(mesh.faces), look)
    data, placed = _write(placed, options)
    return data, _measured(data, placed, options, told)


def _thinned(mesh: trimesh.Trimesh, options: RenditionOptions) -> tuple[trimesh.Trimesh, tuple[Notice, ...]]:
    """The mesh with the faces asked for, and what its reader should know."""
    told = notices(mesh)
    if options.target_faces is None:
        return mesh, told
    visible = visible_mm(options.size_mm)
    found = simplify(mesh, options.target_faces, tolerance=visible / options.size_mm)
    if not found.limited:
        return found.mesh, told
    message = (
        f"{len(found.mesh.faces)} faces instead of {options.target_faces}: with fewer, parts would be lost or the shape"
        f" would change by more than can go unseen at {options.size_mm:g} mm ({visible:.2g} mm)"
    )
    return found.mesh, (*told, Notice(code="more_faces", message=message))


def _placed_mm(vertices: NDArray[np.float64], options: RenditionOptions) -> NDArray[np.float32]:
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    placed = (vertices - (low + high) / 2) * (options.size_mm / float((high - low).max()))
    if options.resolved_up_axis == "z":
        placed = placed[:, [0, 2, 1]] * (1.0, -1.0, 1.0)
        placed[:, 2] -= placed[:, 2].min()
    return placed.astype(np.float32)


def _write(placed: _Placed, options: RenditionOptions) -> tuple[bytes, _Placed]:
    if options.format == "glb":
        return formats.gltf(placed.vertices_mm / np.float32(_MM_PER_M), placed.faces, placed.look), placed
    welded, first = _welded(placed)
    if options.format == "stl":
        return formats.stl(welded.vertices_mm, welded.faces), welded
    colours = vertex_colours(placed.look, len(placed.vertices_mm))[first]
    write = formats.obj if options.format == "obj" else formats.ply
    return write(welded.vertices_mm, welded.faces, colours), welded


def _welded(placed: _Placed) -> tuple[_Placed, NDArray[np.intp]]:
    """Without UV there is no reason for split vertices; also the first of the vertices that became each one."""
    first, group = topology.merge_by_position(placed.vertices_mm)
    if len(first) == len(group):
        return placed, first
    faces = group[placed.faces]
    faces = faces[~topology.has_repeated_index(faces)]
    return _Placed(placed.vertices_mm[first], faces, placed.look), first


def _measured(data: bytes, placed: _Placed, options: RenditionOptions, told: tuple[Notice, ...]) -> MeshResult:
    vertices = placed.vertices_mm.astype(np.float64)
    surface = topology.topology(vertices, placed.faces)
    solid = surface.watertight and surface.winding_consistent
    x, y, z = (round(side, _SIZE_DIGITS) for side in topology.extents(vertices))
    return MeshResult(
        format=options.format,
        size_bytes=len(data),
        vertices=len(vertices),
        faces=len(placed.faces),
        watertight=surface.watertight,
        volume_mm3=topology.signed_volume(vertices, placed.faces) if solid else None,
        size_mm=(x, y, z),
        sha256=hashlib.sha256(data).hexdigest(),
        notices=told,
    )
