"""What decoders leave to us: transparency keys, wide samples, colour profiles, EXIF in every format, damage."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from jobs.errors import BadImage, ImageTooLarge
from tests.pictures import encoded
from worker.images import decode

# What undoes each EXIF orientation, so that applying the orientation gives the upright picture again.
STORED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}

# A directory of one entry: Orientation as the text "left".
ORIENTED_LEFT = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04left\0\0\0\0"


def pixels(data: bytes) -> np.ndarray:
    image = decode(data, max_megapixels=4)
    assert image.mode == "RGBA"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("mode", "hidden", "shown", "key"),
    [
        ("L", 7, 200, 7),
        ("RGB", (1, 2, 3), (9, 8, 7), (1, 2, 3)),
        ("1", 0, 1, 0),
        ("I;16", 300, 60_000, 300),
    ],
    ids=["grey", "colour", "one bit", "sixteen bits"],
)
def test_the_colour_that_a_png_calls_transparent_is_transparent(
    mode: str, hidden: object, shown: object, key: object
) -> None:
    image = Image.new(mode, (4, 4), shown)
    image.putpixel((0, 0), hidden)
    alpha = pixels(encoded(image, "PNG", transparency=key))[..., 3]
    assert alpha[0, 0] == 0
    assert alpha.sum() == 15 * 255


def test_sixteen_bits_in_a_tiff_and_a_pgm_are_scaled_too() -> None:
    values = Image.fromarray(np.array([[0, 1000, 32768, 65535]], np.uint16))
    for kind in ("TIFF", "PPM"):
        assert np.abs(pixels(encoded(values, kind))[0, :, 0] - [0, 4, 128, 255]).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 128, 255], [0, 128, 255]),
        ([0, 30_000, 65_535], [0, 117, 255]),
        ([-10, 0, 10], [0, 128, 255]),
        ([np.nan, 0.5, np.inf], [0, 128, 0]),
        ([-5, -5, -5], [0, 0, 0]),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
    ids=["0 to 1", "0 to 255", "0 to 65535", "below zero", "not finite", "all the same", "enormous"],
)
def test_float_samples_are_spread_over_what_can_be_seen(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert np.abs(pixels(encoded(image, "TIFF"))[0, :, 0] - expected).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_once_in_every_format(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste((255, 0, 0), (0, 0, 16, 16))
    how = STORED[orientation]
    stored = upright if how is None else upright.transpose(Image.Transpose(how))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(encoded(stored, kind, exif=exif))
    assert found.shape[:2] == (32, 64)
    assert np.abs(found[6, 6, :3] - (255, 0, 0)).max() < 30
    assert found[26, 58, :3].min() > 220


@pytest.mark.parametrize(
    "block",
    [b"no TIFF at all", b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x05\x01\x12", ORIENTED_LEFT],
    ids=["no header", "no directory", "cut off", "a word for a number"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_exif_block_spoils_nothing_and_warns_nobody(kind: str, block: bytes) -> None:
    broken = encoded(Image.new("RGB", (8, 4), "red"), kind, exif=b"Exif\0\0" + block)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert pixels(broken).shape == (4, 8, 4)
    assert not heard


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_embedded_profile_is_applied(mode: str) -> None:
    image = Image.new(mode, (8, 8), (200, 100, 50, 77)[: len(mode)])
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (pixels(encoded(image, icc_profile=srgb))[0, 0, :3] == (200, 100, 50)).all()
    other = srgb.replace(b"sRGB", b"gBRs").replace("sRGB".encode("utf-16-be"), "gBRs".encode("utf-16-be"))
    swapped = swap_primaries(other)
    found = pixels(encoded(image, icc_profile=swapped))[0, 0]
    assert found[2] > found[0] + 60, "red and blue have changed places"
    assert found[3] == (77 if mode == "RGBA" else 255)


def swap_primaries(profile: bytes) -> bytes:
    """The profile with the tags of red and blue exchanged (ICC.1:2022 §9.2)."""
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("profile", [b"\0", b"no profile at all" * 20, b"\xff" * 5000], ids=["byte", "text", "noise"])
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    image = Image.new("RGB", (4, 4), (10, 200, 30))
    assert (pixels(encoded(image, icc_profile=profile))[0, 0, :3] == (10, 200, 30)).all()


def test_a_jpeg_may_come_back_smaller_but_not_below_what_is_asked() -> None:
    photo = encoded(Image.new("RGB", (1600, 900), "navy"), "JPEG")
    assert decode(photo, max_megapixels=4).size == (1600, 900)
    assert decode(photo, max_megapixels=4, working_px=400).size == (800, 450)
    assert decode(photo, max_megapixels=4, working_px=1000).size == (1600, 900)
    assert decode(encoded(Image.new("RGB", (1600, 900))), max_megapixels=4, working_px=100).size == (1600, 900)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
def test_a_damaged_file_is_a_picture_or_a_bad_one_and_nothing_else(kind: str) -> None:
    dice = np.random.default_rng(5)
    whole = encoded(Image.fromarray(dice.integers(0, 255, (40, 50, 3), np.uint8)), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            spoiled = bytearray(whole)
            for place in dice.integers(0, min(len(whole), 400), dice.integers(1, 8)):
                spoiled[place] = dice.integers(256)
            with contextlib.suppress(BadImage, ImageTooLarge):
                assert decode(bytes(spoiled), max_megapixels=1).mode == "RGBA"
