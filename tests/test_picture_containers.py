"""A picture with something behind it is a picture; several pictures in a file are named as what they are."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from api.document_examples import _PICTURES_TAKEN
from jobs.errors import BadImage
from jobs.pictures import PICTURE_FORMATS, check_picture
from tests.pictures import ROOT, encoded
from tests.security.peak import bounded
from tests.test_decoding_opacity import tiff
from worker.images import decode

NOISE = np.random.default_rng(5).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + struct.pack(">I", len(NOISE) + 8) + b"mdat" + NOISE


def photo(colour: object = (200, 40, 40), **options: object) -> bytes:
    return encoded(Image.new("RGB", (60, 40), colour), "JPEG", quality=95, **options)


def gain_map() -> bytes:
    """A JPEG, its index of pictures (CIPA DC-007) and a second picture behind it, as Ultra HDR and MPO have it."""
    buffer = io.BytesIO()
    first, second = Image.new("RGB", (60, 40), (200, 40, 40)), Image.new("RGB", (30, 20), "white")
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    return buffer.getvalue()


TRAILERS = {
    "video": b"MotionPhoto_Data" + VIDEO,
    "noise": NOISE,
    "scans without end": b"\xff\xda" * 100_000,
    "another photograph": photo("white"),
    "a progressive one": photo("white", progressive=True) * 30,
    "Samsung's index": b"\0\0\x0a\x0aMotionPhoto_Data" + NOISE[:5000] + b"SEFH\0\0\0\0SEFT",
    "zeros": bytes(100_000),
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photograph_with_anything_behind_it_is_the_photograph(trailer: str, progressive: bool) -> None:
    data = photo(progressive=progressive) + TRAILERS[trailer]
    with bounded():
        assert check_picture(data, max_megapixels=1).width_px == 60
        found = np.asarray(decode(data, max_megapixels=1))
    assert np.abs(found[20, 30, :3].astype(int) - (200, 40, 40)).max() < 12


def test_a_thumbnail_within_the_header_does_not_count_as_scans() -> None:
    exif = Image.Exif()
    exif[0x010E] = "\xff\xda" * 200
    segment = b"\xff\xe2" + struct.pack(">H", 2 + 60 * 1000) + b"\xff\xda\xff\xd9" * 15_000
    whole = photo()
    data = whole[:2] + segment + whole[2:]
    assert decode(data, max_megapixels=1).size == (60, 40)


def test_the_first_picture_of_a_file_with_a_gain_map_is_taken() -> None:
    data = gain_map() + VIDEO[:1000]
    assert check_picture(data, max_megapixels=1).height_px == 40
    found = np.asarray(decode(data, max_megapixels=1))
    assert found.shape[:2] == (40, 60) and found[20, 30, 0] > 180 and found[20, 30, 1] < 60


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "PPM"])
def test_other_formats_take_a_trailer_as_well(kind: str) -> None:
    data = encoded(Image.new("RGB", (60, 40), (200, 40, 40)), kind) + VIDEO[:10_000]
    check_picture(data, max_megapixels=1)
    assert np.abs(np.asarray(decode(data, max_megapixels=1))[20, 30, :3].astype(int) - (200, 40, 40)).max() < 12


def test_many_scans_are_found_however_they_are_hidden() -> None:
    whole = photo(progressive=True)
    at = whole.rindex(b"\xff\xda")
    scan = whole[at:-2]
    for filler in (b"", b"\xff" * 50, b"\xff\xfe\0\x04\xff\xd9", b"\x00\x01\xff\xd0"):
        with pytest.raises(BadImage, match="scans"):
            check_picture(whole[:-2] + (filler + scan) * 60 + b"\xff\xd9", max_megapixels=1)


def pages(*subfiles: int | None, order: str = "<", big: bool = False) -> bytes:
    """A TIFF of a red page and others behind it, each with its NewSubfileType."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as file:
        for number, subfile in enumerate((None, *subfiles)):
            height, width = 40 >> min(number, 2), 60 >> min(number, 2)
            colour = (255, 255, 255) if number else (200, 40, 40)
            page = np.full((height, width, 3), colour, np.uint8)
            file.write(page, photometric="rgb", subfiletype=subfile or 0)
    return buffer.getvalue()


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_pages_of_a_tiff_are_called_pages(order: str, big: bool) -> None:
    for subfiles in ((None,), (2,), (1, None), (None, None, None)):
        with pytest.raises(BadImage, match="several pages") as caught:
            check_picture(pages(*subfiles, order=order, big=big), max_megapixels=1)
        assert "animated" not in caught.value.message


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_smaller_copies_and_masks_in_a_tiff_are_no_pages(order: str, big: bool) -> None:
    data = pages(1, 1, 1, order=order, big=big)
    if not big:
        mask = data.rindex(struct.pack(order + "HHI", 254, 4, 1)) + 8
        data = data[:mask] + struct.pack(order + "I", 4) + data[mask + 4 :]
    assert check_picture(data, max_megapixels=1).width_px == 60
    assert decode(data, max_megapixels=1).getpixel((30, 20)) == (200, 40, 40, 255)


def test_a_raw_file_is_not_taken_for_its_thumbnail() -> None:
    small = np.zeros((8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(small, photometric="rgb", subfiletype=1, subifds=1)
        file.write(np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    with pytest.raises(BadImage, match="thumbnail"):
        check_picture(buffer.getvalue(), max_megapixels=1)


def test_a_chain_of_directories_that_never_ends_is_followed_for_a_moment_only() -> None:
    data = bytearray(pages(1, 1))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        places = [page.offset for page in file.pages]
    (entries,) = struct.unpack_from("<H", data, places[2])
    struct.pack_into("<I", data, places[2] + 2 + 12 * entries, places[1])
    with bounded():
        check_picture(bytes(data), max_megapixels=1)


def test_a_directory_behind_the_first_that_is_cut_off_spoils_nothing() -> None:
    data = bytearray(tiff(np.zeros((8, 8), np.uint8)))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * entries, len(data) + 1000)
    assert check_picture(bytes(data), max_megapixels=1).width_px == 8


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_moving_pictures_are_called_animated(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    with pytest.raises(BadImage, match="animated"):
        check_picture(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), max_megapixels=1)


def test_a_heic_is_refused_by_its_name_and_told_what_to_do() -> None:
    for brand in (b"heic", b"mif1", b"heix"):
        head = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic"
        with pytest.raises(BadImage, match="HEIC picture is not taken, save it as JPEG") as caught:
            check_picture(head + bytes(500), max_megapixels=1)
        assert "HEI" not in caught.value.message.split("formats taken")[1]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_avif_is_read(mode: str) -> None:
    colour = {"RGB": (200, 60, 20), "RGBA": (200, 60, 20, 128), "L": 90}[mode]
    data = encoded(Image.new(mode, (40, 30), colour), "AVIF", quality=95)
    assert check_picture(data, max_megapixels=1).format == "AVIF"
    expected = {"RGB": (200, 60, 20, 255), "RGBA": (200, 60, 20, 128), "L": (90, 90, 90, 255)}[mode]
    found = np.asarray(decode(data, max_megapixels=1))
    assert found.shape == (30, 40, 4) and np.abs(found[15, 20].astype(int) - expected).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_once(orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste((255, 0, 0), (0, 0, 16, 16))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(upright if undo is None else upright.transpose(Image.Transpose(undo)), "AVIF", exif=exif)
    found = np.asarray(decode(data, max_megapixels=1)).astype(int)
    assert found.shape[:2] == (32, 64) and found[6, 6, 1] < 60 and found[26, 58, 1] > 200


def test_every_place_offers_the_formats_that_are_taken() -> None:
    """What the page lets people choose, what the client advises and what is taken are one list."""
    page = (ROOT / "api/static/index.html").read_text()
    offered = page.split('id="chooser"')[1].split('accept="')[1].split('"')[0].split(",")
    types = {one.removeprefix("image/") for one in offered if one.startswith("image/")}
    assert types == {one.removeprefix("image/") for one in _PICTURES_TAKEN.split(", ")}
    assert types == {{"PPM": "x-portable-anymap"}.get(name, name.lower()) for name in PICTURE_FORMATS}
    for place in ("client/errors.py", "docs/use/rest.md", "api/static/index.html", "api/static/js/composer.js"):
        text = (ROOT / place).read_text().lower()
        assert "heic" not in text.replace("heic is not taken", "") and "heif" not in text, place
    for place in ("client/errors.py", "docs/use/rest.md"):
        text = (ROOT / place).read_text()
        assert all({"WEBP": "WebP", "PPM": "PNM"}.get(name, name) in text for name in PICTURE_FORMATS), place
