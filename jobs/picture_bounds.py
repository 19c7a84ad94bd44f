"""What an upload may cost: bounds on what parsers do with its headers, and on what a decoder does beside its pixels.

Pillow reads headers in Python, part by part, and some formats' pixels too; a file of nothing but tiny parts, or one
that has the same bytes decoded over and over, would hold a process for minutes. These bounds are far above what
programs write; with them the number of pixels decides how long decoding takes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

READS_LIMIT = 100_000  # of parts of a header; a PNG of 25 MB takes 9000
_SCANS_LIMIT = 40  # of a progressive JPEG, each passes over all pixels; encoders write about ten
# What Pillow decodes in Python, half a second per megabyte: a logo passes, nothing larger is sent by anybody.
_IN_PYTHON = {"bmp_rle": "a BMP of run lengths", "ppm_plain": "a PNM in plain text", "ppm": "a PNM of odd depth"}
_IN_PYTHON_LIMIT_BYTES = 1_000_000
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # in coded data FF00 is a byte FF and D0 to D7 restart
_JPEG_SCAN, _JPEG_END, _JPEG_ALONE = 0xDA, 0xD9, (0x01, 0xD8)


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


def check_jpeg(data: bytes) -> None:
    """The number of scans of a JPEG's first picture, which a decoder works through one by one, each over all pixels.

    It goes from marker to marker (ITU-T T.81 §B.1.1): behind the first picture anything may stand, such as a video.

    Raises:
        TooManyParts: more scans than any encoder writes, or more segments than a header may have.
    """
    at = scans = 0
    for _ in range(READS_LIMIT):
        found = _JPEG_MARKER.search(data, at)
        if found is None or data[found.start() + 1] == _JPEG_END:
            return
        marker, at = data[found.start() + 1], found.end()
        if marker not in _JPEG_ALONE:
            at += int.from_bytes(data[at : at + 2])
        if marker == _JPEG_SCAN:
            scans += 1
            if scans > _SCANS_LIMIT:
                raise TooManyParts(f"it has more than {_SCANS_LIMIT} JPEG scans")
    raise TooManyParts(f"its header has more than {READS_LIMIT} parts")


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
