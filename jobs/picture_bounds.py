"""What an upload may cost: bounds on what parsers do with its headers, and on what a decoder does beside its pixels.

Pillow reads headers in Python, part by part, and some formats' pixels too; a file of nothing but tiny parts, or one
that has the same bytes decoded over and over, would hold a process for minutes. These bounds are far above what
programs write; with them the number of pixels decides how long decoding takes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

READS_LIMIT = 100_000  # of parts of a header; a PNG of 25 MB takes 9000
_NUMBERS_LIMIT = 300_000  # in one TIFF tag, each becomes a Python object; a 16-bit palette has 196 608
_SCANS_LIMIT = 40  # of a progressive JPEG, each passes over all pixels; encoders write about ten
# What Pillow decodes in Python, half a second per megabyte: a logo passes, nothing larger is sent by anybody.
_IN_PYTHON = {"bmp_rle": "a BMP of run lengths", "ppm_plain": "a PNM in plain text", "ppm": "a PNM of odd depth"}
_IN_PYTHON_LIMIT_BYTES = 1_000_000
_TIFF_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<"}
# Pillow reads these otherwise than libtiff, which decodes them: what the one was asked the other need not do.
_TIFF_ODD_HEADS = (b"MM\0+", b"MM*\0", b"II\0*")
_TIFF_BYTES = (1, 2, 6, 7)  # BYTE, ASCII, SBYTE, UNDEFINED: kept as they are (TIFF 6.0 §2)
_TIFF_COUNTS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8: types that byte counts may have
_TIFF_COMPRESSION, _TIFF_PIECES = 259, (279, 325)  # StripByteCounts, TileByteCounts
_TIFF_SIZE, _TIFF_TILE = (256, 257), (322, 323)  # width and length, of the picture and of a tile
_TIFF_TILE_PX = 1 << 22  # programs write tiles of 256 or 512 pixels square
# None, CCITT, LZW, JPEG, deflate, PackBits. What else libtiff reads no camera or paint program writes.
_TIFF_CODECS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)


class TooManyParts(OSError):
    """A file in so many pieces, or pieces so odd, that reading it is the attack."""


class BoundedReader(io.BytesIO):
    """The upload for a parser that gets at most `READS_LIMIT` reads, until `trust` says that the headers are done."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = READS_LIMIT

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises: TooManyParts."""
        self._left -= 1
        if self._left < 0:
            raise TooManyParts(f"its header has more than {READS_LIMIT} parts")
        return super().read(size)

    def trust(self) -> None:
        """From here on the size in pixels bounds what is done."""
        self._left = 1 << 62


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
    pieces_bytes, sides_px = 0, dict.fromkeys((*_TIFF_SIZE, *_TIFF_TILE), 0)
    for tag, kind, count, at in _entries(data, order, big=b"+" in data[:4]):
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


def _entries(data: bytes, order: str, *, big: bool) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the place of the values of each entry of the first directory (TIFF 6.0 §2, BigTIFF)."""
    offset_code, number_code, entry_code, inline_bytes = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    (at,) = struct.unpack_from(order + offset_code, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + number_code, data, at)
    at += struct.calcsize(order + number_code)
    for number in range(min(entries, READS_LIMIT)):
        start = at + number * (struct.calcsize(order + entry_code) + inline_bytes)
        tag, kind, count = struct.unpack_from(order + entry_code, data, start)
        values = start + struct.calcsize(order + entry_code)
        if struct.calcsize(_TIFF_COUNTS.get(kind, "Q")) * count > inline_bytes and kind not in _TIFF_BYTES:
            (values,) = struct.unpack_from(order + offset_code, data, values)
        yield tag, kind, count, values


def check_jpeg(data: bytes) -> None:
    """The number of scans, which a decoder works through one by one, each over the whole picture.

    Raises:
        TooManyParts: more than any encoder writes.
    """
    scans = data.count(b"\xff\xda")  # SOS; coded data never holds it (ITU-T T.81 §B.1.1.5)
    if scans > _SCANS_LIMIT:
        raise TooManyParts(f"it has {scans} JPEG scans; the limit is {_SCANS_LIMIT}")


def check_decoders(tiles: Iterable[Any], size_bytes: int) -> None:
    """What an opened picture would be decoded by: Pillow's `tile`, each beginning with a decoder's name.

    Raises:
        TooManyParts: a slow one would have to read more than a small picture.
    """
    slow = next((words for name, words in _IN_PYTHON.items() if any(tile[0] == name for tile in tiles)), None)
    if slow and size_bytes > _IN_PYTHON_LIMIT_BYTES:
        raise TooManyParts(
            f"{slow} of {size_bytes} bytes takes too long to decode; the limit is {_IN_PYTHON_LIMIT_BYTES};"
            " save it as PNG"
        )
