"""What an upload may cost before anybody knows whether it is a picture: bounds on what parsers do with its headers.

Pillow reads headers in Python, part by part; a file of nothing but tiny parts would hold a process for many seconds.
These bounds are far above what programs write. They say nothing about pixels.
"""

from __future__ import annotations

import io
import struct

READS_LIMIT = 100_000  # of parts of a header; a PNG of 25 MB takes 9000
_NUMBERS_LIMIT = 300_000  # in one TIFF tag, each becomes a Python object; a 16-bit palette has 196 608
_SCANS_LIMIT = 100  # of a progressive JPEG, each passes over all pixels; encoders write about ten
_TIFF_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
_TIFF_BYTES = (1, 2, 6, 7)  # BYTE, ASCII, SBYTE, UNDEFINED: kept as they are (TIFF 6.0 §2)


class TooManyParts(OSError):
    """A header in so many pieces that reading it is the attack."""


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
        TooManyParts: a tag claims, and the file holds, more numbers than any picture needs.
        struct.error: the directory is cut off.
    """
    order = _TIFF_HEADS.get(data[:4])
    if order is None:
        return
    big = b"+" in data[:4]
    offset_code, number_code, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    (at,) = struct.unpack_from(order + offset_code, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + number_code, data, at)
    at += struct.calcsize(order + number_code)
    size = struct.calcsize(order + entry)
    for number in range(min(entries, READS_LIMIT)):
        tag, kind, count = struct.unpack_from(order + entry, data, at + number * size)
        if kind not in _TIFF_BYTES and count > _NUMBERS_LIMIT:
            raise TooManyParts(f"its TIFF tag {tag} has {count} numbers; the limit is {_NUMBERS_LIMIT}")


def check_jpeg(data: bytes) -> None:
    """The number of scans, which a decoder works through one by one, each over the whole picture.

    Raises:
        TooManyParts: more than any encoder writes.
    """
    scans = data.count(b"\xff\xda")  # SOS; coded data never holds it (ITU-T T.81 §B.1.1.5)
    if scans > _SCANS_LIMIT:
        raise TooManyParts(f"it has {scans} JPEG scans; the limit is {_SCANS_LIMIT}")
