"""Shadows that a thing casts on a plain ground: the ground's own colour, darker, with a soft edge towards it.

A grey thing has that colour too, but its outline is sharp. It finds no outlines and knows no light.
"""

from __future__ import annotations

import cv2
import numpy as np

MOST_TINT = 9.0  # ΔE in a and b between ground and shadow, for full light; less for darker ones
DARKEST = 0.12  # of the ground's lightness: what is darker is a thing
EDGE = 2.0  # L per pixel: a fainter slope is no edge
SHARP = 0.27  # of the range of lightness within 7 pixels that one pixel's slope makes up on a sharp edge
AS_DARK = 5.0  # L: a shadow and another part of it
SOFT_SHARE = 0.5  # of its outline towards the ground that is soft on a shadow


def cast_shadows(lab: np.ndarray, background: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Pixels of `inside` that are shadow: (height, width) bool; `lab` and `background` are CIE L*a*b*."""
    like = inside & _darker_ground(lab, background)
    if not like.any():
        return like
    edges = _sharp_edges(lab[..., 0])
    count, labels = cv2.connectedComponents((like & ~_grown(edges, 3)).astype(np.uint8), connectivity=4)
    ground = _grown(~inside, 3)
    soft = np.bincount(labels[ground], minlength=count)
    sharp = np.bincount(labels[_grown(edges & _grown(~inside, 5), 7) & ~ground], minlength=count)
    shadow = soft > SOFT_SHARE / (1 - SOFT_SHARE) * sharp
    shadow[0] = False
    if not shadow.any():
        return np.zeros_like(like)
    shadow |= _seen_through(labels, count, lab[..., 0], shadow, (soft == 0) & (sharp == 0))
    return _grown(shadow[labels], 5) & like


def _seen_through(
    labels: np.ndarray, count: int, light: np.ndarray, shadow: np.ndarray, enclosed: np.ndarray
) -> np.ndarray:
    """Of the regions that touch no ground, as in a handle, those as dark as the shadow: (count,) bool."""
    areas = np.maximum(np.bincount(labels.reshape(-1), minlength=count), 1)
    mean = np.bincount(labels.reshape(-1), light.reshape(-1), count) / areas
    darkest = float(np.percentile(light[shadow[labels]], 25))
    return enclosed & (np.arange(count) > 0) & (np.abs(mean - darkest) < AS_DARK)


def _darker_ground(lab: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Where a pixel has the ground's hue and less light; chroma falls with the light."""
    share = lab[..., 0] / np.maximum(background[..., 0], 1.0)
    tint = np.hypot(
        lab[..., 1] - share * background[..., 1],
        lab[..., 2] - share * background[..., 2],
    )
    return (share > DARKEST) & (share < 0.99) & (tint < MOST_TINT * np.clip(share + 0.3, 0.4, 1.0))


def _sharp_edges(light: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(light, (0, 0), 0.8)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    window = np.ones((7, 7), np.uint8)
    spread = cv2.dilate(smooth, window) - cv2.erode(smooth, window)
    return (slope > EDGE) & (slope > SHARP * spread)


def _grown(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
