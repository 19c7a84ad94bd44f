"""Pictures of every format that is taken, and ways to spoil them; one seed, one and the same spoiled picture."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageCms

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LIES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65500, 1 << 20)


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    """A real picture with some detail in it."""
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    picture.paste((200, 30, 60), (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    buffer = io.BytesIO()
    (picture.convert(mode) if mode != "I;16" else picture.convert("I").convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": profile}
    pngs = [encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    jpegs = [encoded("JPEG", mode) for mode in ("L", "RGB", "CMYK")] + [encoded("JPEG", progressive=True, **told)]
    webps = [encoded("WEBP", **told), encoded("WEBP", "RGBA", lossless=True)]
    packed = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
    tiffs = [encoded("TIFF", "1" if one == "group4" else "RGB", compression=one, **told) for one in packed]
    tiffs += [encoded("TIFF", mode) for mode in ("F", "I;16", "LAB", "CMYK", "P")]
    bmps = [encoded("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")] + [rle_bmp()]
    plain = b"P3\n4 3\n255\n" + b" ".join(b"%d" % (number * 7) for number in range(36))
    ppms = [encoded("PPM", mode) for mode in ("1", "L", "RGB", "I;16")] + [plain, b"P1\n4 2\n0 1 0 1 1 0 1 0\n"]
    avifs = [encoded("AVIF", speed=10), encoded("AVIF", "RGBA", speed=10, **told)]
    marks = chunk(b"gAMA", struct.pack(">I", 50_000)) + chunk(b"cICP", b"\x09\x10\0\1") + chunk(b"sRGB", b"\0")
    pngs.append(pngs[4][:33] + marks + pngs[4][33:])
    return [*pngs, encoded("PNG", **told), *jpegs, *webps, encoded("GIF", "P"), *bmps, *tiffs, *ppms, *avifs]


def rle_bmp(width: int = 16, height: int = 8, coded: bytes = b"\x10\x01\x00\x00" * 8 + b"\x00\x01") -> bytes:
    """A BMP of run lengths, which Pillow reads in Python."""
    palette = b"".join(bytes((one, one, one, 0)) for one in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(coded), 2835, 2835, 256, 0)
    offset = 14 + len(info) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(coded), 0, 0, offset) + info + palette + coded


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def spoiled(pictures: list[bytes], seed: int) -> bytes:
    """One of the pictures after one to three mutations."""
    dice = random.Random(seed)
    data = bytearray(dice.choice(pictures))
    for _ in range(dice.randint(1, 3)):
        data = dice.choice(_WAYS)(data, dice, pictures)
    return bytes(data)


def _flip(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return data


def _flip_header(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    if data:
        data[dice.randrange(min(len(data), 64))] = dice.randrange(256)
    return data


def _cut(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    return data[: dice.randrange(len(data) + 1)]


def _fill(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    at, length = dice.randrange(len(data) + 1), dice.choice((1, 4, 16, 200))
    data[at : at + length] = dice.choice((b"\0", b"\xff", dice.randbytes(1))) * length
    return data


def _repeat(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    at, length = dice.randrange(len(data) + 1), dice.choice((2, 12, 100))
    return data[:at] + data[at : at + length] * dice.choice((2, 3, 50)) + data[at:]


def _lie(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    """Another number where a header may hold a width, a length, a count or an offset."""
    code = dice.choice(("<H", ">H", "<I", ">I"))
    if len(data) > 8:
        value = dice.choice(_LIES) & (0xFFFF if code[1] == "H" else 0xFFFFFFFF)
        struct.pack_into(code, data, dice.randrange(min(len(data), 400) - 4), value)
    return data


def _splice(data: bytearray, dice: random.Random, pictures: list[bytes]) -> bytearray:
    other = dice.choice(pictures)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other)) :]


def _png_chunks(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    """A PNG's chunks with sums that are right: removed, doubled, moved, lied in, or garbage of a known kind put in."""
    parts = _chunks(bytes(data))
    if len(parts) < 3:
        return data
    at = dice.randrange(len(parts))
    kind, body = parts[at]
    garbage = dice.randbytes(dice.choice((0, 1, 13, 300)))
    known = (
        b"iCCP",
        b"eXIf",
        b"zTXt",
        b"iTXt",
        b"tRNS",
        b"PLTE",
        b"gAMA",
        b"cHRM",
        b"pHYs",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"cICP",
        b"sRGB",
    )
    lied = bytearray(body)
    if len(lied) >= 4:
        struct.pack_into(">I", lied, dice.randrange(len(lied) - 3), dice.choice(_LIES))
    changed: list[tuple[bytes, bytes]] = dice.choice((
        [], [(kind, body)] * 2, [(kind, bytes(lied))], [(kind, garbage)],
        [(dice.choice(known), b"name\0\0" + zlib.compress(garbage)), (kind, body)],
        [(dice.choice(known), garbage), (kind, body)],
    ))  # fmt: skip
    return bytearray(SIGNATURE + b"".join(chunk(*part) for part in [*parts[:at], *changed, *parts[at + 1 :]]))


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], len(SIGNATURE)
    while data.startswith(SIGNATURE) and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _directory(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    """One entry of a TIFF's first directory, in the file itself or in its EXIF block."""
    start = next((at for mark in (b"II*\0", b"MM\0*") if (at := data.find(mark)) >= 0), -1)
    if start < 0 or len(data) < start + 8:
        return data
    order = "<" if data[start : start + 1] == b"I" else ">"
    at = start + struct.unpack_from(order + "I", data, start + 4)[0]
    if at + 2 > len(data):
        return data
    entry = at + 2 + 12 * dice.randrange(max(1, min(40, struct.unpack_from(order + "H", data, at)[0])))
    code, place, limit = dice.choice((("H", 0, 65535), ("H", 2, 16), ("I", 4, 2**32 - 1), ("I", 8, 2**32 - 1)))
    value = dice.choice((dice.randrange(limit + 1), *(lie for lie in _LIES if lie <= limit)))
    if entry + place + 4 <= len(data):
        struct.pack_into(order + code, data, entry + place, value)
    return data


def _jpeg_segment(data: bytearray, dice: random.Random, _: list[bytes]) -> bytearray:
    """A segment of garbage after a JPEG's beginning, or another length or size in one that it has."""
    if data[:2] != b"\xff\xd8":
        return data
    if dice.random() < 0.5:
        begin = dice.choice((b"", b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"JFIF\0", b"MPF\0", b"Adobe\0d"))
        body = begin + dice.randbytes(60)
        mark = dice.choice((0xE0, 0xE1, 0xE2, 0xEE, 0xDB, 0xC4, 0xDD, 0xFE))
        return data[:2] + struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body + data[2:]
    at = data.find(bytes((0xFF, dice.choice((0xC0, 0xC2, 0xDA, 0xDB, 0xC4)))))
    if 0 < at < len(data) - 10:
        struct.pack_into(">H", data, at + dice.choice((2, 5, 7)), dice.choice(_LIES) & 0xFFFF)
    return data


_Way = Callable[[bytearray, random.Random, list[bytes]], bytearray]
_WAYS: tuple[_Way, ...] = (
    _flip, _flip_header, _cut, _fill, _repeat, _lie, _lie, _splice, _png_chunks, _directory, _jpeg_segment,
)  # fmt: skip
