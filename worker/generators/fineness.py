"""How fine the lines of a shape are, and how fine a grid it takes to keep them apart and whole.

It looks at masks only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CELLS_ACROSS = 3.0  # a line or a gap: with fewer, lines break and counters close
FINEST_CELL_PX = 0.67  # a pixel holds nothing that a finer one could show
SHARE_OF_LINES = 10  # percent of the lines, and of the gaps, that may be finer than what counts
WHOLE = 0.67  # of a line's own peak, at which it is still one line
MOST_NODES = 8  # times the square of the asked resolution, on or beside the shape; on it as many as a full square has


@dataclass(frozen=True)
class Lines:
    """Width of the fine lines or of the fine gaps in a shape, whichever is less, in pixels, at least 1.

    `middle` (height, width) is True where a line, or a limb of whatever width, has its middle.
    """

    finest_px: float
    middle: np.ndarray

    def level(self, blurred: np.ndarray) -> float:
        """Where the outline of a blurred shape lies: at one half, or lower where its fine lines would break there."""
        return min(0.5, WHOLE * float(np.percentile(blurred[self.middle], SHARE_OF_LINES)))


def lines_of(coverage: np.ndarray) -> Lines:
    """The lines of a shape that has at least one pixel."""
    inside = cv2.copyMakeBorder((coverage >= 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    middle = (inside > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))
    widths = [np.percentile(2 * depth[middle] - 1, SHARE_OF_LINES)]
    count, labels = cv2.connectedComponents(1 - inside, connectivity=8)
    if count > 2:
        gaps = np.zeros(count, np.float32)
        np.maximum.at(gaps, labels.ravel(), cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5).ravel())
        gaps[[0, labels[0, 0]]] = np.inf
        widths.append(np.percentile(2 * gaps[np.isfinite(gaps)] - 1, SHARE_OF_LINES))
    return Lines(max(1.0, float(min(widths))), middle[1:-1, 1:-1])


def affordable_px(coverage: np.ndarray, extent_px: np.ndarray, resolution: int) -> float:
    """The finest cell that shows anything and costs no more than a solid shape of this resolution does, in pixels."""
    inside_px = float(np.count_nonzero(coverage >= 0.5))
    return max(FINEST_CELL_PX, float(np.sqrt(max(inside_px, extent_px.prod() / MOST_NODES)) / resolution))
