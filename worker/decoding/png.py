"""The chunks of a PNG that say how its numbers are meant; Pillow keeps only some of them, from anywhere in the file."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS_LIMIT = 10_000


def chunks_before_pixels(data: bytes) -> dict[bytes, bytes]:
    """Bodies of the first chunk of each kind before IDAT; empty for what is no PNG (PNG third edition §5.6)."""
    found: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return found
    for _ in range(_CHUNKS_LIMIT):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"IDAT", b"IEND"):
            break
        found.setdefault(kind, data[at + 8 : at + 8 + min(length, 64)])
        at += 12 + length
    return found


def depth_and_colour(data: bytes) -> tuple[int, int]:
    """Bits per sample and colour type of a PNG's header; zeros for what is no PNG (PNG third edition §11.2.1)."""
    if not data.startswith(SIGNATURE) or len(data) < 26:
        return 0, 0
    return data[24], data[25]
