"""Samples of more than 8 bits: heights, depths and greys with all the steps that the file has.

It spreads them over 8 bits for the eye as well; what they mean is for a generator to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageChops, TiffImagePlugin

from worker.decoding.png import depth_and_colour

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _NO_DATA = 258, 262, 339, 42113  # TIFF 6.0; GDAL's registered tag
_WHITE_IS_ZERO = 0


@dataclass(frozen=True)
class Samples:
    """One number a pixel, in the file's own unit; `valid` is False where it says there is none.

    `white` is the number that the format shows as white, black being zero; `None` where only the numbers can tell.
    `beside_colours`: the picture has 8 bits of colour, and opacity, as well.
    """

    values: np.ndarray
    valid: np.ndarray
    white: float | None
    beside_colours: bool = False

    def grey(self) -> Image.Image:
        """As it is shown: by the format's own range, floats within 0..1 by that, else from lowest to highest."""
        low, high = self._shown_range()
        shown = np.where(self.valid, self.values, low).astype(np.float32)
        shown -= np.float32(low)
        shown *= np.float32(255 / (high - low))
        return Image.fromarray(np.rint(shown, out=shown).clip(0, 255, out=shown).astype(np.uint8))

    def _shown_range(self) -> tuple[float, float]:
        if self.white is not None:
            return 0.0, self.white
        low, high = value_range(self.values, self.valid)
        if self.values.dtype.kind == "f" and low >= 0 and high <= 1:
            return 0.0, 1.0
        return low, high if high > low else low + 1


def value_range(values: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Lowest and highest of the values that count; zeros when none does."""
    counted = values if valid.all() else values[valid]
    return (float(counted.min()), float(counted.max())) if counted.size else (0.0, 0.0)


def wide_samples(image: Image.Image, data: bytes) -> Samples | None:
    """The samples of a loaded picture with more than 8 bits of grey, or `None` where it has no such.

    OpenCV reads them where it can: Pillow keeps 8 of 16 bits of colours, and misreads compressed big-endian TIFFs.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _grey(image, data)
    if not _is_wide(image, data):
        return None
    key = isinstance(image.info.get("transparency"), tuple)
    if not key and not _looks_grey(image):
        return None
    read = _by_opencv(data, image)
    if read is None or read.dtype != np.uint16 or read.ndim != 3:
        return None
    if not (np.array_equal(read[..., 0], read[..., 1]) and np.array_equal(read[..., 1], read[..., 2])):
        return None
    valid = read[..., 3] > 0 if read.shape[2] == 4 else np.ones(read.shape[:2], bool)
    return Samples(read[..., 1].copy(), valid, 65535.0, beside_colours=True)


def key_of_wide_colours(image: Image.Image, data: bytes) -> Image.Image | None:
    """Opacity of a PNG of 16-bit colours that calls one of them transparent; 8 bits could not tell it from others."""
    if not isinstance(image.info.get("transparency"), tuple) or depth_and_colour(data) != (16, 2):
        return None
    read = _by_opencv(data, image)
    if read is None or read.ndim != 3 or read.shape[2] != 4:
        return None
    return Image.fromarray((read[..., 3] >> 8).astype(np.uint8))


def _grey(image: Image.Image, data: bytes) -> Samples:
    values = np.asarray(image)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if tags:
        read = _by_opencv(data, image)
        values = read if read is not None and read.ndim == 2 else values
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    valid &= ~_marked(values, tags.get(_NO_DATA), image.info.get("transparency"))
    white = _white(image, tags)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        low, high = (0, white) if white is not None else value_range(values, valid)
        values = np.where(valid, values, 0)
        values = (low + high - values.astype(np.float64)).astype(np.float32 if white is None else values.dtype)
    return Samples(values, valid, white)


def _white(image: Image.Image, tags: object) -> float | None:
    if tags:
        unsigned = tags.get(_SAMPLE_FORMAT, (1,))[0] == 1
        bits = tags.get(_BITS, (16,))[0]
        return float((1 << bits) - 1) if unsigned and bits <= 16 else None
    return None if image.mode == "F" else 65535.0  # Pillow spreads a PGM's samples over 16 bits


def _marked(values: np.ndarray, no_data: object, key: object) -> np.ndarray:
    """Where a value is the one that stands for none: GDAL's word in a TIFF, a PNG's transparent grey."""
    marked = np.zeros(values.shape, bool)
    for mark in (no_data, key):
        try:
            number = float(str(mark).strip(" \0"))
        except ValueError:
            continue
        marked |= values == values.dtype.type(number) if _fits(values.dtype, number) else False
    return marked


def _fits(kind: np.dtype, number: float) -> bool:
    if kind.kind == "f":
        return True
    return number.is_integer() and np.iinfo(kind).min <= number <= np.iinfo(kind).max


def _is_wide(image: Image.Image, data: bytes) -> bool:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(_BITS, (8,))) == 16
    return depth_and_colour(data)[0] == 16


def _looks_grey(image: Image.Image) -> bool:
    red, green, blue = image.convert("RGB").split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(green, blue).getbbox() is None


def _by_opencv(data: bytes, image: Image.Image) -> np.ndarray | None:
    """The first picture of the file as it stands, or `None`; OpenCV's own words are kept out of the log."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return read if read is not None and read.shape[:2] == image.size[::-1] else None
