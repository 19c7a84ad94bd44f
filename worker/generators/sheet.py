"""A flat triangle mesh of a shape: marching squares over a signed field, vectorised in torch.

It knows the plane only; `solid` gives a sheet its thickness.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

LEAST_CUT = 0.01  # shortest distance of a rim vertex to a grid node, in cells

# Corners of a cell, clockwise from its top left node; then the vertices where the outline cuts its four sides.
_TOP_LEFT, _TOP_RIGHT, _BOTTOM_RIGHT, _BOTTOM_LEFT, _TOP, _RIGHT, _BOTTOM, _LEFT = range(8)


@dataclass(frozen=True)
class Sheet:
    """Triangles in the plane of the grid: x is the column and y the row, downwards, in cells.

    points      (n, 2) float; the first `inner_count` lie inside, the rest on the rim
    triangles   (m, 3) int64; counter-clockwise as seen by someone for whom y points up
    rim         (k, 2) int64; the rim's edges as they run in their triangles
    nodes       (inner_count,) int64; index of each inner point in the flattened grid
    rim_normals (n − inner_count, 2) float; unit vectors that point out of the shape
    """

    points: Tensor
    triangles: Tensor
    rim: Tensor
    nodes: Tensor
    rim_normals: Tensor

    @property
    def inner_count(self) -> int:
        return len(self.nodes)


def sheet_of(field: Tensor) -> Sheet:
    """Mesh the part of the plane where the bilinear `field` (height, width) is positive.

    The outermost nodes must not be positive. Where two corners of a cell meet across a diagonal they stay apart, so
    regions are 4-connected and holes 8-connected, and the rim is a set of disjoint closed curves.
    Lorensen & Cline 1987, one dimension lower.
    """
    inside = field > 0
    rim_points, rim_normals, top_index, left_index = _rim(field, inside)
    nodes = inside.flatten().nonzero().squeeze(1)
    width = field.shape[1]
    inner_points = torch.stack([nodes % width, nodes // width], dim=1).to(field.dtype)
    node_index = (inside.flatten().cumsum(0) - 1).view_as(inside)
    triangles, rim = _cells(inside, node_index, top_index + len(nodes), left_index + len(nodes))
    return Sheet(torch.cat([inner_points, rim_points]), triangles, rim, nodes, rim_normals)


def rectangle(rows: int, columns: int, device: torch.device) -> Sheet:
    """A whole grid of nodes as one sheet; all of its points count as inner ones.

    Its triangulation alternates in no direction, as the relief on it hides the diagonals.
    """
    index = torch.arange(rows * columns, device=device).view(rows, columns)
    points = torch.stack([index.flatten() % columns, index.flatten() // columns], dim=1).to(torch.float32)
    top_left, top_right = index[:-1, :-1].flatten(), index[:-1, 1:].flatten()
    bottom_left, bottom_right = index[1:, :-1].flatten(), index[1:, 1:].flatten()
    triangles = torch.cat(
        [
            torch.stack([top_left, bottom_left, bottom_right], dim=1),
            torch.stack([top_left, bottom_right, top_right], dim=1),
        ]
    )
    around = torch.cat([index[:, 0], index[-1, 1:], index[:-1, -1].flip(0), index[0, 1:-1].flip(0)])
    rim = torch.stack([around, around.roll(-1)], dim=1)
    return Sheet(points, triangles, rim, index.flatten(), points.new_zeros(0, 2))


def _rim(field: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rim vertices with their outward normals, and for each link to the right and down the index of its vertex."""
    slope_y, slope_x = torch.gradient(field)
    slope = torch.stack([slope_x, slope_y], dim=2)
    across, across_index, across_normals = _cuts(field[:, :-1], field[:, 1:], slope[:, :-1], slope[:, 1:], column=1)
    along, along_index, along_normals = _cuts(field[:-1], field[1:], slope[:-1], slope[1:], column=0)
    return (
        torch.cat([across, along]),
        torch.cat([across_normals, along_normals]),
        across_index,
        along_index + len(across),
    )


def _cuts(a: Tensor, b: Tensor, slope_a: Tensor, slope_b: Tensor, *, column: int) -> tuple[Tensor, Tensor, Tensor]:
    cut = (a > 0) != (b > 0)
    row, col = cut.nonzero(as_tuple=True)
    start, end = a[row, col], b[row, col]
    share = (start / (start - end)).clamp(LEAST_CUT, 1.0 - LEAST_CUT)
    points = torch.stack([col + share * column, row + share * (1 - column)], dim=1)
    normals = -torch.lerp(slope_a[row, col], slope_b[row, col], share[:, None])
    index = (cut.flatten().cumsum(0) - 1).view_as(cut)
    return points, index, torch.nn.functional.normalize(normals, dim=1, eps=1e-12)


def _cells(inside: Tensor, node_index: Tensor, across: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Triangles and rim edges of all cells, cell by cell in reading order."""
    corners = [inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]]
    code = sum(corner.to(torch.int64) << bit for bit, corner in enumerate(corners))
    rows, columns = code.nonzero(as_tuple=True)
    code = code[rows, columns]
    local = torch.stack(
        [
            node_index[rows, columns],
            node_index[rows, columns + 1],
            node_index[rows + 1, columns + 1],
            node_index[rows + 1, columns],
            across[rows, columns],
            along[rows, columns + 1],
            across[rows + 1, columns],
            along[rows, columns],
        ],
        dim=1,
    )
    triangle_table, edge_table = (table.to(code.device) for table in _tables())
    return _look_up(local, triangle_table[code]), _look_up(local, edge_table[code])


def _look_up(local: Tensor, table: Tensor) -> Tensor:
    """Global indices of the polygons that the table names for each cell; −1 marks an unused place."""
    cell, place = (table[:, :, 0] >= 0).nonzero(as_tuple=True)
    return local[cell[:, None], table[cell, place]]


@lru_cache(maxsize=1)
def _tables() -> tuple[Tensor, Tensor]:
    """For each of the 16 sign patterns: up to 4 triangles (16, 4, 3) and up to 2 rim edges (16, 2, 2)."""
    triangles = torch.full((16, 4, 3), -1, dtype=torch.int64)
    edges = torch.full((16, 2, 2), -1, dtype=torch.int64)
    for code in range(1, 16):
        found = [_fan(polygon) for polygon in _polygons(code)]
        flat = [triangle for fan in found for triangle in fan]
        cut = [edge for polygon in _polygons(code) for edge in _rim_edges(polygon)]
        triangles[code, : len(flat)] = torch.tensor(flat)
        if cut:
            edges[code, : len(cut)] = torch.tensor(cut)
    return triangles, edges


def _polygons(code: int) -> list[list[int]]:
    """The inside part of a cell, counter-clockwise with y up, that is against the clockwise numbering of corners."""
    if code in (0b0101, 0b1010):  # two corners across a diagonal: kept apart
        return [polygon for bit in range(4) if code >> bit & 1 for polygon in _polygons(1 << bit)]
    polygon = []
    for corner in range(4):
        following = (corner + 1) % 4
        if code >> corner & 1:
            polygon.append(corner)
        if (code >> corner & 1) != (code >> following & 1):
            polygon.append(_TOP + corner)
    return [polygon[::-1]]


def _fan(polygon: list[int]) -> list[list[int]]:
    """Triangles around a corner, so that no edge but the rim's own joins two rim vertices."""
    first = _apex(polygon)
    turned = polygon[first:] + polygon[:first]
    return [[turned[0], turned[i], turned[i + 1]] for i in range(1, len(turned) - 1)]


def _apex(polygon: list[int]) -> int:
    """Place of the corner to fan from: with three corners, the middle one."""
    size = len(polygon)
    corners = [i for i, vertex in enumerate(polygon) if vertex < 4]
    middle = [i for i in corners if polygon[i - 1] < 4 and polygon[(i + 1) % size] < 4]
    return middle[0] if size == 5 else corners[0]


def _rim_edges(polygon: list[int]) -> list[list[int]]:
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return [[a, b] for a, b in pairs if a >= 4 and b >= 4]
