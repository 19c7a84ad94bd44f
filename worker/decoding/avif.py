"""The code points of colour in an AVIF without an ICC profile, which Pillow does not hand on.

ISO/IEC 14496-12 and 23008-12: boxes within boxes. It decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_BOXES_LIMIT = 1000
_FLAGS_BYTES = 4  # meta has a version and flags before what it holds


def code_points(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273) of the first description of colour, or `None`."""
    if data[4:8] != b"ftyp":
        return None
    for start, end in _within(data, 0, len(data), b"meta"):
        for properties in _within(data, start + _FLAGS_BYTES, end, b"iprp"):
            for container in _within(data, *properties, b"ipco"):
                for at, _ in _within(data, *container, b"colr"):
                    if data[at : at + 4] == b"nclx" and at + 8 <= len(data):
                        primaries, transfer = struct.unpack_from(">HH", data, at + 4)
                        return primaries, transfer
    return None


def _within(data: bytes, at: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Where the contents of the boxes of one kind begin and end."""
    for _ in range(_BOXES_LIMIT):
        if at + 8 > min(end, len(data)):
            return
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:  # to the end of the file, or of 64 bits: pixels, which come last
            return
        if name == kind:
            yield at + 8, min(at + size, end)
        at += size
