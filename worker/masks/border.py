"""The shape as what differs from the background that the picture's border shows: plain paper, a studio sweep, a sky.

It fits a smooth background and gives up when the border is not one; it does not segment textures.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from worker.masks.found import Found
from worker.masks.shadow import cast_shadows

MOST_NOISE = 4.0  # ΔE: a border noisier than this is no plain background
LEAST_STEP, MOST_STEP = 7.0, 20.0  # ΔE between background and shape at which the outline is drawn
ROUNDS = 12
MOST_SHADOW = 0.65  # of what differs from the ground
CRUMB = 0.02  # of the largest region: what a shadow or a faint outline leaves behind
FAINT = 22.0  # ΔE between thing and ground: with less, noise and shading hide parts of the outline
LEAST_FAINT, MOST_FAINT = 0.45, 3.0  # ΔE of the outline of a faint thing, its noise averaged out
MOST_FAINT_CONFIDENCE = 0.49


def mask_from_border(lab: np.ndarray, *, least_agreement: float) -> Found | None:
    """Coverage by colour distance to a quadratic fitted to the border, or `None` when too little of it agrees.

    `lab` is (height, width, 3) float32, CIE L*a*b*. Iteratively reweighted least squares with Cauchy weights
    (Holland & Welsch 1977), so that a shape which touches the border does not pull the background towards itself.
    """
    height, width = lab.shape[:2]
    if min(height, width) < 3:
        return None
    on_border = _border(height, width)
    basis = _quadratic(height, width)
    coefficients, noise = _fit(basis[on_border], lab[on_border])
    background = (basis.reshape(-1, 6) @ coefficients).reshape(lab.shape)
    distance = np.sqrt(np.square(lab - background).sum(axis=2))
    agreement = float((distance[on_border] < max(5.0, 3.0 * noise)).mean())
    if agreement < least_agreement or noise > MOST_NOISE:
        return None
    step = float(np.clip(0.5 * _otsu(distance), max(LEAST_STEP, 4.0 * noise), MOST_STEP))
    coverage = np.clip(distance / (2.0 * step), 0.0, 1.0).astype(np.float32)
    inside = coverage >= 0.5
    contrast = float(distance[inside].mean() - distance[~inside].mean()) if 0 < inside.mean() < 1 else 0.0
    if contrast < FAINT and (faint := _faint(lab - background, on_border)) is not None:
        return faint
    if not inside.any():
        return None
    shadow = cast_shadows(lab, background, inside)
    sureness = min(1.0, contrast / 30.0)
    if shadow.sum() > MOST_SHADOW * inside.sum():
        sureness *= 0.4  # a soft grey thing, or a small one with a long shadow: nothing tells which
    elif shadow.any():
        beside = cv2.dilate(shadow.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        coverage[shadow | _crumbs(inside & ~shadow, beside)] = 0.0
    return Found(coverage, agreement * sureness)


def _faint(difference: np.ndarray, on_border: np.ndarray) -> Found | None:
    """Coverage of a thing nearly as bright as its ground, by differences that only show once noise is averaged out.

    `None` when the ground itself is as uneven as that.
    """
    sigma = max(1.5, 0.003 * max(difference.shape[:2]))
    distance = np.linalg.norm(cv2.GaussianBlur(difference, (0, 0), sigma), axis=2)
    step = max(LEAST_FAINT, 1.4 * float(np.percentile(distance[on_border], 99)))
    if step > MOST_FAINT:
        return None
    inside = distance >= step
    # The outline of what stands out clearly is where it stands out half as much as a little further in.
    reach = 2 * math.ceil(3 * sigma) + 1
    near_ground = cv2.dilate((~inside).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    further_in = cv2.dilate(distance, np.ones((reach, reach), np.uint8))
    level = np.where(near_ground, np.maximum(further_in, 2.0 * step), 2.0 * step)
    coverage = np.clip(distance / level, 0.0, 1.0).astype(np.float32)
    inside = coverage >= 0.5
    coverage[_crumbs(inside, inside)] = 0.0
    inside = coverage >= 0.5
    share = float(inside.mean())
    if not 0.005 < share < 0.95:
        return None
    clearness = min(1.0, float(np.median(distance[inside])) / (4.0 * step))
    return Found(coverage, MOST_FAINT_CONFIDENCE * clearness)


def _crumbs(inside: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Regions much smaller than the largest one that reach into `among`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    small = areas < CRUMB * areas.max()
    small[0] = False
    small[np.setdiff1d(np.arange(len(areas)), labels[among])] = False
    return small[labels]


def _border(height: int, width: int) -> np.ndarray:
    rim = max(1, round(0.012 * min(height, width)))
    on_border = np.zeros((height, width), bool)
    on_border[:rim], on_border[-rim:], on_border[:, :rim], on_border[:, -rim:] = True, True, True, True
    return on_border


def _quadratic(height: int, width: int) -> np.ndarray:
    """The six monomials up to degree two at every pixel, coordinates in −1..1: (height, width, 6) float32."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)


def _fit(basis: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients (6, 3) and the noise of those who agree, in ΔE."""
    stride = max(1, len(basis) // 4000)
    basis, colours = basis[::stride].astype(np.float64), colours[::stride].astype(np.float64)
    ridge = 1e-3 * len(basis) * np.diag([0.0, 1, 1, 1, 1, 1])
    residual = np.linalg.norm(colours - np.median(colours, axis=0), axis=1)
    scale = 1.0
    for _ in range(ROUNDS):
        scale = max(1.0, 1.4826 * float(np.median(residual)))
        weights = 1.0 / (1.0 + np.square(residual / (1.5 * scale)))
        weighted = basis * weights[:, None]
        coefficients = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ colours)
        residual = np.linalg.norm(colours - basis @ coefficients, axis=1)
    return coefficients.astype(np.float32), scale


def _otsu(distance: np.ndarray) -> float:
    """Otsu's threshold (1979) of the distances, in ΔE."""
    most = 100.0
    levels = np.clip(distance * (255.0 / most), 0, 255).astype(np.uint8)
    return cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0] * most / 255.0
