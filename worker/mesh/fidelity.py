"""Whether a surface with fewer faces still looks like the one that it was made from, body by body.

A body is what is connected through edges. It knows nothing of textures and changes no surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import igl
import igl.predicates
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from worker.mesh import topology

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_LOST_VOLUME = 0.04  # share of the volume that may come or go, of all bodies together
MOST_LOST_OUTLINE = 0.03  # share of the area as seen from the front, of all bodies together
_OF_ONE_BODY = 2.5  # times those shares: a small body may be rounder than the whole
_THICKNESS_SHARE = 0.4  # of a body's mean thickness: its surface moves no further
_FINEST = 1 / 3  # of the tolerance: what no body is asked to be closer than
_OPEN_SHARE = 0.05  # of an open body's diagonal, which has no thickness
_LARGEST_TOLERANCE = 0.02  # of the longest side
_SAMPLES = 30_000


def visible_mm(size_mm: float) -> float:
    """Deviation in mm that a person does not see on a thing whose longest side is `size_mm`.

    One arc minute, the resolution of the eye, is 0.1 mm at reading distance; larger things are seen from further away.
    """
    return min(0.1 + 0.005 * size_mm, _LARGEST_TOLERANCE * size_mm)


@dataclass(frozen=True)
class Part:
    """Vertices (n, 3), faces (m, 3), and the body of the original that each face belongs to (m,)."""

    vertices: Floats
    faces: Ints
    bodies: Ints

    def only(self, wanted: Bools) -> Part:
        """Its faces of the bodies that `wanted` (bodies,) marks, and their vertices."""
        kept = wanted[self.bodies]
        if kept.all():
            return self
        used, renamed = np.unique(self.faces[kept], return_inverse=True)
        return Part(self.vertices[used], renamed.reshape(-1, 3), self.bodies[kept])


def joined(parts: list[Part]) -> Part:
    """All of them as one."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    faces = [part.faces + start for part, start in zip(parts, starts[:-1], strict=True)]
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate(faces),
        np.concatenate([part.bodies for part in parts]),
    )


def vertex_components(faces: Ints, count: int) -> tuple[int, Ints]:
    """How many connected pieces there are, and the piece of every vertex (count,)."""
    a, b = faces[:, [0, 1]].reshape(-1), faces[:, [1, 2]].reshape(-1)
    graph = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(count, count))
    number, labels = connected_components(graph, directed=False)
    return number, labels.astype(np.int64)


@dataclass(frozen=True)
class _Measures:
    """Per body: connected pieces, Euler number, open and irregular edges, volume, surface and front area."""

    pieces: Ints
    euler: Ints
    open_edges: Ints
    irregular_edges: Ints
    volume: Floats
    area: Floats
    front: Floats


def _measured(part: Part, count: int) -> _Measures:
    merged = topology.merge_by_position(part.vertices)[1][part.faces]
    kept = ~topology.has_repeated_index(merged)
    faces, bodies = merged[kept], part.bodies[kept]
    areas = topology.area_vectors(part.vertices, part.faces)
    a, b, c = topology.corners(part.vertices - part.vertices.mean(axis=0), part.faces)
    edges, open_edges, irregular = _edges(faces, bodies, count)
    _, component = vertex_components(faces, len(part.vertices))
    corners = np.unique(faces.reshape(-1) * count + np.repeat(bodies, 3))
    pieces = np.unique(component[corners // count] * count + corners % count)
    return _Measures(
        pieces=np.bincount(pieces % count, minlength=count),
        euler=np.bincount(corners % count, minlength=count) - edges + np.bincount(bodies, minlength=count),
        open_edges=open_edges,
        irregular_edges=irregular,
        volume=np.bincount(part.bodies, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, count),
        area=np.bincount(part.bodies, np.linalg.norm(areas, axis=1) / 2, count),
        front=np.bincount(part.bodies, np.abs(areas[:, 2]) / 4, count),
    )


def _edges(faces: Ints, bodies: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """Per body: edges, those of one face, and those of more than two faces or of two that are wound alike."""
    tail, head = faces.reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    span = int(tail.max(initial=0)) + 1
    keys = np.minimum(tail, head) * span + np.maximum(tail, head)
    order = np.argsort(keys, kind="stable")
    keys, forward, owner = keys[order], (tail < head)[order], np.repeat(bodies, 3)[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, dtype=np.intp)
    lengths = np.diff(np.append(starts, len(keys)))
    ahead = np.add.reduceat(forward.astype(np.int64), starts) if len(starts) else np.empty(0, dtype=np.int64)
    owner = owner[starts]
    irregular = (lengths > 2) | ((lengths == 2) & (ahead != 1))
    return (
        np.bincount(owner, minlength=count),
        np.bincount(owner[lengths == 1], minlength=count),
        np.bincount(owner[irregular], minlength=count),
    )


class Original:
    """A surface that parts with fewer faces are compared with; `tolerance` is in its own units."""

    def __init__(self, vertices: Floats, faces: Ints, tolerance: float) -> None:
        self.count, self._vertex_body = vertex_components(faces, len(vertices))
        self.part = Part(
            np.ascontiguousarray(vertices, dtype=np.float64),
            np.ascontiguousarray(faces, dtype=np.int64),
            self._vertex_body[faces[:, 0]],
        )
        self._is = _measured(self.part, self.count)
        self._tolerance = self._tolerances(tolerance)
        self._samples = np.arange(0, len(vertices), max(1, len(vertices) // _SAMPLES))

    @property
    def regular(self) -> Bools:
        """Bodies without an edge of more than two faces: those that edge collapse can work on."""
        return self._is.irregular_edges == 0

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.part.vertices)

    @cached_property
    def _crossing(self) -> Bools:
        """Bodies that cross themselves or each other already."""
        return _crossing(self.part, self.count)

    def _tolerances(self, tolerance: float) -> Floats:
        thickness = 2 * np.abs(self._is.volume) / np.maximum(self._is.area, 1e-30)
        low, high = np.full((self.count, 3), np.inf), np.full((self.count, 3), -np.inf)
        np.minimum.at(low, self._vertex_body, self.part.vertices)
        np.maximum.at(high, self._vertex_body, self.part.vertices)
        own = np.where(
            self._is.open_edges > 0,
            _OPEN_SHARE * np.linalg.norm(high - low, axis=1),
            _THICKNESS_SHARE * thickness,
        )
        return np.clip(own, _FINEST * tolerance, tolerance)

    def labelled(self, vertices: Floats, faces: Ints) -> Part:
        """A surface made from this one whose bodies are not known: each piece takes that of the nearest vertices."""
        if self.count == 1:
            return Part(vertices, faces, np.zeros(len(faces), dtype=np.int64))
        pieces, piece = vertex_components(faces, len(vertices))
        near = self._vertex_body[self._tree.query(vertices)[1]]
        pairs, votes = np.unique(piece * self.count + near, return_counts=True)
        order = np.argsort(votes, kind="stable")
        winner = np.zeros(pieces, dtype=np.int64)
        winner[pairs[order] // self.count] = pairs[order] % self.count  # the last, most frequent one stays
        return Part(vertices, faces, winner[piece[faces[:, 0]]])

    def unlike(self, part: Part, *, among: Bools | None = None) -> Bools:
        """Which bodies (bodies,), of those in `among`, the part shows wrongly or not at all."""
        among = np.ones(self.count, dtype=bool) if among is None else among
        if not len(part.faces):
            return among.copy()
        wrong = self._changed(_measured(part, self.count), among)
        if (among & ~wrong).any():
            wrong |= among & self._moved(part, among & ~wrong)
        if (among & ~wrong).any():
            crossing = _crossing(part, self.count)
            if crossing.any():
                wrong |= among & crossing & ~self._crossing
        return wrong

    def _changed(self, now: _Measures, among: Bools) -> Bools:
        was, regular = self._is, self.regular
        wrong = (now.pieces != 1) | (regular & (now.euler != was.euler))
        wrong |= (now.open_edges > was.open_edges) | ((was.open_edges > 0) & (now.open_edges == 0))
        wrong |= now.irregular_edges > was.irregular_edges
        wrong &= among
        closed = among & regular & (was.open_edges == 0)
        wrong |= _lost(was.volume, now.volume, closed & ~wrong, MOST_LOST_VOLUME)
        return wrong | _lost(was.front, now.front, among & ~wrong, MOST_LOST_OUTLINE)

    def _moved(self, part: Part, among: Bools) -> Bools:
        """Bodies whose surface lies somewhere further away than their tolerance, looked at from both sides."""
        asked = self._samples[among[self._vertex_body[self._samples]]]
        squared = igl.point_mesh_squared_distance(self.part.vertices[asked], part.vertices, part.faces)[0]
        far = self._far(self._vertex_body[asked], squared)
        body = np.zeros(len(part.vertices), dtype=np.int64)
        body[part.faces.reshape(-1)] = np.repeat(part.bodies, 3)
        # The nearest vertex is further away than the surface: most need no more than that.
        doubtful = np.flatnonzero(among[body] & (self._tree.query(part.vertices)[0] > self._tolerance[body]))
        if len(doubtful):
            base = self.part.only(among)
            squared = igl.point_mesh_squared_distance(part.vertices[doubtful], base.vertices, base.faces)[0]
            far |= self._far(body[doubtful], squared)
        return far

    def _far(self, bodies: Ints, squared: Floats) -> Bools:
        far = np.zeros(self.count, dtype=bool)
        far[bodies[squared > np.square(self._tolerance[bodies])]] = True
        return far


def _lost(was: Floats, now: Floats, among: Bools, most: float) -> Bools:
    """Bodies that gained or lost more than their share, and more than the whole may, where the whole did."""
    change = np.abs(now - was)
    whole = abs(float((now - was)[among].sum())) > most * float(np.abs(was)[among].sum())
    return among & (change > most * (1 if whole else _OF_ONE_BODY) * np.abs(was) + 1e-9)


def _crossing(part: Part, count: int) -> Bools:
    """Bodies with a face that cuts another one."""
    found = np.zeros(count, dtype=bool)
    _, pairs, _ = igl.predicates.find_self_intersections(part.vertices, part.faces, False)
    found[part.bodies[np.asarray(pairs, dtype=np.int64).reshape(-1)]] = True
    return found
