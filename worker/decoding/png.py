"""The chunks of a PNG that say how its numbers are meant; Pillow keeps only some of them, from anywhere in the file."""

from __future__ import annotations

from itertools import islice

from jobs.picture_png import SIGNATURE, chunks

_CHUNKS_LIMIT = 10_000


def chunks_before_pixels(data: bytes) -> dict[bytes, bytes]:
    """Bodies of the first chunk of each kind before IDAT; empty for what is no PNG (PNG third edition §5.6)."""
    found: dict[bytes, bytes] = {}
    for kind, start, length in islice(chunks(data), _CHUNKS_LIMIT):
        if kind in (b"IDAT", b"IEND"):
            break
        found.setdefault(kind, data[start : start + min(length, 64)])
    return found


def depth_and_colour(data: bytes) -> tuple[int, int]:
    """Bits per sample and colour type of a PNG's header; zeros for what is no PNG (PNG third edition §11.2.1)."""
    if not data.startswith(SIGNATURE) or len(data) < 26:
        return 0, 0
    return data[24], data[25]
