"""What a triangle mesh is as a surface: closed or open, its winding, its volume, its Euler number.

Plain arrays in, plain numbers out; it neither repairs anything nor knows of textures. Vertices that share a position
count as one, because a texture seam splits vertices without opening the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vertices = NDArray[np.floating]
Faces = NDArray[np.integer]

_LONG = 3.0  # median edges: what has a longer one is a long triangle
_FLAT_SHARE = 0.28  # of the area in long triangles: inflated meshes have up to 0.24, plates with few faces 0.5 to 1
_PRIMES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


@dataclass(frozen=True)
class Topology:
    """What the edges tell, vertices merged by position."""

    vertices: int
    edges: int
    faces: int
    watertight: bool
    winding_consistent: bool

    @property
    def euler_number(self) -> int:
        return self.vertices - self.edges + self.faces


def merge_by_position(vertices: Vertices) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First vertex of each distinct position (k,), in order of appearance, and the group of every vertex (n,)."""
    positions = np.ascontiguousarray(vertices, dtype=np.float64) + 0.0  # −0 and 0 are one place
    bits = positions.view(np.uint64).reshape(-1, 3)
    bits = bits ^ (bits >> np.uint64(32))  # float32 values leave the lower half empty
    with np.errstate(over="ignore"):
        hashes = bits[:, 0] * _PRIMES[0] + bits[:, 1] * _PRIMES[1] + bits[:, 2] * _PRIMES[2]
    in_order = np.sort(hashes)  # five times as fast as the argsort, which few meshes need
    if (in_order[1:] != in_order[:-1]).all():
        identity = np.arange(len(positions))
        return identity, identity
    first, group = _groups(hashes, np.argsort(hashes, kind="stable"))
    if not np.array_equal(positions[first[group]], positions):  # two places, one hash
        return _groups(positions, np.lexsort(positions.T))
    return first, group


def _groups(values: NDArray[np.generic], order: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First of each distinct value, and the group of every one; `order` sorts them, equal ones as they come."""
    sorted_values = values[order].reshape(len(order), -1)
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (sorted_values[1:] != sorted_values[:-1]).any(axis=1)
    first = order[starts]
    by_appearance = np.argsort(first)
    rank = np.empty_like(by_appearance)
    rank[by_appearance] = np.arange(len(first))
    group = np.empty_like(order)
    group[order] = rank[np.cumsum(starts) - 1]
    return first[by_appearance], group


def merged_faces(vertices: Vertices, faces: Faces) -> Faces:
    """Faces as indices of distinct positions; faces that thereby lose their area in the index sense are dropped."""
    first, group = merge_by_position(vertices)
    if len(first) == len(group):
        return faces
    merged = group[faces]
    return merged[~has_repeated_index(merged)]


def has_repeated_index(faces: Faces) -> NDArray[np.bool_]:
    a, b, c = faces.T
    return (a == b) | (b == c) | (c == a)


def topology(vertices: Vertices, faces: Faces) -> Topology:
    """Counts and closedness of the surface, vertices (n, 3), faces (m, 3)."""
    return _topology(merged_faces(vertices, faces))


def _topology(faces: Faces) -> Topology:
    """Every undirected edge becomes one number whose lowest bit is its direction: one sort answers everything."""
    if not len(faces):
        return Topology(vertices=0, edges=0, faces=0, watertight=False, winding_consistent=False)
    tail = faces.astype(np.int64, copy=False).reshape(-1)
    head = faces[:, [1, 2, 0]].astype(np.int64, copy=False).reshape(-1)
    count = int(tail.max()) + 1
    keys = np.minimum(tail, head) * count
    keys += np.maximum(tail, head)
    keys *= 2
    keys += tail > head
    keys.sort()
    undirected = keys >> 1
    starts = np.empty(len(keys), dtype=bool)
    starts[0] = True
    np.not_equal(undirected[1:], undirected[:-1], out=starts[1:])
    edges = int(np.count_nonzero(starts))
    return Topology(
        vertices=int(np.count_nonzero(np.bincount(tail, minlength=count))),
        edges=edges,
        faces=len(faces),
        watertight=2 * edges == len(keys) and bool(starts[0::2].all()),  # then they start in pairs
        winding_consistent=not bool((keys[1:] == keys[:-1]).any()),
    )


def corners(vertices: Vertices, faces: Faces) -> tuple[Vertices, Vertices, Vertices]:
    """The three corner positions of every face, each (m, 3)."""
    return vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]


def area_vectors(vertices: Vertices, faces: Faces) -> Vertices:
    """Normals whose length is twice the face's area, (m, 3)."""
    a, b, c = corners(vertices, faces)
    return np.cross(b - a, c - a)


def unit_length(vectors: Vertices) -> Vertices:
    """Vectors (…, 3) scaled to length 1; zero stays zero."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(lengths, 1e-20)[..., None]


def vertex_normals(vertices: Vertices, faces: Faces, areas: Vertices) -> Vertices:
    """Normals (n, 3) averaged over all faces at a position, so that texture seams do not show.

    The weights are those of Max 1999, which are right on a sphere however long its triangles are; by area alone the
    long ones at the rim of a swollen shape tilt every normal there, and light shows ridges. Edges count as at least
    as long as the usual one, so that slivers and noise do not decide. A mesh with large flat parts is averaged by
    area, which keeps them flat beside a bevel.
    """
    first, group = merge_by_position(vertices)
    corners = group[faces].reshape(-1)
    weighted = areas[:, None, :] * _corner_weights(vertices, faces, areas)[:, :, None]
    summed = [np.bincount(corners, weighted[:, :, axis].reshape(-1), len(first)) for axis in range(3)]
    return unit_length(np.column_stack(summed))[group]


def _corner_weights(vertices: Vertices, faces: Faces, areas: Vertices) -> Vertices:
    """One over the squared lengths of the two edges at each corner, in units of the median edge, or ones; (m, 3)."""
    a, b, c = corners(vertices, faces)
    squared = [np.einsum("ij,ij->i", edge, edge) for edge in (b - a, c - b, a - c)]
    usual = max(float(np.median(squared[0])), 1e-30) if len(faces) else 1.0
    ab, bc, ca = (np.maximum(edge / usual, 1.0) for edge in squared)
    sizes = np.sqrt(np.einsum("ij,ij->i", areas, areas))
    is_long = np.maximum(np.maximum(ab, bc), ca) > _LONG**2
    if sizes[is_long].sum() > _FLAT_SHARE * sizes.sum():
        return np.ones((len(faces), 3))
    return np.stack([1 / (ab * ca), 1 / (bc * ab), 1 / (ca * bc)], axis=1)


def signed_volume(vertices: Vertices, faces: Faces) -> float:
    """Volume by the divergence theorem; negative where the winding looks inwards, meaningless for an open surface."""
    centred = vertices - vertices.mean(axis=0)
    a, b, c = corners(centred, faces)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def extents(vertices: Vertices) -> tuple[float, float, float]:
    """Sides of the bounding box."""
    x, y, z = (vertices.max(axis=0) - vertices.min(axis=0)).tolist()
    return x, y, z
