"""What may be said of an upload before it is decoded: its format and its size in pixels.

It reads headers only, so a bomb of an image costs microseconds; decoding is the worker's business.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import (  # the plug-ins by name: Pillow would otherwise load all of them, at the first upload
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from jobs.errors import BadImage, ImageTooLarge

_TAKEN = (
    PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile, WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile, BmpImagePlugin.BmpImageFile, TiffImagePlugin.TiffImageFile,
    PpmImagePlugin.PpmImageFile,
)  # fmt: skip
PICTURE_FORMATS = tuple(plugin.format for plugin in _TAKEN)


@dataclass(frozen=True)
class PictureHeader:
    """Format and size as the file claims them."""

    format: str
    width_px: int
    height_px: int


def open_picture(data: bytes, *, max_megapixels: float) -> Image.Image:
    """The picture, opened but not yet decoded, once its header is within the limits.

    Raises:
        BadImage: empty, not a picture, a format not taken, or animated.
        ImageTooLarge: more pixels than `max_megapixels` (MAX_IMAGE_MP).
    """
    if not data:
        raise BadImage("the image is empty; send the bytes of a PNG, JPEG or WebP file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=PICTURE_FORMATS)
            _check_size(image.size, max_megapixels)
            frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    except UnidentifiedImageError:
        raise BadImage(f"not a picture that can be read; formats taken: {', '.join(PICTURE_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise ImageTooLarge(
            f"the picture's header claims far over {max_megapixels:g} megapixels (MAX_IMAGE_MP)"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, OverflowError) as error:
        raise BadImage(f"the picture is broken: {error}") from None
    if frames > 1:
        raise BadImage(f"the picture is animated ({frames} frames); send one frame")
    return image


def check_picture(data: bytes, *, max_megapixels: float) -> PictureHeader:
    """Header of an acceptable upload; a PNG's chunks are checked too, which finds a truncated one without decoding.

    Raises:
        BadImage, ImageTooLarge: as `open_picture`.
    """
    image = open_picture(data, max_megapixels=max_megapixels)
    header = PictureHeader(image.format or "", *image.size)
    if image.format == "PNG":
        try:
            image.verify()
        except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
            raise BadImage(f"the picture is broken: {error}") from None
    return header


def _check_size(size_px: tuple[int, int], max_megapixels: float) -> None:
    width, height = size_px
    if width * height > max_megapixels * 1e6:
        raise ImageTooLarge(
            f"the picture is {width} × {height} = {width * height / 1e6:.1f} megapixels;"
            f" the limit is {max_megapixels:g} (MAX_IMAGE_MP)"
        )
