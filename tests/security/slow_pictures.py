"""Pictures made to be slow: the slowest that are taken, and those that would hold a worker for minutes.

python -m tests.security.slow_pictures 64    # seconds and megabytes per picture of so many megapixels
"""

from __future__ import annotations

import io
import lzma
import struct
import sys
import time
import zlib
from collections.abc import Callable
from math import ceil, isqrt
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tests.security.mutations import SIGNATURE, chunk, encoded, rle_bmp
from tests.security.peak import forget_peak, peak_mb
from worker.images import decode

_SCAN = b"\xff\xda"
SCANS_TAKEN = 40


def png(side_px: int, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    """All black; `colour` is 0 for grey, 2 for RGB, 6 for RGBA (PNG §11.2.1)."""
    bits = depth * {0: 1, 2: 3, 6: 4}[colour]
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    if not interlaced:
        passes = [(0, 0, 1, 1)]
    size = sum(ceil((side_px - y) / dy) * (1 + ceil(ceil((side_px - x) / dx) * bits / 8)) for x, y, dx, dy in passes)
    header = struct.pack(">IIBBBBB", side_px, side_px, depth, colour, 0, 0, int(interlaced))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(size), 1)) + chunk(b"IEND", b"")


def saved(side_px: int, kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """Coarse noise, which costs a decoder more than an even colour."""
    dice = np.random.default_rng(1).integers(0, 255, (side_px // 8, side_px // 8, 4), dtype=np.uint8)
    noise = Image.fromarray(dice).convert(mode).resize((side_px, side_px), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    noise.save(buffer, kind, **options)
    return buffer.getvalue()


def samples(side_px: int, kind: type[np.generic]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side_px, side_px), 3, kind)).save(buffer, "TIFF", compression="tiff_lzw")
    return buffer.getvalue()


def jpeg_of_scans(side_px: int, mode: str = "RGB", scans: int = SCANS_TAKEN) -> bytes:
    """The last scan of a progressive JPEG, again and again."""
    whole = encoded("JPEG", mode, (side_px, side_px), progressive=True)[:-2]
    return whole + whole[whole.rindex(_SCAN) :] * (scans - whole.count(_SCAN)) + b"\xff\xd9"


def foreign_profile() -> bytes:
    """Colours that have to be converted one by one: a profile that does not say that it is sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


TAKEN: dict[str, Callable[[int], bytes]] = {
    "PNG, 16 bit RGBA, interlaced": lambda side: png(side, 16, 6, interlaced=True),
    "PNG, 16 bit grey": lambda side: png(side, 16, 0),
    "JPEG with a profile": lambda side: saved(side, "JPEG", quality=30, icc_profile=foreign_profile()),
    "JPEG of 40 scans": jpeg_of_scans,
    "JPEG, CMYK, of 40 scans": lambda side: jpeg_of_scans(side, "CMYK"),
    "WebP": lambda side: saved(side, "WEBP", "RGBA", quality=10, method=0),
    "WebP, lossless": lambda side: saved(side, "WEBP", "RGBA", lossless=True, method=0, quality=0),
    "AVIF": lambda side: saved(side, "AVIF", speed=10, quality=40),
    "GIF": lambda side: encoded("GIF", "P", (side, side)),
    "BMP": lambda side: encoded("BMP", "RGBA", (side, side)),
    "BMP of run lengths, 1 MB": lambda side: rle_bmp(side, side, b"\1\1" * 490_000),
    "TIFF, LZW": lambda side: saved(side, "TIFF", compression="tiff_lzw"),
    "TIFF, 32 bit": lambda side: samples(side, np.int32),
    "TIFF, float": lambda side: samples(side, np.float32),
    "TIFF, Lab": lambda side: encoded("TIFF", "LAB", (side, side), compression="tiff_lzw"),
    "PPM": lambda side: encoded("PPM", "RGB", (side, side)),
    "PPM of odd depth, 1 MB": lambda side: b"P6\n570 570\n254\n" + bytes(570 * 570 * 3),
}


def tiff(width_px: int, codec: int, piece: bytes, pieces: int, *, tags: tuple[int, int] = (273, 279)) -> bytes:
    """Rows that are all decoded from the same bytes; `tags` name the places and the sizes of strips, or of tiles."""
    at, entries = 200, 8
    offsets, sizes, blob = at, at + 4 * pieces, at + 8 * pieces
    directory = [
        (256, 4, 1, width_px), (257, 4, 1, pieces), (258, 3, 1, 8), (259, 3, 1, codec), (262, 3, 1, 1),
        (tags[0], 4, pieces, offsets), (278, 3, 1, 1), (tags[1], 4, pieces, sizes),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, entries)
    head += b"".join(struct.pack("<HHII", *entry) for entry in sorted(directory)) + bytes(4)
    places = struct.pack(f"<{pieces}I", *[blob] * pieces) + struct.pack(f"<{pieces}I", *[len(piece)] * pieces)
    return head + bytes(at - len(head)) + places + piece


def tiff_of_one_tile(picture_px: int, tile_px: int) -> bytes:
    """A black tile of which a corner is the picture; a decoder unpacks the whole of it."""
    packer = zlib.compressobj(9)
    piece = b"".join(packer.compress(bytes(tile_px * 100)) for _ in range(-(-tile_px // 100))) + packer.flush()
    directory = [
        (256, 4, 1, picture_px), (257, 4, 1, picture_px), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
        (322, 4, 1, tile_px), (323, 4, 1, tile_px), (324, 4, 1, 200), (325, 4, 1, len(piece)),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(directory))
    head += b"".join(struct.pack("<HHII", *entry) for entry in directory) + bytes(4)
    return head + bytes(200 - len(head)) + piece


def empty_blocks(row_bytes: int) -> bytes:
    """A megabyte of deflate that unpacks to nothing, and then to a row (RFC 1951 §3.2.4)."""
    return b"\x78\1" + b"\0\0\0\xff\xff" * 200_000 + zlib.compress(bytes(row_bytes))[2:]


def endless_profile(elements: int) -> bytes:
    """A profile of as many steps, all the same few bytes (ICC.1:2022 §10.16): eight bytes of file for each."""
    base = foreign_profile()
    (count,) = struct.unpack_from(">I", base, 128)
    shift = 12  # one more row in the table of tags
    table = [struct.unpack_from(">4sII", base, 132 + 12 * one) for one in range(count)]
    step = b"matf" + bytes(4) + struct.pack(">HH9f3f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    place = struct.pack(">II", 16 + 8 * elements, len(step))
    steps = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, elements) + place * elements + step
    rows = [(name, at + shift, size) for name, at, size in table] + [(b"D2B0", len(base) + shift, len(steps))]
    told = base[:128] + struct.pack(">I", len(rows)) + b"".join(struct.pack(">4sII", *row) for row in rows)
    whole = bytearray(told + base[132 + 12 * count :] + steps)
    struct.pack_into(">I", whole, 0, len(whole))
    return bytes(whole)


def huge_orientation() -> bytes:
    """EXIF with one tag of ten million numbers, where one is expected."""
    exif = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x112, 3, 10_000_000, 26) + bytes(4) + b"\xff\x7f" * 10_000_000
    whole = encoded("PNG")
    return whole[:33] + chunk(b"eXIf", exif) + whole[33:]


REFUSED: dict[str, Callable[[], bytes]] = {
    "BMP of run lengths, 25 MB": lambda: rle_bmp(8000, 8000, b"\1\1" * 12_500_000),
    "PPM in plain text, 24 MB": lambda: b"P3\n2000 2000\n255\n" + b"1 " * 12_000_000,
    "PPM of odd depth, 25 MB": lambda: b"P6\n2880 2880\n254\n" + bytes(2880 * 2880 * 3),
    "JPEG of 41 scans": lambda: jpeg_of_scans(800, scans=SCANS_TAKEN + 1),
    "TIFF of strips over each other": lambda: tiff(200, 8, empty_blocks(200), 200_000),
    "TIFF of tiles over each other": lambda: tiff(200, 8, empty_blocks(200), 20_000, tags=(324, 325)),
    "TIFF of one huge tile": lambda: tiff_of_one_tile(8, 16_000),
    "TIFF by LZMA": lambda: tiff(200, 34925, lzma.compress(bytes(200)), 1),
    "TIFF that begins oddly": lambda: b"MM\0+" + tiff(200, 8, empty_blocks(200), 20_000)[4:],
}


def main(megapixels: float) -> None:
    side_px = isqrt(int(megapixels * 1e6))
    for name, build in TAKEN.items():
        data = build(side_px)
        forget_peak()
        before_mb, began = peak_mb(), time.process_time()
        end = "decoded"
        try:
            decode(data, max_megapixels=megapixels)
        except Exception as error:
            end = str(error)
        print(f"{name:30} {time.process_time() - began:6.2f} s {peak_mb() - before_mb:6.0f} MB  {end}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 64.0)
