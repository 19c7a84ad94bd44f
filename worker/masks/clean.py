"""What is done to every mask: specks go, pinholes close, and a hole stays a hole only where it is one.

It changes whole regions and never moves an outline.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

Holes = Literal["auto", "keep", "fill"]

SPECK = 0.0008  # share of the largest region's area under which a region is dirt
PINHOLE = 0.0008  # share of the shape's filled area under which a hole is dirt
THIN_WALL = 10.0  # a hole this many times wider than the line around it is the inside of a drawing


def clean(coverage: np.ndarray, *, holes: Holes = "auto") -> np.ndarray:
    """Coverage without specks and pinholes; `auto` fills the inside of line drawings and keeps real holes.

    Holes are 8-connected, as the mesh builder sees them; a region is dirt only if it is small with its diagonal
    neighbours, so that a thin slanting line is none.
    """
    coverage = coverage.copy()
    _drop_specks(coverage)
    _close_holes(coverage, holes)
    return coverage


def _drop_specks(coverage: np.ndarray) -> None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((coverage >= 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    dirt = areas < SPECK * areas.max()
    dirt[0] = False
    if dirt.any():
        reach = cv2.dilate(dirt[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        coverage[reach & ((labels == 0) | dirt[labels])] = 0.0


def _close_holes(coverage: np.ndarray, holes: Holes) -> None:
    padded = cv2.copyMakeBorder((coverage < 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    outside = labels[0, 0]
    labels = labels[1:-1, 1:-1]
    if count <= 2:
        return
    areas = stats[:, cv2.CC_STAT_AREA]
    filled_area = coverage.size - int((labels == outside).sum())
    close = areas < PINHOLE * filled_area
    if holes == "fill":
        close[:] = True
    elif holes == "auto":
        close |= _drawn_around(coverage, labels, count)
    close[[0, outside]] = False
    if close.any():
        reach = cv2.dilate(close[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        coverage[reach & (labels != outside)] = 1.0


def _drawn_around(coverage: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """For each region of background, whether the line around it is thin for its size: (count,) bool."""
    inside = (coverage >= 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    width = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    half_wall = _wall_depth(depth)
    thin = np.zeros(count, bool)
    for label in range(1, count):
        region = labels == label
        ring = cv2.dilate(region.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & (inside > 0)
        if ring.any():
            thin[label] = width[region].max() > THIN_WALL * max(1.0, float(np.median(half_wall[ring])))
    return thin


def _wall_depth(depth: np.ndarray) -> np.ndarray:
    """Greatest depth within reach of each pixel, in pixels: half the width of the wall it stands in."""
    reach = depth
    for size in (3, 5, 9, 17):
        reach = cv2.dilate(reach, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return reach
