"""Any picture that people send becomes upright RGBA, or is refused in words."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jobs.errors import BadImage, ImageTooLarge
from tests.pictures import encoded
from worker.images import decode


def pixels(data: bytes) -> np.ndarray:
    image = decode(data, max_megapixels=4)
    assert image.mode == "RGBA"
    return np.asarray(image)


def test_opaque_colours_come_through() -> None:
    assert (pixels(encoded(Image.new("RGB", (3, 2), (10, 20, 30)))) == (10, 20, 30, 255)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_every_format_taken_is_read(kind: str) -> None:
    found = pixels(encoded(Image.new("RGB", (40, 30), (200, 60, 20)), kind))
    assert found.shape == (30, 40, 4)
    assert np.abs(found[..., :3].astype(int) - (200, 60, 20)).max() < 16


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 1000, 32768, 65535]], np.uint16)
    grey = pixels(encoded(Image.fromarray(values)))[0, :, 0]
    assert np.abs(grey.astype(int) - [0, 4, 128, 255]).max() <= 1


def test_a_float_tiff_is_scaled_to_what_can_be_seen() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    grey = pixels(encoded(Image.fromarray(values), "TIFF"))[..., 0]
    assert grey.min() < 10
    assert grey.max() > 245


def test_cmyk_keeps_its_hue() -> None:
    red, green, blue, _ = pixels(encoded(Image.new("CMYK", (16, 16), (0, 220, 220, 0)), "JPEG", quality=95))[8, 8]
    assert red > 180
    assert max(green, blue) < 110


def test_a_palettes_transparent_colour_is_transparent() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    found = pixels(encoded(image, "PNG", transparency=0))
    assert found[0, 0, 3] == 0
    assert (found[1, 1] == (0, 255, 0, 255)).all()


@pytest.mark.parametrize(("mode", "colour"), [("LA", (90, 128)), ("RGBA", (90, 90, 90, 128))])
def test_opacity_is_kept(mode: str, colour: tuple[int, ...]) -> None:
    assert (pixels(encoded(Image.new(mode, (3, 3), colour))) == (90, 90, 90, 128)).all()


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (4, 4), 1)
    image.putpixel((0, 0), 0)
    found = pixels(encoded(image))
    assert found[0, 0, 0] == 0
    assert found[1, 1, 0] == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_ends_upright(orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), "white")
    ImageDraw.Draw(upright).rectangle((0, 0, 20, 12), "red")  # in the upper left corner
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # transpositions that EXIF says to apply, inverted
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(encoded(stored, "PNG", exif=exif))
    assert found.shape[:2] == (40, 60)
    assert (found[4, 4, :3] == (255, 0, 0)).all()
    assert (found[36, 56, :3] == (255, 255, 255)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_truncated_file_is_refused_in_words(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (80, 90, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(BadImage) as caught:
        decode(data[: int(len(data) * share)], max_megapixels=4)
    assert len(caught.value.message) > 20


def test_limits_come_before_decoding() -> None:
    with pytest.raises(ImageTooLarge, match="MAX_IMAGE_MP"):
        decode(encoded(Image.new("L", (2000, 1000))), max_megapixels=1)
    with pytest.raises(BadImage):
        decode(io.BytesIO(b"no picture").read(), max_megapixels=1)
