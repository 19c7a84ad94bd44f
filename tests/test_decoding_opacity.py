"""What a format marks as transparent is transparent, and what only looks like such a mark is not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.pictures import encoded
from tests.security.mutations import SIGNATURE, chunk
from worker.images import decode


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, max_megapixels=1)).astype(int)


def tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def png(samples: np.ndarray, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Samples (height, width, channels) as numbers of the file; PNG third edition §11.2.1."""
    height, width = samples.shape[:2]
    wide = samples.astype(">u2").view(np.uint8).reshape(height, width, -1, 2)
    bits = np.unpackbits(wide, axis=-1).reshape(height, -1, 16)[..., 16 - depth :]
    rows = b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return SIGNATURE + head + b"".join(chunk(*one) for one in chunks) + body


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_grey_that_a_png_calls_transparent_is_so_at_every_depth(depth: int) -> None:
    most = (1 << depth) - 1
    values = np.array([[0, most, most // 2, most - most // 4]]).T[..., None].repeat(8, axis=1)
    for key in np.unique(values):
        alpha = pixels(png(values, depth, 0, (b"tRNS", struct.pack(">H", key))))[..., 3]
        assert np.array_equal(alpha == 0, values[..., 0] == key)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [True, False])
def test_the_colour_that_a_png_calls_transparent_is_exactly_that_one(depth: int, grey: bool) -> None:
    most = (1 << depth) - 1
    key = (most // 2,) * 3 if grey else (most // 2, 3, most)
    values = np.full((8, 8, 3), key)
    values[:, 4:] += 1 if grey else (0, 1, 0)  # in 8 of 16 bits it is the same colour
    alpha = pixels(png(values, depth, 2, (b"tRNS", struct.pack(">3H", *key))))[..., 3]
    assert (alpha[:, :4] == 0).all() and (alpha[:, 4:] == 255).all()


def test_each_entry_of_a_palette_has_its_own_opacity() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    found = pixels(encoded(image, transparency=bytes((0, 128))))
    assert found[0, :, 3].tolist() == [0, 128, 255] and found[0, 1, :3].tolist() == [40, 50, 60]


@pytest.mark.parametrize("colour", [4, 6])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_channel_of_opacity_is_kept(depth: int, colour: int) -> None:
    most = (1 << depth) - 1
    values = np.full((4, 4, 2 if colour == 4 else 4), most * 3 // 4)
    values[..., -1] = np.arange(4) * (most // 3)
    found = pixels(png(values, depth, colour))
    assert np.abs(found[0, :, 3] - [0, 85, 170, 255]).max() <= 1 and abs(found[0, 1, 0] - 191) <= 1


def test_a_gif_keeps_its_transparent_colour_and_shows_nothing_around_its_picture() -> None:
    image = Image.new("P", (10, 10), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(0, (0, 0, 4, 4))
    assert (pixels(encoded(image, "GIF", transparency=0))[..., 3] == 0).sum() == 16
    larger = bytearray(encoded(image, "GIF"))
    larger[6:10] = struct.pack("<HH", 20, 16)
    found = pixels(bytes(larger))
    assert found.shape == (16, 20, 4) and (found[:10, :10, 3] == 255).all() and found[..., 3].sum() == 100 * 255


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 90}], ids=["lossless", "lossy"])
def test_webp_keeps_opacity(options: dict[str, object]) -> None:
    image = Image.new("RGBA", (16, 16), (200, 100, 50, 255))
    image.paste((9, 9, 9, 0), (0, 0, 8, 16))
    image.paste((200, 100, 50, 128), (8, 0, 12, 16))
    assert pixels(encoded(image, "WEBP", **options))[8, [4, 10, 14], 3].tolist() == [0, 128, 255]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_opacity_in_a_tiff_is_straight_multiplied_or_none(order: str, compression: str | None) -> None:
    how = {"photometric": "rgb", "byteorder": order, "compression": compression}
    straight = np.full((4, 4, 4), (200, 100, 50, 128), np.uint8)
    multiplied = np.full((4, 4, 4), (100, 50, 25, 128), np.uint8)
    for samples, kind in ((straight, "unassalpha"), (multiplied, "assocalpha")):
        found = pixels(tiff(samples, extrasamples=[kind], **how))[0, 0]
        assert np.abs(found - (200, 100, 50, 128)).max() <= 2, kind
    assert pixels(tiff(straight, extrasamples=["unspecified"], **how))[0, 0].tolist() == [200, 100, 50, 255]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_that_wrongly_claims_multiplied_colours_keeps_them(compression: str | None) -> None:
    straight = np.full((4, 4, 4), (200, 100, 50, 128), np.uint8)
    straight[0] = (250, 240, 230, 0)
    found = pixels(tiff(straight, photometric="rgb", extrasamples=["assocalpha"], compression=compression))
    assert found[1, 1].tolist() == [200, 100, 50, 128] and found[0, 0, 3] == 0


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_grey_with_opacity_in_a_tiff(kind: str) -> None:
    samples = np.full((4, 4, 2), (50, 128), np.uint8)
    found = pixels(tiff(samples, photometric="minisblack", extrasamples=[kind]))[0, 0]
    assert abs(found[0] - (50 if kind == "unassalpha" else 99)) <= 1 and found[3] == 128


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_a_tiff_whose_opacity_is_zero_everywhere_is_opaque(kind: str) -> None:
    samples = np.full((4, 4, 4), (200, 100, 50, 0), np.uint8)
    assert pixels(tiff(samples, photometric="rgb", extrasamples=[kind]))[0, 0].tolist() == [200, 100, 50, 255]


def bmp(fourth: list[int], *, masked: bool) -> bytes:
    """One row of 32-bit pixels of one colour; with masks for all four channels (BITMAPV4HEADER), or with none."""
    row = b"".join(bytes((50, 100, 200, one)) for one in fourth)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) if masked else b""
    size = 108 if masked else 40
    head = struct.pack("<IiiHHIIiiII", size, len(fourth), 1, 1, 32, 3 if masked else 0, len(row), 2835, 2835, 0, 0)
    head += masks + (b"BGRs" + bytes(48) if masked else b"")
    return struct.pack("<2sIHHI", b"BM", 14 + size + len(row), 0, 0, 14 + size) + head + row


def test_a_bmp_is_transparent_where_a_mask_says_so() -> None:
    found = pixels(bmp([0, 128, 255], masked=True))
    assert found[0, :, 3].tolist() == [0, 128, 255] and found[0, 2, :3].tolist() == [200, 100, 50]


@pytest.mark.parametrize(("fourth", "masked"), [([0, 0, 0], False), ([0, 0, 0], True), ([0, 7, 255], False)])
def test_a_bmp_whose_fourth_byte_means_nothing_is_opaque(fourth: list[int], masked: bool) -> None:
    assert pixels(bmp(fourth, masked=masked))[0].tolist() == [[200, 100, 50, 255]] * 3


@pytest.mark.parametrize("top_down", [False, True])
def test_a_bmp_of_sixteen_bits_may_have_one_for_opacity(top_down: bool) -> None:
    rows = np.array([[0x8000, 0x7C00, 0xFC00], [0x0000, 0x83E0, 0x001F]], "<u2")
    body = b"".join(row.tobytes() + bytes(2) for row in (rows if top_down else rows[::-1]))
    head = struct.pack("<IiiHHIIiiII", 56, 3, -2 if top_down else 2, 1, 16, 3, len(body), 2835, 2835, 0, 0)
    head += struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, 0x8000)
    found = pixels(struct.pack("<2sIHHI", b"BM", 70 + len(body), 0, 0, 70) + head + body)
    assert found[..., 3].tolist() == [[255, 0, 255], [0, 255, 0]]
    assert found[0, 2].tolist() == [255, 0, 0, 255] and found[1, 1].tolist() == [0, 255, 0, 255]


def test_a_png_that_is_transparent_everywhere_shows_nothing() -> None:
    assert pixels(encoded(Image.new("RGBA", (4, 4), (200, 100, 50, 0))))[..., 3].max() == 0
