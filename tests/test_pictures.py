"""Uploads are judged by their headers, in microseconds, whatever they claim."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from jobs.errors import BadImage, ImageTooLarge
from jobs.pictures import PictureHeader, check_picture


def png(width: int = 8, height: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def bomb(side: int = 50_000) -> bytes:
    """A few kilobytes that claim 2.5 gigapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 4096))
        + chunk(b"IEND", b"")
    )


def animated_gif() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_an_ordinary_picture_passes() -> None:
    assert check_picture(png(8, 6), max_megapixels=1) == PictureHeader("PNG", 8, 6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is no picture, whatever its name says", "not a picture"),
        (png()[:-20], "broken"),
        (png()[:20], "picture"),
        (animated_gif(), "animated"),
    ],
    ids=["empty", "text", "truncated", "header only", "animated"],
)
def test_what_is_no_single_picture_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words):
        check_picture(data, max_megapixels=1)


def test_a_bomb_is_refused_before_decoding() -> None:
    started = time.perf_counter()
    with pytest.raises(ImageTooLarge, match="MAX_IMAGE_MP"):
        check_picture(bomb(), max_megapixels=64)
    assert time.perf_counter() - started < 0.1


def test_the_limit_is_the_setting_not_the_library() -> None:
    with pytest.raises(ImageTooLarge):
        check_picture(png(200, 100), max_megapixels=0.01)
    assert check_picture(bomb(13_000), max_megapixels=200).width_px == 13_000
