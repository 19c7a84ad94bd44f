"""What is done to every mask: specks go, pinholes close, and a hole stays a hole only where it is one.

It changes whole regions and never moves an outline.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from worker.masks.drawings import drawn_around

Holes = Literal["auto", "keep", "fill"]

SPECK = 0.0008  # share of the largest region's area under which a region is dirt
PINHOLE = 0.0008  # share of the shape's filled area under which a hole is dirt
DUST_PX = 4  # area under which a region or a hole is dirt even where somebody made it by opacity


def clean(coverage: np.ndarray, *, holes: Holes = "auto", made: bool = False) -> np.ndarray:
    """Coverage without specks and pinholes; `auto` fills the inside of line drawings and keeps real holes.

    `made` says that somebody chose what is outside, by opacity: only dust is dirt then, and `auto` fills nothing.
    Holes are 8-connected, as the mesh builder sees them; a region is dirt only if it is small with its diagonal
    neighbours, so that a thin slanting line is none.
    """
    coverage = coverage.copy()
    _drop_specks(coverage, DUST_PX if made else coverage.size)
    _close_holes(coverage, "keep" if made and holes == "auto" else holes, DUST_PX if made else coverage.size)
    return coverage


def has_hole(coverage: np.ndarray) -> bool:
    """Whether there is a gap inside the shape that is more than dust."""
    labels, stats, outside = _gaps(coverage)
    dust = stats[:, cv2.CC_STAT_AREA] < min(DUST_PX, PINHOLE * labels.size)
    dust[[0, outside]] = True
    return bool((~dust).any())


def _drop_specks(coverage: np.ndarray, most_px: int) -> None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((coverage >= 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    dirt = areas < min(SPECK * areas.max(), most_px)
    dirt[0] = False
    if dirt.any():
        reach = cv2.dilate(dirt[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        coverage[reach & ((labels == 0) | dirt[labels])] = 0.0


def _close_holes(coverage: np.ndarray, holes: Holes, most_px: int) -> None:
    labels, stats, outside = _gaps(coverage)
    if len(stats) <= 2:
        return
    filled_area = coverage.size - int((labels == outside).sum())
    close = stats[:, cv2.CC_STAT_AREA] < min(PINHOLE * filled_area, most_px)
    if holes == "fill":
        close[:] = True
    elif holes == "auto":
        close |= drawn_around(coverage, labels, stats)
    close[[0, outside]] = False
    if close.any():
        reach = cv2.dilate(close[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        coverage[reach & (labels != outside)] = 1.0


def _gaps(coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels of the regions of background, their statistics, and the label of the one around everything."""
    padded = cv2.copyMakeBorder((coverage < 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] -= 1
    return labels[1:-1, 1:-1], stats, int(labels[0, 0])
