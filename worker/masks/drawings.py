"""Which gaps in a shape are the inside of a line drawing, and which are the counters of letters drawn as thinly.

It looks at outlines that were found in colours; opacity says by itself what is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

THIN_WALL = 10.0  # a gap this many times wider than the line around it is the inside of a drawing
_REACH_PX = 3  # how far around a gap its line is looked at
_LEAST_GLYPH = 0.2  # of the largest part's longer side; what is smaller are dots and accents
_SAME_STROKE, _SAME_HEIGHT, _ON_LINE = 2.0, 3.0, 0.5  # most ratio of strokes, of heights; least share of rows in common
_EVEN = 0.2  # of the height, by which tops and feet of a word of closed letters may differ
_MOST_MATES = 0.8  # share of the parts that stand in a line with another


def drawn_around(coverage: np.ndarray, labels: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """For each region of background, whether the line around it is thin for its size: (count,) bool.

    `labels` and `stats` are those of OpenCV's components with the rows and columns of `coverage`.
    """
    inside = (coverage >= 0.5).astype(np.uint8)
    half_wall = _wall_depth(cv2.distanceTransform(inside, cv2.DIST_L2, 5))
    half_gap = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    thin, empty = np.zeros(len(stats), bool), np.zeros(len(stats), bool)
    for label in range(1, len(stats)):
        rows, columns = _around(stats[label])
        region = (labels[rows, columns] == label).astype(np.uint8)
        ring = (cv2.dilate(region, np.ones((5, 5), np.uint8)) > 0) & (inside[rows, columns] > 0)
        if ring.any():
            wall = max(1.0, float(np.median(half_wall[rows, columns][ring])))
            thin[label] = half_gap[rows, columns][region > 0].max() > THIN_WALL * wall
            empty[label] = _is_empty(region)
    if (thin & empty).any() and _is_lettering(inside, half_wall):
        thin &= ~empty
    return thin


def _around(stat: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = (int(number) for number in stat[:4])
    return (
        slice(max(0, top - _REACH_PX), top + height + _REACH_PX),
        slice(max(0, left - _REACH_PX), left + width + _REACH_PX),
    )


def _is_empty(region: np.ndarray) -> bool:
    """Whether nothing is drawn within the gap: eyes in a face."""
    outlines, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(region), outlines, -1, 1, cv2.FILLED)
    return int(filled.sum()) - int(region.sum()) < 0.01 * int(region.sum())


@dataclass(frozen=True)
class _Part:
    """A connected part of a shape: its rows and height in pixels, half the width of its stroke, whether it is open."""

    top: int
    height: int
    stroke: float
    is_open: bool


def _is_lettering(inside: np.ndarray, half_wall: np.ndarray) -> bool:
    """Whether the shape is parts of one stroke that stand in lines, and closed ones are not all there is.

    A word of three letters or more may be of closed ones alone when tops and feet are level.
    """
    parts = _parts(inside, half_wall)
    if len(parts) < 2:
        return False
    strokes = [part.stroke for part in parts]
    if max(strokes) > _SAME_STROKE * max(1.0, min(strokes)):
        return False
    mates = [sum(_stand_together(one, other) for other in parts) - 1 for one in parts]
    if sum(count > 0 for count in mates) < _MOST_MATES * len(parts):
        return False
    return any(part.is_open for part in parts) or (max(mates) >= 2 and _are_level(parts))


def _parts(inside: np.ndarray, half_wall: np.ndarray) -> list[_Part]:
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = [cv2.boundingRect(outline) for outline in outlines]
    least = _LEAST_GLYPH * max((max(width, height) for _, _, width, height in boxes), default=0)
    parts = []
    for outline, (left, top, width, height) in zip(outlines, boxes, strict=True):
        if max(width, height) < least:
            continue
        rows, columns = slice(top, top + height), slice(left, left + width)
        ours = cv2.drawContours(np.zeros((height, width), np.uint8), [outline - (left, top)], -1, 1, cv2.FILLED)
        inked = (ours > 0) & (inside[rows, columns] > 0)
        stroke = float(np.median(half_wall[rows, columns][inked]))
        parts.append(_Part(top, height, stroke, bool(inked.sum() > 0.8 * ours.sum())))
    return parts


def _stand_together(one: _Part, other: _Part) -> bool:
    shared = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    low, high = sorted((one.height, other.height))
    return shared >= _ON_LINE * low and high <= _SAME_HEIGHT * low


def _are_level(parts: list[_Part]) -> bool:
    tops, feet = [part.top for part in parts], [part.top + part.height for part in parts]
    return max(max(tops) - min(tops), max(feet) - min(feet)) <= _EVEN * max(part.height for part in parts)


def _wall_depth(depth: np.ndarray) -> np.ndarray:
    """Greatest depth within reach of each pixel, in pixels: half the width of the wall it stands in."""
    reach = depth
    for size in (3, 5, 9, 17):
        reach = cv2.dilate(reach, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return reach
