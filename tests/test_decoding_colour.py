"""Colours come out as the file says they are meant: by the content of a profile, by a PNG's chunks in their order."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage.color import lab2xyz

from tests.pictures import encoded
from tests.profiles import (
    COLORANTS,
    P3_CHRM,
    SRGB_CHRM,
    SRGB_CHUNK,
    chrm,
    cicp,
    code,
    gama,
    iccp,
    in_srgb,
    inks,
    light,
    profile,
    with_chunks,
)
from worker.images import decode

COLOUR = (214, 75, 53)
SHARE = np.array(COLOUR) / 255


def plain(mode: str = "RGB", colour: object = COLOUR) -> Image.Image:
    return Image.new(mode, (8, 8), colour)


def shown(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, max_megapixels=1))[4, 4].astype(int)


def close(found: np.ndarray, expected: object, within: int = 2) -> bool:
    return bool(np.abs(found[:3] - expected).max() <= within)


SPACES = [
    ("sRGB", None, light(SHARE)), ("sRGB", 1.0, SHARE), ("sRGB", 1.8, SHARE**1.8), ("P3", None, light(SHARE)),
    ("P3", 1.0, SHARE), ("Adobe RGB", 2.19921875, SHARE**2.19921875),
]  # fmt: skip


@pytest.mark.parametrize(("space", "gamma", "shone"), SPACES, ids=[f"{one[0]} {one[1]}" for one in SPACES])
@pytest.mark.parametrize("name", ["Colours", "GIMP built-in Linear sRGB", "sRGB IEC61966-2.1", "Adobe RGB (1998)"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_profile_means_what_it_holds_whatever_its_name(
    space: str, gamma: float | None, shone: np.ndarray, name: str, kind: str
) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = shown(encoded(plain(), kind, icc_profile=profile(name, space, gamma), **options))
    assert close(found, in_srgb(shone, space))


@pytest.mark.parametrize("name", ["sRGB", "whatever"])
def test_a_profile_that_holds_srgb_changes_nothing(name: str) -> None:
    gradient = Image.merge("RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L")])
    found = np.asarray(decode(encoded(gradient, icc_profile=profile(name, "sRGB", None)), max_megapixels=1))
    assert np.array_equal(found[..., :3], np.asarray(gradient))


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "L", "PA in TIFF"])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_palettes_greys_and_pictures_with_opacity_have_their_profile_applied(mode: str, gamma: float) -> None:
    grey = mode in ("L", "LA")
    level = 120
    blob = profile("anything", None if grey else "P3", gamma)
    opaque = mode in ("L", "P")
    if grey:
        data = encoded(Image.new(mode, (8, 8), level if opaque else (level, 90)), icc_profile=blob)
        expected = code(np.full(3, (level / 255) ** gamma))
    else:
        image = plain("RGB" if mode == "P" else "RGBA", COLOUR if mode == "P" else (*COLOUR, 90))
        if mode == "P":
            image = image.quantize(4, dither=Image.Dither.NONE)
        elif mode == "PA in TIFF":
            image = plain().quantize(4, dither=Image.Dither.NONE).convert("PA")
            opaque = True
        data = encoded(image, "TIFF" if "TIFF" in mode else "PNG", icc_profile=blob)
        expected = in_srgb(SHARE**gamma, "P3")
    found = shown(data)
    assert close(found, expected) and found[3] == (255 if opaque else 90)


def test_a_grey_jpeg_may_carry_a_profile_of_colours() -> None:
    data = encoded(Image.new("L", (8, 8), 120), "JPEG", quality=98, icc_profile=profile("x", "Adobe RGB", 1.0))
    assert close(shown(data), code(np.full(3, 120 / 255)), 3)


def test_a_profile_of_another_space_is_ignored() -> None:
    assert close(shown(encoded(plain(), icc_profile=profile("grey", None, 1.0))), COLOUR, 0)


def test_a_transparent_colour_beside_a_profile_is_named_in_the_files_own_numbers() -> None:
    image = plain()
    image.putpixel((0, 0), (1, 2, 3))
    data = encoded(image, transparency=COLOUR, icc_profile=profile("x", "P3", 1.0))
    found = np.asarray(decode(data, max_megapixels=1))
    assert found[4, 4, 3] == 0 and found[0, 0, 3] == 255
    assert found[0, 0, 2] > 20, "three of 255 of linear light is no black"


CHUNKS = {
    "gAMA 1": ([gama(1.0)], SHARE, "sRGB"),
    "gAMA 1/1.8": ([gama(1 / 1.8)], SHARE**1.8, "sRGB"),
    "gAMA of sRGB": ([gama(0.45455)], light(SHARE), "sRGB"),
    "gAMA 0 is no gamma": ([gama(0)], light(SHARE), "sRGB"),
    "gAMA and cHRM of sRGB": ([gama(0.45455), chrm(SRGB_CHRM)], light(SHARE), "sRGB"),
    "cHRM alone": ([chrm(P3_CHRM)], light(SHARE), "P3"),
    "cHRM that spans nothing": ([chrm((0.3, 0.3) * 4)], light(SHARE), "sRGB"),
    "gAMA and cHRM": ([gama(1.0), chrm(P3_CHRM)], SHARE, "P3"),
    "sRGB before gAMA": ([SRGB_CHUNK, gama(1.0), chrm(P3_CHRM)], light(SHARE), "sRGB"),
    "iCCP before sRGB": ([iccp(profile("sRGB", "P3", 1.0)), SRGB_CHUNK, gama(0.45455)], SHARE, "P3"),
    "iCCP that is broken, then gAMA": ([iccp(b"nothing" * 50), gama(1.0)], SHARE, "sRGB"),
    "cICP of Display P3": ([cicp(12, 13)], light(SHARE), "P3"),
    "cICP, linear": ([cicp(1, 8)], SHARE, "sRGB"),
    "cICP before iCCP": ([cicp(12, 13), iccp(profile("x", "Adobe RGB", 1.0)), SRGB_CHUNK], light(SHARE), "P3"),
    "cICP of sRGB before iCCP": ([cicp(1, 13), iccp(profile("x", "Adobe RGB", 1.0))], light(SHARE), "sRGB"),
    "cICP that says nothing, then iCCP": ([cicp(2, 2), iccp(profile("x", "P3", 1.0))], SHARE, "P3"),
    "cICP of YCbCr is no RGB": ([(b"cICP", b"\x0c\x08\x09\1")], light(SHARE), "sRGB"),
    "cICP, narrow range": ([cicp(1, 13, 0)], light((SHARE * 255 - 16) / 219), "sRGB"),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_a_png_hold_in_their_order(name: str) -> None:
    chunks, shone, space = CHUNKS[name]
    assert close(shown(with_chunks(plain(), *chunks)), in_srgb(shone, space))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_gamma_holds_for_every_kind_of_png(mode: str) -> None:
    image = plain("RGB", (100, 100, 100)).convert(mode)
    expected = 0 if mode == "1" and image.getpixel((4, 4)) == 0 else 255 if mode == "1" else code(np.full(3, 100 / 255))
    assert close(shown(with_chunks(image, gama(1.0))), expected)


def test_gamma_holds_for_what_is_shown_of_sixteen_bits() -> None:
    wide = Image.fromarray(np.full((8, 8), 100 * 257, np.uint16))
    assert close(shown(with_chunks(wide, gama(1.0))), code(np.full(3, 100 / 255)))


def test_chunks_behind_the_pixels_say_nothing() -> None:
    assert close(shown(with_chunks(plain(), gama(1.0), chrm(P3_CHRM), late=True)), COLOUR, 0)


def test_perceptual_quantizer_shows_paper_white_as_white_and_cuts_what_is_brighter() -> None:
    """ITU-R BT.2408: reference white, 203 cd/m², is at 58 % of the signal; 100 cd/m² at 51 %."""
    for signal, expected in ((0.58, 255), (0.75, 255), (0.508, code(np.array(100 / 203)))):
        grey = (round(signal * 255),) * 3
        assert close(shown(with_chunks(plain("RGB", grey), cicp(9, 16))), expected, 4)


def test_hybrid_log_gamma_shows_three_quarters_as_white() -> None:
    assert close(shown(with_chunks(plain("RGB", (191,) * 3), cicp(9, 18))), 255, 3)
    assert shown(with_chunks(plain("RGB", (100,) * 3), cicp(9, 18)))[0] < 150


def of_lab(lab: tuple[int, int, int]) -> np.ndarray:
    return code(np.linalg.solve(np.array(COLORANTS["sRGB"]).T, lab2xyz(np.array(lab, float), illuminant="D50")))


@pytest.mark.parametrize(("points", "shone"), [((12, 13), light(SHARE)), ((12, 8), SHARE)], ids=["P3", "linear P3"])
def test_code_points_of_an_avif_hold_unless_it_has_a_profile(points: tuple[int, int], shone: np.ndarray) -> None:
    def coded(**options: object) -> bytes:
        whole = encoded(plain(), "AVIF", quality=100, subsampling="4:4:4", **options)
        at = whole.index(b"colrnclx") + 8
        return whole[:at] + struct.pack(">HH", *points) + whole[at + 4 :]

    assert close(shown(encoded(plain(), "AVIF", quality=100)), COLOUR, 4)
    assert close(shown(coded()), in_srgb(shone, "P3"), 6)
    if points == (12, 13):
        return
    assert close(shown(coded(icc_profile=profile("x", "Adobe RGB", 1.0))), in_srgb(SHARE, "Adobe RGB"), 6)


@pytest.mark.parametrize("lab", [(53, 40, 30), (80, -30, 30), (40, 10, -40), (60, 0, 0), (100, 0, 0)])
def test_lab_is_lab(lab: tuple[int, int, int]) -> None:
    stored = np.tile(np.array([round(lab[0] * 2.55), lab[1] % 256, lab[2] % 256], np.uint8), (8, 8, 1))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, photometric="cielab")
    assert close(shown(buffer.getvalue()), of_lab(lab), 5)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(kind: str) -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    options = {"quality": 98} if kind == "JPEG" else {}
    cyan, red = (shown(encoded(image, kind, **options, **one)) for one in ({}, {"icc_profile": inks(red=True)}))
    assert cyan[0] < 60 < cyan[1] and close(red, of_lab((50, 60, 40)), 8)


def test_cmyk_ignores_a_profile_of_another_space() -> None:
    image = Image.new("CMYK", (16, 16), (0, 220, 220, 0))
    other = encoded(image, "JPEG", icc_profile=profile("grey", None, 1.0))
    assert np.array_equal(shown(encoded(image, "JPEG")), shown(other)) and shown(other)[0] > 180


def test_reading_a_profile_agrees_with_little_cms_called_directly() -> None:
    blob = profile("x", "Adobe RGB", 2.2)
    dice = Image.fromarray(np.random.default_rng(4).integers(0, 256, (40, 40, 3), np.uint8))
    direct = ImageCms.profileToProfile(dice, io.BytesIO(blob), ImageCms.createProfile("sRGB"))
    found = np.asarray(decode(encoded(dice, icc_profile=blob), max_megapixels=1))[..., :3]
    assert np.abs(found.astype(int) - np.asarray(direct)).max() <= 1
