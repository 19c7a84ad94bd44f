"""The picture at the size that the built-in generators work in: about a megapixel, colours apart from opacity.

It does not decode files and does not look for shapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image

WORKING_PIXELS = 1024 * 1024
LONGEST_SIDE_PX = 4096  # the smallest limit on textures that WebGL 2 devices have in practice


@dataclass(frozen=True)
class WorkingPicture:
    """Straight colours `rgb` (height, width, 3; uint8) and opacity `alpha` (height, width; float32 in 0..1)."""

    rgb: np.ndarray
    alpha: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.alpha.shape[0], self.alpha.shape[1]

    @cached_property
    def over_white(self) -> np.ndarray:
        """The picture as seen on white paper: (height, width, 3) uint8."""
        if self.alpha.min() >= 1.0:
            return self.rgb
        alpha = self.alpha[..., None]
        return np.rint(self.rgb * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)

    @cached_property
    def lab(self) -> np.ndarray:
        """CIE L*a*b* over white, L in 0..100: (height, width, 3) float32."""
        return cv2.cvtColor(self.over_white.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)


def working_picture(image: Image.Image) -> WorkingPicture:
    """Scale an RGBA picture down to at most `WORKING_PIXELS`; it never scales up.

    Opacity weighs the colours while scaling (Pillow premultiplies RGBA when it resizes), so the hidden colours
    of transparent pixels do not bleed into the outline.
    """
    image = image.convert("RGBA")
    if image.getextrema()[3] == (255, 255):
        image = image.convert("RGB")
    width, height = image.size
    scale = min(1.0, math.sqrt(WORKING_PIXELS / (width * height)), LONGEST_SIDE_PX / max(width, height))
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.HAMMING)
    pixels = np.asarray(image)
    if pixels.shape[2] == 3:
        return WorkingPicture(pixels, np.ones(pixels.shape[:2], np.float32))
    return WorkingPicture(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].astype(np.float32) / 255.0)
