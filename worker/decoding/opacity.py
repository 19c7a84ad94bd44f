"""Opacity apart from colours, however a format marks it, and the ways in which files mark it wrongly.

It does not judge whether opacity carries a shape.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

from worker.decoding.bmp import opacity_bit
from worker.decoding.png import depth_and_colour

# Formats in which programs leave the fourth sample at zero and mean an opaque picture.
_ZERO_IS_NOTHING = ("BMP", "TIFF")
_ASSOCIATED = "RGBa"  # Pillow's raw modes of colours that are multiplied by their opacity
_ROUNDING = 2  # levels by which such a colour may exceed its opacity


def without_division(image: Image.Image) -> bool:
    """Before it is loaded: have colours that the file says are multiplied by their opacity left as they are stored.

    Pillow would divide, and so cut off what a file with such a wrong claim holds.
    """
    tiles = [(tile, _raw_mode(tile)) for tile in image.tile]
    if image.mode != "RGBA" or not tiles or not all(raw.startswith(_ASSOCIATED) for _, raw in tiles):
        return False
    image.tile = [tile._replace(args=_renamed(tile.args, raw.replace(_ASSOCIATED, "RGBA", 1))) for tile, raw in tiles]
    return True


def divided(image: Image.Image) -> Image.Image:
    """Straight colours of stored ones; where a colour exceeds its opacity the claim is wrong and they are straight."""
    red, green, blue, alpha = image.split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    if ImageChops.subtract(brightest, alpha).getextrema()[1] > _ROUNDING:
        return image
    straight = Image.frombytes("RGBa", image.size, image.tobytes()).convert("RGBA")
    straight.info, straight.format = image.info, image.format
    return straight


def split_opacity(image: Image.Image, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """The picture as `L`, `RGB`, `CMYK` or `LAB`, and its opacity as `L`, or `None` when all of it is opaque."""
    colours, alpha = _split(image, data)
    if alpha is not None:
        lowest, highest = alpha.getextrema()
        if lowest == 255 or (highest == 0 and image.format in _ZERO_IS_NOTHING):
            alpha = None
    return colours, alpha


def _split(image: Image.Image, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    key = image.info.get("transparency")
    if image.mode in ("CMYK", "LAB", "YCbCr"):
        return (image.convert("RGB") if image.mode == "YCbCr" else image), None
    if image.mode == "RGB" and image.format == "BMP":
        return image, opacity_bit(data, image.size)
    if image.mode == "RGB":
        return image, _unlike(image, key) if isinstance(key, tuple) else None
    if image.mode == "L":
        return image, _unlike(image, _grey_key(key, data)) if isinstance(key, int) else None
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    rgba = image.convert("RGBA")
    colours = rgba.getchannel("R") if image.mode == "1" else Image.merge("RGB", rgba.split()[:3])
    return colours, rgba.getchannel("A")


def _grey_key(key: int, data: bytes) -> int:
    """PNG third edition §11.3.1.1: the key is in the file's samples, which Pillow spreads over 0..255."""
    depth, _ = depth_and_colour(data)
    most = (1 << depth) - 1 if 0 < depth < 8 else 255
    return (key & most) * 255 // most


def _unlike(image: Image.Image, key: int | tuple[int, ...]) -> Image.Image:
    """Opaque everywhere but where the picture has exactly this colour."""
    keys = key if isinstance(key, tuple) else (key,)
    hidden = None
    for channel, one in zip(image.split(), keys, strict=True):
        same = channel.point([255 if level == one & 255 else 0 for level in range(256)])
        hidden = ImageChops.multiply(hidden, same) if hidden else same
    assert hidden is not None
    return ImageChops.invert(hidden)


def cover(alpha: Image.Image | None, valid: np.ndarray | None) -> Image.Image | None:
    """Opacity, and none of it where a sample is no value."""
    if valid is None or valid.all():
        return alpha
    shown = Image.fromarray(np.where(valid, 255, 0).astype(np.uint8))
    return shown if alpha is None else ImageChops.darker(alpha, shown)


def _raw_mode(tile: object) -> str:
    args = getattr(tile, "args", None)
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _renamed(args: object, raw_mode: str) -> object:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode
