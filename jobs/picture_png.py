"""The chunks of a PNG: whether the file is whole, and whether its pixels are those that were written.

It decodes nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from jobs.errors import BadImage
from jobs.picture_bounds import READS_LIMIT

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12  # length, kind and checksum of a chunk, beside its body (PNG third edition §5.3)


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place of the body and its length for each chunk up to IEND; those that claim more than there is as well."""
    at = len(SIGNATURE)
    while data.startswith(SIGNATURE) and at + _FRAME_BYTES <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += _FRAME_BYTES + length


def check_png(data: bytes) -> None:
    """Refuses what is cut off, and what has a wrong checksum elsewhere than in its pixels.

    Wrong pixels are the decoder's to judge: browsers show such a picture, so people send it.

    Raises:
        BadImage
    """
    kind = b""
    for number, (kind, start, length) in enumerate(chunks(data)):
        if number >= READS_LIMIT:
            raise BadImage(f"the picture is not taken: it has more than {READS_LIMIT} parts")
        if start + length + 4 > len(data):
            raise BadImage("the picture is broken: a chunk is longer than the file; send it whole")
        if kind != b"IDAT" and not _is_intact(data, start, length):
            raise BadImage(f"the picture is broken: the checksum of chunk {kind!r} is wrong")
    if kind != b"IEND":
        raise BadImage("the picture is broken: it has no end; send it whole")


def has_damaged_pixels(data: bytes) -> bool:
    """Whether a chunk of pixels has a wrong checksum; False for what is no PNG."""
    return any(kind == b"IDAT" and not _is_intact(data, start, length) for kind, start, length in chunks(data))


def _is_intact(data: bytes, start: int, length: int) -> bool:
    end = start + length
    return data[end : end + 4] == zlib.crc32(memoryview(data)[start - 4 : end]).to_bytes(4, "big")
