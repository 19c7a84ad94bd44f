"""What a relief makes heights of: the light and dark of a picture as a person sees it, or the file's own heights.

It builds no mesh. Tones are in 0..1, and all of that range is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from worker.images import SAMPLES
from worker.masks.picture import WorkingPicture

GROUNDS = np.linspace(0.0, 1.0, 21)  # greys that may lie behind a transparent picture
ENOUGH = 0.5  # difference of tones beyond which nothing is seen any better
GOOD_SHARE = 0.9  # of what the best ground shows; white is taken, or black, when it shows as much
_LEAST_RANGE = 1e-3
_CLIPPED_PERCENT = (1.0, 99.0)
_MOST_LOST = 0.5  # share of the range that clipping may take


@dataclass(frozen=True)
class Range:
    """Tones or heights that become the lowest and the highest place; where they are equal the picture decides."""

    low: float
    high: float

    def given(self) -> bool:
        return self.high > self.low

    def of_levels(self) -> Range:
        """For a picture of 8 bits, whose numbers are levels of 255."""
        return Range(self.low / 255, self.high / 255)


def on_ground(picture: WorkingPicture) -> WorkingPicture:
    """The picture on paper of the grey that shows it: white, unless much of it would not be seen on that.

    What is white on nothing is seen on black, and what is both black and white on a grey between.
    """
    if picture.alpha.min() >= 1.0:
        return picture
    hidden = picture.alpha <= 0
    rgb = picture.rgb.copy()
    rgb[hidden] = rgb[~hidden].mean(axis=0) if not hidden.all() else 255  # colours that nobody sees decide nothing
    tones = contrasted(rgb)
    weight = np.bincount(
        np.clip(tones * 255, 0, 255).astype(np.uint8).ravel(), picture.alpha.ravel().astype(np.float64), 256
    )
    levels = np.arange(256) / 255
    seen = np.array([weight @ np.minimum(np.abs(levels - ground), ENOUGH) for ground in GROUNDS])
    best = seen.max()
    ground = next((one for one in (1.0, 0.0) if seen[round(one * 20)] >= GOOD_SHARE * best), GROUNDS[seen.argmax()])
    alpha = picture.alpha[..., None]
    rgb = np.rint(rgb * alpha + 255.0 * ground * (1.0 - alpha)).astype(np.uint8)
    return replace(picture, rgb=rgb, alpha=np.ones_like(picture.alpha))


def contrasted(rgb: np.ndarray) -> np.ndarray:
    """Brightness of colours, (height, width) float32 in 0..1, and what of them brightness does not tell apart.

    Where colours differ and their brightness hardly does, the axis along which they differ most is added: a red sign
    on a green wall is seen, and shall be felt.
    """
    share = rgb.astype(np.float32) / 255
    grey = cv2.cvtColor(share, cv2.COLOR_RGB2GRAY)
    lab = cv2.cvtColor(share, cv2.COLOR_RGB2Lab)
    light, hues = lab[..., 0], lab[..., 1:].reshape(-1, 2)
    spread_light, (spread, axis) = float(light.var()), _main_axis(hues)
    weight = 1 - 4 * spread_light / spread if spread > 4.0 else 0.0  # a ΔE of 2 is not seen from afar
    if weight <= 0:
        return grey
    along = (hues - hues.mean(axis=0)) @ axis
    return grey + np.float32(weight / 100) * along.reshape(grey.shape)


def _main_axis(points: np.ndarray) -> tuple[float, np.ndarray]:
    """Variance along the direction in which points (n, 2) differ most, and that direction, towards red or yellow."""
    if len(points) < 2:
        return 0.0, np.zeros(2, np.float32)
    stride = max(1, len(points) // 100_000)
    variances, axes = np.linalg.eigh(np.cov(points[::stride].T.astype(np.float64)))
    axis = axes[:, 1]
    return float(variances[1]), (axis if axis.sum() >= 0 else -axis).astype(np.float32)


def file_heights(image: Image.Image, shape: tuple[int, int], wanted: Range) -> np.ndarray | None:
    """The file's own heights as (height, width) float32 in 0..1, at the working size; `None` when it has none.

    Lowest and highest are those of the values, all of them, or what is `wanted`; what is no value lies at the bottom.
    """
    samples = image.info.get(SAMPLES)
    if not isinstance(samples, np.ndarray) or samples.shape != image.size[::-1]:
        return None
    opacity = np.asarray(image.getchannel("A"))
    counted = samples if opacity.all() else samples[opacity > 0]
    if not counted.size:
        return None
    low, high = (wanted.low, wanted.high) if wanted.given() else (float(counted.min()), float(counted.max()))
    if not high > low:
        return np.full(shape, 0.5, np.float32)
    heights = np.where(opacity > 0, samples, low).astype(np.float64)  # 32-bit numbers of a small range keep it
    heights = np.clip((heights - low) / (high - low), 0, 1).astype(np.float32) * (opacity / np.float32(255))
    return heights if heights.shape == shape else cv2.resize(heights, shape[::-1], interpolation=cv2.INTER_AREA)


def stretched(tone: np.ndarray, wanted: Range) -> np.ndarray:
    """Tones over all of 0..1: the extremes of one in a hundred are cut, unless they are what the picture shows."""
    if wanted.given():
        return np.clip((tone - wanted.low) / (wanted.high - wanted.low), 0, 1)
    lowest, highest = float(tone.min()), float(tone.max())
    low, high = np.percentile(tone, _CLIPPED_PERCENT)
    if high - low < _MOST_LOST * (highest - lowest):
        low, high = lowest, highest
    return np.clip((tone - low) / (high - low), 0, 1) if high - low > _LEAST_RANGE else np.full_like(tone, 0.5)
