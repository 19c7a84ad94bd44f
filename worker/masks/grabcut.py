"""The shape in a photograph by GrabCut, from the prior that the border is background and the middle is not.

It works on a small copy and sharpens the result along the picture's edges; it learns nothing and knows no objects.
"""

from __future__ import annotations

import cv2
import numpy as np

from worker.masks.found import Found
from worker.masks.picture import WorkingPicture

SMALL_SIDE_PX = 288
ROUNDS = 4
CLUSTERS = 6


def mask_by_grabcut(picture: WorkingPicture, *, seed: int, least_confidence: float) -> Found | None:
    """Coverage from graph cuts over colour mixtures (Rother, Kolmogorov & Blake 2004), or `None` when unsure.

    The small mask is brought to full size by a guided filter (He, Sun & Tang 2013) on the luminance.
    """
    height, width = picture.shape
    scale = min(1.0, SMALL_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if min(size) < 16:
        return None
    small = cv2.resize(picture.over_white, size, interpolation=cv2.INTER_AREA)
    labels = _prior(small)
    if not _has_both(labels):
        return None
    cv2.setRNGSeed(seed % 2**31)
    try:
        cv2.grabCut(
            small[..., ::-1].copy(), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:  # raised when one side has too few distinct colours for a mixture
        return None
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    inside = _main_regions(cv2.morphologyEx(inside, cv2.MORPH_OPEN, _disc(3)))
    confidence = _confidence(small, inside)
    if confidence < least_confidence:
        return None
    return Found(_sharpen(inside, picture), confidence)


def _prior(small: np.ndarray) -> np.ndarray:
    """Labels for GrabCut: the border is background, what is unlike the border and near the middle is likely shape."""
    height, width = small.shape[:2]
    lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    rim = max(2, round(0.03 * min(height, width)))
    on_border = np.ones((height, width), bool)
    on_border[rim:-rim, rim:-rim] = False
    unlike = cv2.GaussianBlur(_distance_to_palette(lab, lab[on_border]), (0, 0), 2.0)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    likely = unlike * np.exp(-1.2 * (x * x + y * y)).astype(np.float32)
    level = cv2.threshold(
        np.clip(likely * (255 / max(1e-6, float(likely.max()))), 0, 255).astype(np.uint8), 0, 1, cv2.THRESH_OTSU
    )[1]
    labels = np.where(level > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[on_border] = cv2.GC_BGD
    return labels


def _distance_to_palette(lab: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """ΔE of each pixel to the nearest of the border's main colours."""
    samples = samples[:: max(1, len(samples) // 3000)]
    cv2.setRNGSeed(7)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, palette = cv2.kmeans(samples, min(CLUSTERS, len(samples)), None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    return np.sqrt(np.square(lab[:, :, None, :] - palette).sum(axis=3).min(axis=2)).astype(np.float32)


def _has_both(labels: np.ndarray) -> bool:
    likely = int((labels == cv2.GC_PR_FGD).sum())
    return likely >= 50 and labels.size - likely >= 50


def _main_regions(inside: np.ndarray) -> np.ndarray:
    """The largest region and those at least a fifth of it, holes under 2 % closed."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    if count <= 1:
        return inside
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = (areas >= 0.2 * areas.max())[labels].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - kept, connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < 0.02 * areas.max()
    small[0] = False
    kept[small[labels]] = 1
    return kept


def _confidence(small: np.ndarray, inside: np.ndarray) -> float:
    """How far apart the two sides are in colour, less when the shape is tiny or fills the frame."""
    share = float(inside.mean())
    if not 0.02 < share < 0.85:
        return 0.0
    lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    inner, outer = lab[inside > 0], lab[inside == 0]
    apart = float(np.linalg.norm(inner.mean(axis=0) - outer.mean(axis=0)))
    spread = float(inner.std(axis=0).mean() + outer.std(axis=0).mean())
    return float(np.clip(apart / (apart + spread + 1e-6) + 0.1, 0.0, 0.95))


def _sharpen(inside: np.ndarray, picture: WorkingPicture) -> np.ndarray:
    """The small mask at full size, its edge pulled to the picture's own."""
    height, width = picture.shape
    mask = cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    guide = picture.lab[..., 0] / 100.0
    radius = max(2, round(1.5 * max(height, width) / SMALL_SIDE_PX))
    box = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_m = cv2.blur(guide, box), cv2.blur(mask, box)
    covariance = cv2.blur(guide * mask, box) - mean_g * mean_m
    variance = cv2.blur(guide * guide, box) - mean_g * mean_g
    slope = covariance / (variance + 1e-3)
    offset = mean_m - slope * mean_g
    return np.clip(cv2.blur(slope, box) * guide + cv2.blur(offset, box), 0.0, 1.0)


def _disc(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
