"""The bit of opacity in a BMP of 16-bit pixels, which Pillow leaves out (BITMAPV3INFOHEADER and later)."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

_MASKED, _WITH_OPACITY_BYTES = 3, 56  # BI_BITFIELDS; header sizes from which there is a fourth mask
_MASK_AT = 14 + 52


def opacity_bit(data: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Opacity of an opened BMP of `size` whose 16-bit pixels have a mask for it, else `None`."""
    if len(data) < _MASK_AT + 4:
        return None
    offset, header, _, rows, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    (mask,) = struct.unpack_from("<I", data, _MASK_AT)
    if header < _WITH_OPACITY_BYTES or bits != 16 or compression != _MASKED or not 0 < mask < 1 << 16:
        return None
    width, height = size
    stride = (width * 2 + 3) // 4 * 2  # rows end on four bytes
    if offset + stride * 2 * height > len(data):
        return None
    pixels = np.frombuffer(data, "<u2", stride * height, offset).reshape(height, stride)[:, :width]
    shown = (pixels & np.uint16(mask)).astype(np.float32) * np.float32(255 / mask)
    shown = shown if rows < 0 else shown[::-1]
    return Image.fromarray(np.ascontiguousarray(np.rint(shown).astype(np.uint8)))
