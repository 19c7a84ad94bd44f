"""A PNG with wrong checksums: in its pixels it is taken with a notice, elsewhere or cut off it is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw

from jobs.errors import BadImage
from jobs.picture_png import SIGNATURE, chunks
from jobs.pictures import check_picture
from worker.images import decode, notices_of

LIMIT_MP = 1.0


def drawn(mode: str = "RGB", **options: object) -> bytes:
    picture = Image.new(mode, (40, 30), "white" if mode != "P" else 0)
    ImageDraw.Draw(picture).ellipse((5, 5, 30, 25), fill=0 if mode in ("L", "1") else 1 if mode == "P" else "red")
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def with_wrong_checksum(data: bytes, wrong: bytes) -> bytes:
    """The same chunks; those of the kind `wrong` have another checksum than their bodies."""

    def parts() -> Iterator[bytes]:
        yield SIGNATURE
        for kind, start, length in chunks(data):
            body = data[start : start + length]
            checksum = zlib.crc32(kind + body) ^ (0xFF if kind == wrong else 0)
            yield struct.pack(">I4s", length, kind) + body + checksum.to_bytes(4, "big")

    return b"".join(parts())


def with_other_pixels(data: bytes) -> bytes:
    """One byte more in the compressed pixels than what their checksums were made of."""
    start, length = next((start, length) for kind, start, length in chunks(data) if kind == b"IDAT")
    packed = zlib.decompressobj().decompress(data[start : start + length])
    body = zlib.compress(packed + b"\0")[:-4] + data[start + length - 4 : start + length]
    end = data[start + length + 4 :]
    return data[: start - 8] + struct.pack(">I4s", len(body), b"IDAT") + body + b"\1\2\3\4" + end


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
@pytest.mark.parametrize("damage", [lambda data: with_wrong_checksum(data, b"IDAT"), with_other_pixels])
def test_pixels_with_a_wrong_checksum_are_taken_with_a_notice(mode: str, damage) -> None:
    data = damage(drawn(mode))
    check_picture(data, max_megapixels=LIMIT_MP)
    assert decode(data, max_megapixels=LIMIT_MP).tobytes() == decode(drawn(mode), max_megapixels=LIMIT_MP).tobytes()
    assert [notice.code for notice in notices_of(data)] == ["damaged_picture"]


@pytest.mark.parametrize("data", [drawn(), drawn("P"), b"", SIGNATURE, b"GIF89a"])
def test_other_pictures_get_no_notice(data: bytes) -> None:
    assert not notices_of(data)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IEND"])
def test_a_wrong_checksum_elsewhere_is_refused(kind: bytes) -> None:
    with pytest.raises(BadImage, match="checksum"):
        check_picture(with_wrong_checksum(drawn("P", transparency=0), kind), max_megapixels=LIMIT_MP)


@pytest.mark.parametrize("bytes_missing", [1, 4, 12, 13, 20, 60])
def test_a_picture_that_is_cut_off_is_refused(bytes_missing: int) -> None:
    with pytest.raises(BadImage):
        check_picture(drawn()[:-bytes_missing], max_megapixels=LIMIT_MP)
