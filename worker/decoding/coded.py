"""Code points of ITU-T H.273 (PNG's cICP, AVIF's nclx) and PNG's gAMA and cHRM, as profiles.

Light brighter than white on paper (203 cd/m², ITU-R BT.2408) is cut off: what comes out has no room for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from worker.decoding.profiles import CURVE_STEPS, Primaries, matrix_profile

_D65 = (0.3127, 0.3290)
SRGB: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}  # H.273 table 2
_WHITE_NITS = 203.0


def srgb_curve(code: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def _perceptual_quantizer(code: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084."""
    root = code ** (1 / 78.84375)
    light = np.clip(root - 0.8359375, 0, None) / (18.8515625 - 18.6875 * root)
    return 10_000 / _WHITE_NITS * light ** (1 / 0.1593017578125)


def _hybrid_log_gamma(code: np.ndarray) -> np.ndarray:
    """ARIB STD-B67, on a display of 1000 cd/m², its system gamma of 1.2 taken channel by channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return 1000 / _WHITE_NITS * scene**1.2


# Pictures for a display by the camera curves of BT.709, BT.601 and BT.2020 (1, 6, 14, 15) are seen on one of sRGB.
_TRANSFER: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys((1, 6, 13, 14, 15), srgb_curve),
    4: lambda code: code**2.2,
    5: lambda code: code**2.8,
    8: lambda code: code,
    16: _perceptual_quantizer,
    18: _hybrid_log_gamma,
}  # H.273 table 3


def coded_profile(primaries: int, transfer: int, *, full_range: bool = True) -> bytes | None:
    """The profile of two code points, or `None` where they are reserved or say nothing."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFER:
        return None
    code = np.linspace(0, 1, CURVE_STEPS)
    if not full_range:
        code = np.clip((code * 255 - 16) / 219, 0, 1)
    return matrix_profile(_PRIMARIES[primaries], _TRANSFER[transfer](code))


def cicp_profile(body: bytes) -> bytes | None:
    """PNG third edition §11.3.2.6: primaries, transfer, matrix (0, for RGB) and whether the range is full."""
    if len(body) != 4 or body[2] != 0 or body[3] > 1:
        return None
    return coded_profile(body[0], body[1], full_range=bool(body[3]))


def gamma_profile(gamma: bytes | None, chromaticities: bytes | None) -> bytes | None:
    """PNG third edition §11.3.2.1 and §11.3.2.2: gAMA and cHRM, each in hundred-thousandths; one may be missing.

    A gamma of 1/2.2 beside no primaries, or beside those of sRGB, is what programs write for sRGB.
    """
    primaries, exponent = SRGB, 0.0
    if chromaticities and len(chromaticities) == 32:
        primaries = tuple(number / 100_000 for number in struct.unpack(">8I", chromaticities))  # type: ignore[assignment]
    if gamma and len(gamma) == 4:
        exponent = struct.unpack(">I", gamma)[0] / 100_000
    of_srgb = np.abs(np.subtract(primaries, SRGB)).max() < 0.002
    if not 0.1 <= exponent <= 10 or (of_srgb and abs(exponent * 2.2 - 1) < 0.05):
        exponent = 0.0
    if of_srgb and not exponent:
        return None
    code = np.linspace(0, 1, CURVE_STEPS)
    return matrix_profile(primaries, code ** (1 / exponent) if exponent else srgb_curve(code))
