"""Light for the preview: a soft key, a hemisphere of fill, a rim light; colours in and out are linear.

A small studio, not a renderer of materials: metals, emission and normal maps are not shown. What keeps light away is
in `shadows.py`.
"""

from __future__ import annotations

import numpy as np

from worker.mesh.raster import Floats
from worker.mesh.topology import unit_length

_SKY, _GROUND = np.float32([0.60, 0.62, 0.66]), np.float32([0.36, 0.34, 0.32])
_KEY = np.float32([0.80, 0.78, 0.74])
_RIM = np.float32([0.34, 0.36, 0.40])


def shade(
    albedo: Floats, normals: Floats, rays: Floats, lit: Floats, open_sky: Floats, key: Floats, up: Floats
) -> Floats:
    """Light (k, 3) that leaves points towards the eye.

    `normals`, `rays` (from the eye) in view space; `lit` the share of the key light, `open_sky` of the fill, both (k,).
    """
    eye = unit_length(-rays)
    facing_key = np.einsum("ij,j->i", normals, key)
    diffuse = np.maximum((facing_key + np.float32(0.15)) / np.float32(1.15), 0) * lit  # a large box reaches round edges
    sky = np.float32(0.5) + np.float32(0.5) * np.einsum("ij,j->i", normals, up)
    grazing = 1 - np.einsum("ij,ij->i", normals, eye).clip(0, 1)
    rim = grazing * grazing * grazing * (np.float32(0.4) + np.float32(0.6) * sky) * open_sky
    fill = (_GROUND + (_SKY - _GROUND) * sky[:, None]) * open_sky[:, None]
    light = albedo * (fill + diffuse[:, None] * _KEY)
    light += rim[:, None] * _RIM * (np.float32(0.25) + np.float32(0.75) * albedo)
    light += (_shine(normals, unit_length(eye + key)) * lit * (facing_key > 0))[:, None]
    return light


def _shine(normals: Floats, half: Floats) -> Floats:
    """A narrow and a wide highlight, powers 48 and 10 of the cosine (Blinn 1977), by squaring."""
    cosine = np.maximum(np.einsum("ij,ij->i", normals, half), 0)
    second = cosine * cosine
    eighth = (second * second) ** 2
    sixteenth = eighth * eighth
    return np.float32(0.10) * (sixteenth * sixteenth * sixteenth) + np.float32(0.05) * (eighth * second)


def rolled_off(linear: Floats) -> Floats:
    """Highlights rolled off softly instead of clipped, still linear."""
    over = np.maximum(linear - np.float32(0.7), 0)
    return np.minimum(linear, np.float32(0.7)) + over / (1 + over / np.float32(0.3))
