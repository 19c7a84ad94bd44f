"""Spoiled pictures through both ends of the service: what the API checks, and what a worker decodes.

python -m tests.security.fuzz_pictures 10000    # seeds 0 to 9999
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable

from PIL import Image

from jobs.errors import BadImage, ImageTooLarge
from jobs.pictures import PICTURE_FORMATS, check_picture
from tests.security.mutations import seeds, spoiled
from tests.security.peak import forget_peak, peak_mb
from worker.images import decode

MEGAPIXELS = 1.0
LONGEST_S = 2.0
# A picture of a megapixel is 4 MB as RGBA; decoding may hold it several times over, in wider samples.
MOST_MEMORY_MB = 96


class Fault(AssertionError):
    """A spoiled picture did harm."""


def try_pictures(numbers: Iterable[int]) -> Counter[str]:
    """How many ended in what, by name.

    Raises: Fault: an error that is none of ours came out, or it took too long or too much memory.
    """
    pictures = seeds()
    for picture in pictures:
        decode(picture, max_megapixels=MEGAPIXELS)
    ends: Counter[str] = Counter()
    forget_peak()
    before_mb = peak_mb()
    for number in numbers:
        data = spoiled(pictures, number)
        began = time.perf_counter()
        for step in (_checked, _decoded):
            ends[f"{step.__name__[1:]}: {_outcome(step, data, number)}"] += 1
        if (took_s := time.perf_counter() - began) > LONGEST_S:
            raise Fault(f"seed {number} took {took_s:.1f} s; the limit is {LONGEST_S}")
        if (grown_mb := peak_mb() - before_mb) > MOST_MEMORY_MB:
            raise Fault(f"seed {number} took {grown_mb:.0f} MB more than any before; the limit is {MOST_MEMORY_MB}")
    return ends


def _outcome(step: object, data: bytes, number: int) -> str:
    try:
        return str(step(data))  # type: ignore[operator]
    except (BadImage, ImageTooLarge) as error:
        return type(error).__name__
    except BaseException as error:
        raise Fault(f"seed {number}: {type(error).__name__}: {error}") from error


def _checked(data: bytes) -> str:
    header = check_picture(data, max_megapixels=MEGAPIXELS)
    assert header.format in (*PICTURE_FORMATS, "MPO") and header.width_px * header.height_px <= MEGAPIXELS * 1e6
    return "taken"


def _decoded(data: bytes) -> str:
    picture: Image.Image = decode(data, max_megapixels=MEGAPIXELS)
    assert picture.mode == "RGBA" and picture.width * picture.height <= MEGAPIXELS * 1e6
    picture.tobytes()
    return "taken"


if __name__ == "__main__":
    for end, times in try_pictures(range(int(sys.argv[1]) if sys.argv[1:] else 10_000)).most_common():
        print(f"{times:6}  {end}")
    print(f"most memory: {peak_mb():.0f} MB")
