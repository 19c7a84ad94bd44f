"""Colours as the file says they are meant, in sRGB: an embedded profile, or what a PNG's chunks say instead.

It does not touch opacity. A description that is broken or of another colour space is ignored, as browsers do.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from worker.decoding.avif import code_points
from worker.decoding.coded import cicp_profile, coded_profile, gamma_profile
from worker.decoding.png import chunks_before_pixels
from worker.decoding.profiles import only_colour

_PROFILE_LIMIT_BYTES = 4 << 20
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_MODES = {"RGB": ("RGB", "L"), "GRAY": ("L",), "CMYK": ("CMYK",)}  # of pictures, by the space of a profile
_SAME = 1  # levels of 255 by which a profile may differ from sRGB and still be called that


def to_srgb(image: Image.Image, data: bytes, embedded: object) -> Image.Image:
    """RGB in sRGB of a picture without opacity (`L`, `RGB`, `CMYK` or `LAB`).

    `data` is the file it came from and `embedded` the ICC profile that Pillow found in it.
    """
    if image.mode == "LAB":
        changed = _changed(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
        return changed or image.convert("RGB")
    for blob in _descriptions(data, embedded):
        profile, mode = _usable(blob, image.mode)
        if profile is None:
            continue
        if mode != "CMYK" and _is_srgb(profile, mode):
            break
        changed = _changed(image.convert(mode), profile)
        if changed:
            return changed
    return image.convert("RGB")


def _descriptions(data: bytes, embedded: object) -> list[bytes]:
    """Profiles by precedence, the first usable one holds: cICP, iCCP, sRGB, gAMA and cHRM (PNG third edition §4.3).

    An AVIF has code points where it has no profile.
    """
    chunks = chunks_before_pixels(data)
    found: list[object] = [cicp_profile(chunks[b"cICP"])] if b"cICP" in chunks else []
    found.append(embedded)
    if b"sRGB" in chunks:
        found.append(_SRGB.tobytes())
    elif (points := code_points(data)) is not None:
        found.append(coded_profile(*points))
    elif chunks:
        found.append(gamma_profile(chunks.get(b"gAMA"), chunks.get(b"cHRM")))
    return [one for one in found if isinstance(one, bytes) and 0 < len(one) <= _PROFILE_LIMIT_BYTES]


def _usable(blob: bytes, mode: str) -> tuple[ImageCms.ImageCmsProfile | None, str]:
    """The profile, and the mode in which the picture goes through it."""
    cut = only_colour(blob)
    if cut is None:
        return None, mode
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(cut))
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None, mode
    modes = _MODES.get(space, ())
    return (profile, modes[0]) if mode in modes else (None, mode)


def _changed(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image | None:
    try:
        return ImageCms.profileToProfile(image, profile, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether colours come through as they are; the profile's name is not asked."""
    sample = _sample(mode)
    changed = _changed(sample, profile)
    if changed is None:
        return False
    before, after = np.asarray(sample.convert("RGB")).astype(int), np.asarray(changed).astype(int)
    return int(np.abs(after - before).max()) <= _SAME


@cache
def _sample(mode: str) -> Image.Image:
    """All greys, and for RGB a lattice of colours."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    lattice = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * 3), axis=-1).reshape(-1, 3)
    return Image.fromarray(np.concatenate([greys, lattice])[None])
