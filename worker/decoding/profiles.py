"""ICC profiles: made from primaries and a curve, and cut down to what colour needs before Little CMS reads them.

It decides nothing about which description of a picture's colours holds; `colour` does.
"""

from __future__ import annotations

import struct

import numpy as np

# Of any number of steps (ICC.1:2022 §10.16), each worked through for every colour of a table: minutes.
_ENDLESS_ELEMENTS = b"mpet"
_COLOUR_TAGS = frozenset(
    (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"chad", b"A2B0", b"A2B1", b"A2B2")
)
_TAGS_LIMIT = 100
_D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2022 §7.2.16
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
CURVE_STEPS = 4096

Primaries = tuple[float, float, float, float, float, float, float, float]  # x and y of white, red, green, blue


def only_colour(profile: bytes) -> bytes | None:
    """The profile without its texts and steps of endless number; `None` when it is no profile.

    Little CMS believes the lengths that a text claims: 600 bytes may take hundreds of megabytes.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    table = profile[132 : 132 + 12 * min(count, _TAGS_LIMIT)]
    rows = [
        (name, offset, size)
        for name, offset, size in struct.iter_unpack(">4sII", table[: len(table) // 12 * 12])
        if name in _COLOUR_TAGS and profile[offset : offset + 4] != _ENDLESS_ELEMENTS
    ]
    kept = struct.pack(">I", len(rows)) + b"".join(struct.pack(">4sII", *row) for row in rows)
    return profile[:128] + kept + profile[128 + len(kept) :]


def matrix_profile(primaries: Primaries, curve: np.ndarray) -> bytes | None:
    """An RGB profile of these chromaticities; `curve` is light in 0..1 for evenly spaced codes. ICC.1:2022 §8.3.3.

    `None` when the primaries span no colours.
    """
    colorants = _colorants(primaries)
    if colorants is None or not np.isfinite(curve).all():
        return None
    tags = [(name, b"XYZ \0\0\0\0" + _fixed(column)) for name, column in zip(_XYZ_NAMES, colorants.T, strict=True)]
    levels = np.rint(np.clip(curve, 0, 1) * 65535).astype(">u2")
    steps = b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()
    return _assembled([*tags, (b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50)), *((name, steps) for name in _CURVE_NAMES)])


_XYZ_NAMES, _CURVE_NAMES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")


def _colorants(primaries: Primaries) -> np.ndarray | None:
    """XYZ of red, green and blue as columns, adapted to D50 by the Bradford transform (ICC.1:2022 annex E)."""
    x, y = np.array(primaries, np.float64).reshape(4, 2).T
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (np.abs(y) > 1e-4).all()):
        return None
    tristimulus = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    white, colours = tristimulus[:, 0], tristimulus[:, 1:]
    if abs(np.linalg.det(colours)) < 1e-6:
        return None
    colours = colours * np.linalg.solve(colours, white)
    cones = _BRADFORD @ white
    if (np.abs(cones) < 1e-6).any():
        return None
    adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / cones) @ _BRADFORD
    adapted = adapt @ colours
    return adapted if np.isfinite(adapted).all() and np.abs(adapted).max() < 100 else None


def _fixed(values: np.ndarray) -> bytes:
    """s15Fixed16Number (ICC.1:2022 §4.6)."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _assembled(tags: list[tuple[bytes, bytes]]) -> bytes:
    at, table, blob = 132 + 12 * len(tags), b"", b""
    for name, body in tags:
        table += struct.pack(">4sII", name, at + len(blob), len(body))
        blob += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(blob), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + blob
