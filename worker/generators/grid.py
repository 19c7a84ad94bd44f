"""How fine a grid is worth its faces: what the picture holds, and what a job may cost, known before any work.

It knows neither outlines nor heights.
"""

from __future__ import annotations

import math

from jobs.requests import Notice

MOST_FACES = 1_000_000  # about 25 MB and 10 s; a slicer or a browser shows no more
_INNER_SHARE = 0.97  # of the faces; the rest is the outline's
SOLID_GRID = int(math.sqrt(_INNER_SHARE * MOST_FACES / 4))  # cells along a square that has as many faces
CELLS_PER_PX = 2  # the blend of colours at an outline tells where in a pixel it runs; nothing finer is known
LEAST_GRID = 320  # cells that also a small picture may have, for round forms: the finest default


def affordable(resolution: int, *, longest_px: float, fill: float) -> tuple[int, tuple[Notice, ...]]:
    """Cells along the longer side, `resolution` or fewer, and a notice when they are fewer.

    `fill` is the share of the square over the longer side that the shape covers; its two sides have two triangles a
    cell each.
    """
    worth = max(LEAST_GRID, math.ceil(CELLS_PER_PX * longest_px))
    paid = max(32, int(math.sqrt(_INNER_SHARE * MOST_FACES / 4 / max(fill, 1e-9))))
    cells = min(resolution, worth, paid)
    if cells == resolution:
        return cells, ()
    reason = f"the shape is {longest_px:.0f} pixels long and holds no more"
    if paid < worth:
        faces = 4 * fill * resolution**2
        reason = f"it would make {faces / 1e6:.1f} million faces; the limit is {MOST_FACES / 1e6:.0f} million"
    return cells, (Notice(code="coarser_grid", message=f"resolution {resolution} was lowered to {cells}: {reason}"),)
