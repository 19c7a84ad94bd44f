"""What the directories of a TIFF say before anything is decoded: what it would cost, and how many pages there are.

TIFF 6.0, BigTIFF. It reads no pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod

from PIL import TiffImagePlugin

from jobs.picture_bounds import READS_LIMIT, TooManyParts

_NUMBERS_LIMIT = 300_000  # in one tag, each becomes a Python object; a 16-bit palette has 196 608
_TIFF_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<"}
# Pillow reads these otherwise than libtiff, which decodes them: what the one was asked the other need not do.
_TIFF_ODD_HEADS = (b"MM\0+", b"MM*\0", b"II\0*")
_TIFF_BYTES = (1, 2, 6, 7)  # BYTE, ASCII, SBYTE, UNDEFINED: kept as they are (TIFF 6.0 §2)
_TIFF_COUNTS = {
    1: "B",
    3: "H",
    4: "I",
    13: "I",
    16: "Q",
}  # BYTE, SHORT, LONG, IFD, LONG8
_TIFF_COMPRESSION, _TIFF_PIECES = 259, (279, 325)  # StripByteCounts, TileByteCounts
_TIFF_SIZE, _TIFF_TILE = (256, 257), (322, 323)  # width and length, of the picture and of a tile
_TIFF_TILE_PX = 1 << 22  # programs write tiles of 256 or 512 pixels square
# None, CCITT, LZW, JPEG, deflate, PackBits. What else libtiff reads no camera or paint program writes.
_TIFF_CODECS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)

_TAGS_LIMIT = 1000  # of a directory that is only asked what it is
_DIRECTORIES_LIMIT = 64  # of a pyramid; each is half as large as the one before
_SUBFILE, _OLD_SUBFILE, _SUB_DIRECTORIES = 254, 255, 330
_REDUCED_OR_MASK, _OLD_REDUCED = 0b101, 2  # TIFF 6.0 §8
# Samples that Pillow would not open though it knows how to unpack them; a worker reads their numbers by libtiff.
for _order, _end in ((b"II", ""), (b"MM", "B")):
    for _photometric in (0, 1):
        TiffImagePlugin.OPEN_INFO |= {
            (_order, _photometric, (3,), 1, (64,), ()): ("F", f"F;64{_end}F"),
            (_order, _photometric, (1,), 1, (32,), ()): ("I", f"I;32{_end}"),
            (_order, _photometric, (1,), 1, (16,), ()): (f"I;16{_end}", f"I;16{_end}"),
        }


class SeveralPages(ValueError):
    """A TIFF with more than one picture in it, each as good as the first."""


def check_tiff(data: bytes) -> None:
    """A TIFF's first directory, before a parser makes objects of millions of numbers; other files pass.

    Raises:
        TooManyParts: a tag claims, and the file holds, more numbers than any picture needs; its strips or tiles are
            together larger than the file, so that the same bytes would be decoded many times; a tile is far larger
            than the picture; or a rare compression.
        struct.error: the directory is cut off.
    """
    if data[:4] in _TIFF_ODD_HEADS:
        raise TooManyParts("a TIFF with such a beginning is not taken; save it as PNG")
    order = _TIFF_HEADS.get(data[:4])
    if order is None:
        return
    big = b"+" in data[:4]
    pieces_bytes, sides_px = 0, dict.fromkeys((*_TIFF_SIZE, *_TIFF_TILE), 0)
    for tag, kind, count, at in _entries(data, order, _first(data, order, big=big), big=big):
        if kind not in _TIFF_BYTES and count > _NUMBERS_LIMIT:
            raise TooManyParts(f"its TIFF tag {tag} has {count} numbers; the limit is {_NUMBERS_LIMIT}")
        if tag == _TIFF_COMPRESSION:
            (codec,) = struct.unpack_from(order + "H", data, at)
            if codec not in _TIFF_CODECS:
                raise TooManyParts(f"its TIFF compression {codec} is not taken; save it as PNG")
        if tag in sides_px:
            (side_px,) = struct.unpack_from(order + _TIFF_COUNTS.get(kind, "I"), data, at)
            sides_px[tag] = max(sides_px[tag], side_px) if tag in _TIFF_TILE else sides_px[tag] or side_px
        if tag in _TIFF_PIECES:
            counts = struct.unpack_from(f"{order}{count}{_TIFF_COUNTS.get(kind, 'Q')}", data, at)
            pieces_bytes += sum(min(one, len(data)) for one in counts)
    if pieces_bytes > 2 * len(data):
        raise TooManyParts(f"its TIFF strips are {pieces_bytes} bytes together, far more than the whole file")
    picture_px, tile_px = (prod(sides_px[tag] for tag in tags) for tags in (_TIFF_SIZE, _TIFF_TILE))
    if tile_px > max(_TIFF_TILE_PX, 2 * picture_px):
        raise TooManyParts(f"its TIFF tiles are of {tile_px} pixels, far more than the picture")


def check_pages(data: bytes) -> None:
    """That a TIFF's first directory is its one picture: beside it only smaller copies and masks; other files pass.

    Raises:
        SeveralPages: another directory holds a picture of its own, or the first holds but a copy of one elsewhere.
        struct.error: the first directory is cut off.
    """
    order = _TIFF_HEADS.get(data[:4])
    if order is None:
        return
    big = b"+" in data[:4]
    at = _first(data, order, big=big)
    tags = _small_numbers(data, order, at, big=big)
    if _is_copy(tags) and _SUB_DIRECTORIES in tags:
        raise SeveralPages("the first page of this TIFF is a thumbnail, as in a camera's raw file; save it as PNG")
    try:
        for _ in range(_DIRECTORIES_LIMIT):
            at = _next(data, order, at, big=big)
            if at == 0:
                return
            if not _is_copy(_small_numbers(data, order, at, big=big)):
                raise SeveralPages("this TIFF has several pages; send the one you want as a file of its own")
    except struct.error:  # what the first picture is does not depend on it
        return


def _is_copy(tags: dict[int, int]) -> bool:
    return bool(tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK) or tags.get(_OLD_SUBFILE) == _OLD_REDUCED


def _small_numbers(data: bytes, order: str, at: int, *, big: bool) -> dict[int, int]:
    """Number of each tag of a directory that holds a whole one."""
    return {
        tag: struct.unpack_from(order + _TIFF_COUNTS[kind], data, place)[0]
        for tag, kind, count, place in _entries(data, order, at, big=big, limit=_TAGS_LIMIT)
        if kind in _TIFF_COUNTS and count
    }


def _first(data: bytes, order: str, *, big: bool) -> int:
    return int(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])


def _next(data: bytes, order: str, at: int, *, big: bool) -> int:
    number_code, entry_bytes, offset_code = ("Q", 20, "Q") if big else ("H", 12, "I")
    (entries,) = struct.unpack_from(order + number_code, data, at)
    end = at + struct.calcsize(order + number_code) + entries * entry_bytes
    return int(struct.unpack_from(order + offset_code, data, end)[0])


def _entries(
    data: bytes, order: str, at: int, *, big: bool, limit: int = READS_LIMIT
) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the place of the values of each entry of the directory at a place (TIFF 6.0 §2, BigTIFF)."""
    offset_code, number_code, entry_code, inline_bytes = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    (entries,) = struct.unpack_from(order + number_code, data, at)
    at += struct.calcsize(order + number_code)
    for number in range(min(entries, limit)):
        start = at + number * (struct.calcsize(order + entry_code) + inline_bytes)
        tag, kind, count = struct.unpack_from(order + entry_code, data, start)
        values = start + struct.calcsize(order + entry_code)
        if struct.calcsize(_TIFF_COUNTS.get(kind, "Q")) * count > inline_bytes and kind not in _TIFF_BYTES:
            (values,) = struct.unpack_from(order + offset_code, data, values)
        yield tag, kind, count, values
