"""The four files a mesh is handed out in: bytes from arrays, each format's unit and limits in one place.

STL, PLY and OBJ are in millimetres; none of the three can say so, so their comments do. GLB is in metres (glTF 2.0
§3.4). Nothing here scales or turns a mesh.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from worker.mesh import glb, topology
from worker.mesh.appearance import Appearance, Colours

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

_FACE_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX_PLY = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
_FACE_PLY = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_SHARP = 0.7  # cosine; beyond 45° between a face and its smoothed normal the shading would lie
_SHARP_SHARE = 0.2


def stl(vertices_mm: Floats, faces: Ints) -> bytes:
    """Binary STL in mm; its header must not begin with `solid`, which readers take for the text form."""
    records = np.zeros(len(faces), dtype=_FACE_STL)
    normals = topology.area_vectors(vertices_mm, faces)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    np.divide(normals, length, out=normals, where=length > 0)
    records["normal"], records["corners"] = normals, vertices_mm[faces]
    return b"Orfeas, binary STL, unit: mm".ljust(80) + struct.pack("<I", len(faces)) + records.tobytes()


def ply(vertices_mm: Floats, faces: Ints, colours: Colours) -> bytes:
    """Binary PLY in mm with sRGB vertex colours."""
    vertex = np.empty(len(vertices_mm), dtype=_VERTEX_PLY)
    vertex["position"], vertex["colour"] = vertices_mm, colours
    face = np.empty(len(faces), dtype=_FACE_PLY)
    face["count"], face["corners"] = 3, faces
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment Orfeas, unit: mm\n"
        f"element vertex {len(vertex)}\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(face)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode() + vertex.tobytes() + face.tobytes()


def obj(vertices_mm: Floats, faces: Ints, colours: Colours) -> bytes:
    """OBJ in mm, one self-contained file: colours stand behind each vertex as `v x y z r g b`, 0 to 1.

    A texture would need an MTL and an image beside the OBJ, which one download cannot carry; MeshLab, Blender and
    most viewers read vertex colours in this form. Nine digits keep every float32 exactly.
    """
    rows = np.column_stack((vertices_mm, colours / 255)).reshape(-1).tolist()
    lines = ("v %.9g %.9g %.9g %.4g %.4g %.4g\n" * len(vertices_mm)) % tuple(rows)
    corners = ("f %d %d %d\n" * len(faces)) % tuple((faces + 1).reshape(-1).tolist())
    return f"# Orfeas, unit: mm\n{lines}{corners}".encode()


def gltf(vertices_m: Floats, faces: Ints, look: Appearance) -> bytes:
    """GLB in metres with the texture inside, smoothly shaded unless the mesh is all edges."""
    return glb.write(vertices_m, faces, look, normals=smooth_normals(vertices_m, faces))


def smooth_normals(vertices: Floats, faces: Ints) -> NDArray[np.float32] | None:
    """Area-weighted vertex normals (n, 3), seams closed; `None` when much of the surface would look wrong smooth.

    Splitting vertices at sharp edges would shade those too, but a reader that compares indices would then call a
    closed mesh open. The weighting by area keeps large flat faces flat beside a bevel.
    """
    flat = topology.area_vectors(vertices, faces)
    normals = topology.vertex_normals(vertices, faces, flat)
    normals[~normals.any(axis=1)] = (0.0, 0.0, 1.0)  # glTF allows no normal without length
    areas = np.linalg.norm(flat, axis=1)
    cosines = np.einsum("mci,mi->mc", normals[faces], flat)
    sharp = (cosines < _SHARP * areas[:, None]) * areas[:, None]
    return None if sharp.sum() > _SHARP_SHARE * 3 * areas.sum() else normals.astype(np.float32)
