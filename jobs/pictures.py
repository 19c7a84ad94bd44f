"""What may be said of an upload before it is decoded: its format and its size in pixels.

It reads headers only, so a bomb of an image costs microseconds; decoding is the worker's business.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from PIL import (  # the plug-ins by name: Pillow would otherwise load all of them, at the first upload
    AvifImagePlugin,
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

from jobs.errors import BadImage, ImageTooLarge, JobError
from jobs.picture_bounds import BoundedReader, TooManyParts, check_decoders, check_jpeg
from jobs.picture_png import SIGNATURE, check_png
from jobs.picture_tiff import SeveralPages, check_pages, check_tiff

_TAKEN = (
    PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile, WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile, BmpImagePlugin.BmpImageFile, TiffImagePlugin.TiffImageFile,
    PpmImagePlugin.PpmImageFile, *([AvifImagePlugin.AvifImageFile] if AvifImagePlugin.SUPPORTED else []),
)  # fmt: skip
PICTURE_FORMATS = tuple(str(plugin.format) for plugin in _TAKEN)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO/IEC 23008-12 annex B


@dataclass(frozen=True)
class PictureHeader:
    """Format and size as the file claims them."""

    format: str
    width_px: int
    height_px: int


def open_picture(data: bytes, *, max_megapixels: float) -> Image.Image:
    """The picture, opened but not yet decoded, once its header is within the limits.

    Raises:
        BadImage: empty, not a picture, a format not taken, animated, or of several pages.
        ImageTooLarge: more pixels than `max_megapixels` (MAX_IMAGE_MP).
    """
    image, source = _opened(data, max_megapixels)
    source.trust()
    return image


def check_picture(data: bytes, *, max_megapixels: float) -> PictureHeader:
    """Header of an acceptable upload; a PNG's chunks are checked too, which finds a truncated one without decoding.

    Raises:
        BadImage, ImageTooLarge: as `open_picture`.
    """
    if data.startswith(SIGNATURE):
        check_png(data)
    image, _ = _opened(data, max_megapixels)
    return PictureHeader(image.format or "", *image.size)


def _opened(data: bytes, max_megapixels: float) -> tuple[Image.Image, BoundedReader]:
    if not data:
        raise BadImage("the image is empty; send the bytes of a PNG, JPEG or WebP file")
    source = BoundedReader(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_tiff(data)
            image = Image.open(source, formats=PICTURE_FORMATS)
            _check_size(image.size, max_megapixels)
            # Not n_frames: that walks through all of them. What an MPO holds beside its picture is no later moment.
            animated = getattr(image, "is_animated", False) and image.format not in ("MPO", "TIFF")
            check_pages(data)
            if image.format in ("JPEG", "MPO"):
                check_jpeg(data)
            check_decoders(image.tile, len(data))
    except UnidentifiedImageError:
        raise BadImage(f"{_what_it_is(data)}; formats taken: {', '.join(PICTURE_FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(f"the picture claims far over {max_megapixels:g} megapixels (MAX_IMAGE_MP)") from None
    except JobError:
        raise
    except SeveralPages as error:
        raise BadImage(str(error)) from None
    except TooManyParts as error:
        raise BadImage(f"the picture is not taken: {error}") from None
    except Exception as error:  # parsers raise whatever they trip over; for the caller it is one thing
        raise _broken(error) from None
    if animated:
        raise BadImage("the picture is animated; send one frame")
    return image, source


def _what_it_is(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return "a HEIC picture is not taken, save it as JPEG"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF of such samples is not taken, save it with 8 or 16 bits, or as 32-bit floats of one channel"
    return "not a picture that can be read"


def _broken(error: Exception) -> BadImage:
    return BadImage(f"the picture is broken: {str(error).strip() or type(error).__name__}")


def _check_size(size_px: tuple[int, int], max_megapixels: float) -> None:
    width, height = size_px
    if width * height > max_megapixels * 1e6:
        raise ImageTooLarge(
            f"the picture is {width} × {height} = {width * height / 1e6:.1f} megapixels;"
            f" the limit is {max_megapixels:g} (MAX_IMAGE_MP)"
        )
