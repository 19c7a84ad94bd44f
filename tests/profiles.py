"""ICC profiles and PNG chunks for tests, written from their specifications, and what colours must come of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

from tests.security.mutations import SIGNATURE, chunk

# Columns: XYZ of red, green and blue under D50, as the makers of these spaces publish them.
COLORANTS = {
    "sRGB": ((0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733)),
    "P3": ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}
D50 = (0.9642, 1.0, 0.8249)
SRGB_CHRM = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3_CHRM = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def profile(name: str, space: str | None, gamma: float | None) -> bytes:
    """A version 2 profile; no `space` is grey, no `gamma` is the curve of sRGB."""
    tags = [(b"desc", _description(name)), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", _xyz(D50))]
    curve = b"curv\0\0\0\0" + (struct.pack(">IH", 1, round(gamma * 256)) if gamma else _srgb_table())
    if space is None:
        tags.append((b"kTRC", curve))
    else:
        tags += [(name, _xyz(value)) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), COLORANTS[space], strict=True)]
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _assembled(tags, b"mntr", b"RGB " if space else b"GRAY", b"XYZ ")


def inks(*, red: bool) -> bytes:
    """A CMYK profile of a table with two steps a channel (lut8Type), in which cyan prints `red` and black black."""
    lab = np.zeros((2, 2, 2, 2, 3))
    lab[..., 0, :] = (100, 0, 0)
    lab[1, :, :, 0] = (50, 60, 40) if red else (60, -40, -40)
    coded = np.rint(lab * (2.55, 1, 1) + (0, 128, 128)).astype(np.uint8)
    identity = b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    straight = bytes(range(256))
    body = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + straight * 4 + coded.tobytes() + straight * 3
    return _assembled(
        [(b"desc", _description("inks")), (b"wtpt", _xyz(D50)), (b"A2B0", body)], b"prtr", b"CMYK", b"Lab "
    )


def _assembled(tags: list[tuple[bytes, bytes]], device: bytes, space: bytes, connection: bytes) -> bytes:
    at, table, blob = 132 + 12 * len(tags), b"", b""
    for tag, body in tags:
        table += struct.pack(">4sII", tag, at + len(blob), len(body))
        blob += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(blob), b"none", 0x02400000, device, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(_fixed, D50))
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + blob


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _srgb_table() -> bytes:
    return struct.pack(">I1024H", 1024, *np.rint(65535 * light(np.linspace(0, 1, 1024))).astype(int))


def _description(text: str) -> bytes:
    words = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(words)) + words + bytes(78)


def light(code: np.ndarray) -> np.ndarray:
    """sRGB codes in 0..1 to light (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4)


def code(shone: np.ndarray) -> np.ndarray:
    """Light to sRGB codes in 0..255, as in a picture."""
    shone = np.clip(shone, 0, 1)
    return np.rint(255 * np.where(shone <= 0.0031308, shone * 12.92, 1.055 * shone ** (1 / 2.4) - 0.055)).astype(int)


def in_srgb(shone: Iterable[float], space: str) -> np.ndarray:
    """Light of red, green and blue of a space as sRGB codes in 0..255."""
    colorants = {name: np.array(value).T for name, value in COLORANTS.items()}
    return code(np.linalg.solve(colorants["sRGB"], colorants[space] @ np.array(list(shone))))


def with_chunks(image: Image.Image, *chunks: tuple[bytes, bytes], late: bool = False) -> bytes:
    """A PNG of the picture with more chunks before its pixels, or behind them."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    whole = buffer.getvalue()
    at = whole.index(b"IEND") - 4 if late else len(SIGNATURE) + 25
    return whole[:at] + b"".join(chunk(*one) for one in chunks) + whole[at:]


def gama(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(exponent * 100_000))


def chrm(places: Iterable[float]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(place * 100_000) for place in places))


def cicp(primaries: int, transfer: int, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, 0, full))


def iccp(blob: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"sRGB\0\0" + zlib.compress(blob)


SRGB_CHUNK = (b"sRGB", b"\0")
