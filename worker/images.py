"""An upload's bytes become an upright RGBA picture, whatever its format, mode, bit depth or colour profile.

It neither finds the object in the picture nor scales it; a generator does that.
"""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageCms

from jobs.errors import BadImage, JobError
from jobs.pictures import open_picture

_MAX_PROFILE_BYTES = 4 << 20
_MAX_EXIF_BYTES = 1 << 20
# Of any number of steps (ICC.1:2022 §10.16), each worked through for every colour of a table: minutes. Cameras and
# programs write profiles of a few tables and curves.
_ENDLESS_ELEMENTS = b"mpet"
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_PROFILE_SPACE = {"CMYK": "CMYK", "RGB": "RGB", "RGBA": "RGB", "LAB": "Lab"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.32 §4.6.4, tag 0x0112


def decode(data: bytes, *, max_megapixels: float, working_px: int | None = None) -> Image.Image:
    """The picture as upright 8-bit RGBA in sRGB.

    With `working_px` a JPEG larger than that may come back at 1/2, 1/4 or 1/8 of its size, its shorter side still
    at least `working_px` where it was: that saves memory and time and loses nothing the caller would keep.

    Raises:
        BadImage: not a picture, animated, cut off or damaged.
        ImageTooLarge: more pixels than `max_megapixels` (MAX_IMAGE_MP); found before anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged tag or a deprecated mode is no news to an operator
            image = open_picture(data, max_megapixels=max_megapixels)
            if working_px is not None:
                image.draft(image.mode, (working_px, working_px))
            image.load()
            return _upright(_to_rgba(image), _orientation(image))
    except JobError:
        raise
    except Exception as error:  # decoders raise whatever their parsers trip over; for the caller it is one thing
        reason = str(error).strip() or type(error).__name__
        raise BadImage(f"the picture is cut off or damaged and cannot be decoded: {reason}; send it whole") from error


def _to_rgba(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _from_samples(image)
    if image.mode in _PROFILE_SPACE:
        image = _to_srgb(image)
    rgba = image.convert("RGBA")
    rgba.info.clear()
    return rgba


def _from_samples(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, scaled to 8; Pillow's own conversion would clip at 255."""
    samples = np.asarray(image, dtype=np.float32)
    finite = np.isfinite(samples)
    if not finite.all():
        samples = np.where(finite, samples, 0)
    low, high = _sample_range(image, float(samples.min()), float(samples.max()))
    grey = np.rint((samples - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    rgba = Image.fromarray(grey).convert("RGBA")
    hidden = image.info.get("transparency")  # PNG tRNS: one grey level that is see-through
    if isinstance(hidden, int):
        rgba.putalpha(Image.fromarray(np.where(samples == hidden, 0, 255).astype(np.uint8)))
    return rgba


def _sample_range(image: Image.Image, low: float, high: float) -> tuple[float, float]:
    """Values that stand for black and white: the format's own where it has them, else guessed from the extremes."""
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        return 0, 65535
    for white in (1, 255, 65535):
        if low >= 0 and high <= white and (image.mode == "F" or white > 1):
            return 0, white
    return low, high if high > low else low + 1


def _to_srgb(image: Image.Image) -> Image.Image:
    """Colours by the embedded profile; one that is broken or of another colour space is ignored, as browsers do."""
    profile = _embedded_profile(image)
    if profile is None:
        return image
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        colours = ImageCms.profileToProfile(image.convert("RGB") if alpha else image, profile, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    assert colours is not None
    if alpha:
        colours.putalpha(alpha)
    elif "transparency" in image.info:
        return image  # a see-through colour is named in the file's own numbers
    return colours


def _embedded_profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    if image.mode == "LAB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    blob = image.info.get("icc_profile")
    if not isinstance(blob, bytes) or not 0 < len(blob) <= _MAX_PROFILE_BYTES or _ENDLESS_ELEMENTS in blob:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(blob))
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if space != _PROFILE_SPACE[image.mode] or _is_named_srgb(blob):
        return None
    return profile


def _is_named_srgb(profile: bytes) -> bool:
    """Whether its description (ICC.1:2022 §7.3, §9.2.41) speaks of sRGB.

    Not asked of Little CMS, which believes the lengths that a text claims: 600 bytes may take hundreds of megabytes.
    """
    (tags,) = struct.unpack_from(">I", profile, 128)
    table = profile[132 : 132 + 12 * min(tags, 100)]
    for name, offset, size in struct.iter_unpack(">4sII", table[: len(table) // 12 * 12]):
        if name == b"desc":
            words = profile[offset : offset + min(size, 1000)]
            return b"sRGB" in words or "sRGB".encode("utf-16-be") in words
    return False


def _orientation(image: Image.Image) -> int:
    if len(image.info.get("exif", b"")) > _MAX_EXIF_BYTES:
        return 1  # a tag of millions of numbers
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a broken EXIF block is no reason to refuse a picture that decodes
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)
