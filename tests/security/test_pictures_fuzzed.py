"""Spoiled pictures end in an error that says so, soon and in little memory, wherever they come in."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from redis import Redis

from jobs.errors import BadImage, ImageTooLarge
from jobs.pictures import PICTURE_FORMATS, check_picture
from tests.house import House
from tests.security.fuzz_pictures import try_pictures
from tests.security.mutations import SIGNATURE, chunk, encoded, rle_bmp, seeds, spoiled
from tests.security.peak import SOON_S, bounded
from worker.images import decode

CASES = 500
SENT = 150


def test_five_hundred_spoiled_pictures_do_no_harm() -> None:
    ends = try_pictures(range(CASES))
    assert sum(ends.values()) == 2 * CASES
    assert ends["checked: BadImage"] > CASES / 10 and ends["decoded: taken"] > CASES / 10, "the dice are loaded"


def test_seeds_cover_every_format_that_is_taken() -> None:
    found = {check_picture(data, max_megapixels=1).format for data in seeds()}
    assert found == {str(one) for one in PICTURE_FORMATS}


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, max_upload_mb=30, max_image_mp=1).open()
    yield house
    house.close()


def test_spoiled_pictures_over_http_are_taken_or_refused_and_every_job_ends(house: House) -> None:
    pictures = seeds()
    for number in range(SENT):
        data = {"image": (io.BytesIO(spoiled(pictures, number)), "a.png")}
        answer = house.http.post("/api/jobs", data=data)
        assert answer.status_code in (200, 202, 400, 413), (number, answer.json)
    house.work()
    jobs = house.http.get("/api/jobs?limit=100").json["jobs"]
    assert {job["status"] for job in jobs} == {"succeeded", "failed"}
    assert {job["error"]["code"] for job in jobs if job["error"]} <= {"bad_image", "image_too_large"}


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return SIGNATURE + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")


def tiff_of(*tags: tuple[int, int, int, int], after: bytes = b"", following: int = 0) -> bytes:
    """A directory of (tag, type, count, value), and what stands behind it at byte 400."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following)
    return head + bytes(400 - len(head)) + after


SMALL_TIFF = ((256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8))
# A hundred megapixels, where Pillow itself has nothing against it yet.
CLAIMS: dict[str, Callable[[], bytes]] = {
    "png": lambda: png_of(10_000, 10_000),
    "jpeg": lambda: encoded("JPEG").replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 10_000, 10_000)),
    "gif": lambda: b"GIF89a" + struct.pack("<HH", 10_000, 10_000) + encoded("GIF", "P")[10:],
    "gif, a frame beyond its screen": lambda: encoded("GIF", "P").replace(
        b"," + struct.pack("<HHHH", 0, 0, 40, 30), b"," + struct.pack("<HHHH", 0, 0, 10_000, 10_000)
    ),
    "webp": lambda: encoded("WEBP", lossless=True).replace(
        struct.pack("<I", 39 | 29 << 14), struct.pack("<I", 9_999 | 9_999 << 14)
    ),
    "bmp": lambda: rle_bmp(10_000, 10_000),
    "tiff": lambda: tiff_of((256, 4, 1, 10_000), (257, 4, 1, 10_000), *SMALL_TIFF[2:]),
    "ppm": lambda: b"P3\n10000 10000\n255\n1 2 3",
}
MILLIONS_OF_PARTS: dict[str, Callable[[], bytes]] = {
    "png, chunks": lambda: png_of(8, 8, chunk(b"prVt", b"") * 2_000_000),
    "jpeg, segments": lambda: encoded("JPEG").replace(b"\xff\xd8", b"\xff\xd8" + b"\xff\xfe\0\2" * 6_000_000, 1),
    "jpeg, padding": lambda: encoded("JPEG").replace(b"\xff\xd8", b"\xff\xd8" + b"\xff" * 20_000_000, 1),
    "jpeg, scans": lambda: encoded("JPEG", progressive=True)[:-2] + b"\xff\xda\0\x08\1\1\0\0\0\0" * 100_000,
    "gif, comments": lambda: encoded("GIF", "P").replace(b",\0\0", b"\x21\xfe\1a\0" * 4_000_000 + b",\0\0", 1),
    "ppm, a comment": lambda: b"P6\n#" + b"a" * 20_000_000 + b"\n8 8 255\n" + bytes(192),
    "tiff, strips": lambda: tiff_of(*SMALL_TIFF[:5], (273, 4, 6_000_000, 400), after=bytes(24_000_000)),
    "tiff, fractions": lambda: tiff_of(*SMALL_TIFF, (282, 5, 3_000_000, 400), after=bytes(24_000_000)),
    "tiff, directories": lambda: tiff_of(
        *SMALL_TIFF, following=400, after=b"".join(struct.pack("<HI", 0, 406 + 6 * one) for one in range(1_000_000))
    ),
}


def frames_gif() -> bytes:
    whole = encoded("GIF", "P")
    at = whole.index(b",\0\0")
    return whole[:at] + whole[at:-1] * 20_000 + b";"


@pytest.mark.parametrize("name", CLAIMS)
def test_a_size_that_is_claimed_is_refused_before_decoding(name: str) -> None:
    data = CLAIMS[name]()
    with bounded(), pytest.raises(ImageTooLarge, match="MAX_IMAGE_MP"):
        check_picture(data, max_megapixels=64)
    with bounded(), pytest.raises(ImageTooLarge):
        decode(data, max_megapixels=64)


@pytest.mark.parametrize("name", MILLIONS_OF_PARTS)
def test_a_header_of_millions_of_parts_is_refused_soon(name: str) -> None:
    data = MILLIONS_OF_PARTS[name]()
    with bounded(), pytest.raises(BadImage):
        check_picture(data, max_megapixels=64)


def test_frames_are_not_counted() -> None:
    data = frames_gif()
    with bounded(), pytest.raises(BadImage, match="animated"):
        check_picture(data, max_megapixels=64)


def test_text_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    packed = zlib.compress(bytes(200_000_000))
    for data in (png_of(8, 8, chunk(b"zTXt", b"k\0\0" + packed)), png_of(8, 8, chunk(b"iCCP", b"k\0\0" + packed))):
        with bounded(), contextlib.suppress(BadImage):
            check_picture(data, max_megapixels=1)


RUN_LENGTHS = {"far": b"\0\2\xff\xff", "nowhere": b"\0\2\0\0", "lines": b"\0\0", "runs": b"\xff\1", "dots": b"\1\1"}


@pytest.mark.parametrize("coded", RUN_LENGTHS.values(), ids=RUN_LENGTHS)
def test_run_lengths_are_decoded_in_bounded_time_and_memory(coded: bytes) -> None:
    data = rle_bmp(1000, 1000, coded * 200_000)
    with bounded(s=5 * SOON_S), contextlib.suppress(BadImage):
        decode(data, max_megapixels=1)


def test_a_colour_profile_does_not_choose_how_much_memory_is_taken() -> None:
    """Little CMS allocates what a text in a profile claims; this one claims sixteen million translations: 191 MB."""
    picture = Image.open(io.BytesIO(next(data for data in seeds() if b"ICC_PROFILE" in data)))
    profile = bytearray(picture.info["icc_profile"])
    at = profile.index(b"mluc") + 8  # ICC.1:2022 table 54: the number of records
    profile[at : at + 4] = struct.pack(">I", 0x00FF7F01)
    data = encoded("JPEG", icc_profile=bytes(profile))
    with bounded():
        decode(data, max_megapixels=1)
