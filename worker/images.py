"""An upload's bytes become an upright RGBA picture, whatever its format, mode, bit depth or colour profile.

It neither finds the object in the picture nor scales it; a generator does that.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import ExifTags, Image, ImageChops

from jobs.errors import BadImage, JobError
from jobs.picture_png import has_damaged_pixels
from jobs.pictures import open_picture
from jobs.requests import Notice
from worker.decoding.colour import to_srgb
from worker.decoding.opacity import cover, divided, split_opacity, without_division
from worker.decoding.samples import key_of_wide_colours, wide_samples

SAMPLES = "samples"  # in the `info` of a decoded picture: see `decode`
_MAX_EXIF_BYTES = 1 << 20
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.32 §4.6.4, tag 0x0112
_UPRIGHT_SAMPLES = {
    2: np.fliplr,
    3: lambda samples: np.rot90(samples, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda samples: np.rot90(samples, -1),
    7: lambda samples: np.rot90(samples, 2).T,
    8: np.rot90,
}


def decode(data: bytes, *, max_megapixels: float, working_px: int | None = None) -> Image.Image:
    """The picture as upright 8-bit RGBA in sRGB.

    A picture of grey with more than 8 bits has its samples in `info["samples"]`: an array of the file's own numbers,
    (height, width), as upright as the picture; opacity is zero where the file says that a sample is no value.

    With `working_px` a JPEG larger than that may come back at 1/2, 1/4 or 1/8 of its size, its shorter side still
    at least `working_px` where it was: that saves memory and time and loses nothing the caller would keep.

    Raises:
        BadImage: not a picture, animated, cut off or damaged.
        ImageTooLarge: more pixels than `max_megapixels` (MAX_IMAGE_MP); found before anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged tag or a deprecated mode is no news to an operator
            image = _loaded(open_picture(data, max_megapixels=max_megapixels), working_px)
            rgba, samples = _to_rgba(image, data)
            orientation = _orientation(image)
            upright = _upright(rgba, orientation)
            if samples is not None:
                turn = _UPRIGHT_SAMPLES.get(orientation, np.asarray)
                upright.info[SAMPLES] = np.ascontiguousarray(turn(samples))
            return upright
    except JobError:
        raise
    except Exception as error:  # decoders raise whatever their parsers trip over; for the caller it is one thing
        reason = str(error).strip() or type(error).__name__
        raise BadImage(f"the picture is cut off or damaged and cannot be decoded: {reason}; send it whole") from error


def notices_of(data: bytes) -> tuple[Notice, ...]:
    """What a person should know of a picture that was decoded."""
    if not has_damaged_pixels(data):
        return ()
    message = "the picture's checksum is wrong: parts of it may be damaged; send it again if the mesh looks wrong"
    return (Notice(code="damaged_picture", message=message),)


def _loaded(image: Image.Image, working_px: int | None) -> Image.Image:
    if working_px is not None:
        image.draft(image.mode, (working_px, working_px))
    covered = image.tile[0].extents if image.format == "GIF" and image.tile else None
    stored = without_division(image)
    image.load()
    if stored:
        return divided(image)
    if covered and covered != (0, 0, *image.size):
        return _only(image, covered)
    return image


def _only(image: Image.Image, covered: tuple[int, int, int, int]) -> Image.Image:
    """A GIF whose picture is smaller than its screen shows nothing around it (GIF89a §18)."""
    rgba = image.convert("RGBA")
    shown = Image.new("L", image.size, 0)
    shown.paste(255, covered)
    rgba.putalpha(ImageChops.darker(rgba.getchannel("A"), shown))
    rgba.format = image.format
    return rgba


def _to_rgba(image: Image.Image, data: bytes) -> tuple[Image.Image, np.ndarray | None]:
    """The picture as it is shown, and its samples where they have more than 8 bits."""
    samples = wide_samples(image, data)
    if samples and not samples.beside_colours:
        colours, alpha = samples.grey(), cover(None, samples.valid)
    else:
        colours, alpha = split_opacity(image, data)
        alpha = key_of_wide_colours(image, data) or alpha
    rgb = to_srgb(colours, data, image.info.get("icc_profile"))
    if alpha is None:
        rgba = rgb.convert("RGBA")
    else:
        rgb.putalpha(alpha)
        rgba = rgb
    rgba.info.clear()
    return rgba, samples.values if samples else None


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
