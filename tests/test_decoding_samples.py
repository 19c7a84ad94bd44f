"""Heights of more than 8 bits reach a generator as the file has them, and are shown in grey beside that."""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from jobs.errors import BadImage
from jobs.pictures import check_picture
from tests.pictures import encoded
from tests.test_decoding_opacity import png, tiff
from worker.images import SAMPLES, decode

HEIGHTS = (np.arange(96).reshape(8, 12) * 97 + 236).astype(np.uint16)


def samples(data: bytes) -> np.ndarray:
    check_picture(data, max_megapixels=1)
    image = decode(data, max_megapixels=1)
    found = image.info[SAMPLES]
    assert image.mode == "RGBA" and found.shape == image.size[::-1]
    return found


KINDS = ["uint16", "int16", "uint32", "int32", "float32", "float64"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("shift", [0, 1000])
def test_a_tiff_keeps_every_number(kind: str, order: str, compression: str | None, shift: int) -> None:
    values = HEIGHTS.astype(np.int64)
    if kind[0] in "if" and shift:
        values -= 3 * shift
    if kind == "uint32" and shift:
        values = values * 60_000 + 3_000_000_000
    values = (values / 7 if kind[0] == "f" else values).astype(kind)
    found = samples(tiff(values, byteorder=order, compression=compression))
    assert np.array_equal(found, values.astype(found.dtype))


def test_numbers_in_tiles_with_a_predictor_are_kept() -> None:
    wide = np.tile(HEIGHTS, (4, 4))
    assert np.array_equal(samples(tiff(wide, tile=(16, 16), compression="zlib", predictor=2)), wide)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_where_white_is_zero_high_numbers_are_low(kind: str, order: str) -> None:
    found = samples(tiff(HEIGHTS.astype(kind), photometric="miniswhite", byteorder=order)).astype(int)
    assert np.array_equal(found - found.min(), HEIGHTS.max() - HEIGHTS.astype(int))


def pgm(most: int) -> bytes:
    return b"P5\n12 8\n%d\n" % most + np.minimum(HEIGHTS, most).astype(">u2").tobytes()


@pytest.mark.parametrize("most", [1023, 4095, 10_000, 65_535])
def test_a_pgm_keeps_its_steps(most: int) -> None:
    found = samples(pgm(most)).astype(float) * most / 65_535
    assert np.abs(found - np.minimum(HEIGHTS, most)).max() <= 0.5


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_pfm_is_upright_and_exact(order: str) -> None:
    values = HEIGHTS / np.float32(3.7)
    data = b"Pf\n12 8\n%d.0\n" % (-1 if order == "<" else 1) + values[::-1].astype(order + "f4").tobytes()
    assert np.array_equal(samples(data), values.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_keeps_sixteen_bits_in_every_kind_of_grey(channels: int) -> None:
    values = HEIGHTS[..., None].repeat(channels, axis=2)
    if channels in (2, 4):
        values[..., -1] = 65_535
    assert np.array_equal(samples(png(values, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels])), HEIGHTS)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_three_equal_channels_is_grey(order: str) -> None:
    assert np.array_equal(samples(tiff(HEIGHTS[..., None].repeat(3, 2), photometric="rgb", byteorder=order)), HEIGHTS)


def test_colours_of_sixteen_bits_are_no_heights() -> None:
    values = np.stack([HEIGHTS, HEIGHTS[::-1], HEIGHTS], axis=2)
    assert SAMPLES not in decode(png(values, 16, 2), max_megapixels=1).info
    assert SAMPLES not in decode(encoded(Image.new("L", (4, 4))), max_megapixels=1).info


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_numbers_are_turned_with_the_picture(kind: str, orientation: int) -> None:
    if kind == "TIFF":
        data = tiff(HEIGHTS, extratags=[(274, "H", 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(HEIGHTS), exif=exif)
    image = decode(data, max_megapixels=1)
    found = image.info[SAMPLES]
    assert np.abs(found / 257 - np.asarray(image)[..., 0]).max() <= 0.51
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert found[corner[orientation]] == HEIGHTS[0, 0] and found.shape == ((8, 12) if orientation < 5 else (12, 8))


@pytest.mark.parametrize("mark", ["-9999", "-3.4e38", "nan"])
def test_what_stands_for_no_value_is_transparent(mark: str) -> None:
    values = HEIGHTS.astype(np.float32)
    values[:2] = float(mark)
    found = np.asarray(decode(tiff(values, extratags=[(42113, "s", 0, mark, True)]), max_megapixels=1))
    assert (found[:2, :, 3] == 0).all() and (found[2:, :, 3] == 255).all()
    assert found[2, 0, 0] == 0 and found[-1, -1, 0] == 255


def test_a_transparent_height_of_a_png_is_none() -> None:
    data = encoded(Image.fromarray(HEIGHTS), transparency=int(HEIGHTS[0, 0]))
    assert np.argwhere(np.asarray(decode(data, max_megapixels=1))[..., 3] == 0).tolist() == [[0, 0]]


@pytest.mark.parametrize("most", [0.5, 1.0, 1.02, 8.0, 255.0, 300.0, 70_000.0])
def test_floats_beyond_one_are_shown_from_lowest_to_highest(most: float) -> None:
    grey = np.asarray(decode(tiff(np.linspace(0, most, 64, dtype=np.float32).reshape(8, 8)), max_megapixels=1))[..., 0]
    assert grey.min() == 0 and grey.max() == (128 if most == 0.5 else 255)


def test_opencv_is_silent_about_what_it_cannot_read(capfd: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(HEIGHTS).save(buffer, "TIFF", compression="tiff_lzw")
    whole = bytearray(buffer.getvalue())
    whole[whole.index(struct.pack("<HHIHH", 258, 3, 1, 16, 0)) + 8] = 12
    with contextlib.suppress(BadImage):
        decode(bytes(whole), max_megapixels=1)
    assert "ERROR" not in capfd.readouterr().err
