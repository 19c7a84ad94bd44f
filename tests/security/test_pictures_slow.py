"""Pictures made to be slow are decoded in a time and a memory that their pixels bound, or refused at once."""

from __future__ import annotations

import contextlib
import io
from math import isqrt

import pytest
from PIL import Image

from jobs.errors import BadImage
from jobs.pictures import check_picture
from tests.security.mutations import encoded
from tests.security.peak import bounded
from tests.security.slow_pictures import REFUSED, TAKEN, endless_profile, huge_orientation, tiff, tiff_of_one_tile
from worker.images import decode

MEGAPIXELS = 16  # a quarter of MAX_IMAGE_MP; `python -m tests.security.slow_pictures` measures all of it
# Three times the slowest and half more than the largest, per megapixel; beside it what pixels do not bound.
S_PER_MEGAPIXEL, MB_PER_MEGAPIXEL = 0.15, 25
SMALL_S = 1.0


@pytest.mark.parametrize("name", TAKEN)
def test_the_slowest_picture_of_each_kind_is_bounded_by_its_pixels(name: str) -> None:
    data = TAKEN[name](isqrt(MEGAPIXELS * 10**6))
    check_picture(data, max_megapixels=MEGAPIXELS)
    with (
        bounded(s=SMALL_S + S_PER_MEGAPIXEL * MEGAPIXELS, mb=MB_PER_MEGAPIXEL * MEGAPIXELS),
        contextlib.suppress(BadImage),
    ):
        decode(data, max_megapixels=MEGAPIXELS)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_decoded_for_minutes_is_refused_at_once(name: str) -> None:
    data = REFUSED[name]()
    for step in (check_picture, decode):
        with bounded(), pytest.raises(BadImage, match="not taken"):
            step(data, max_megapixels=64)


def test_a_tiff_of_a_few_equal_rows_may_say_them_once() -> None:
    row = encoded("TIFF", "L", (200, 1), compression="packbits")
    found = Image.open(io.BytesIO(row)).tag_v2
    data = tiff(200, 32773, row[found[273][0] :][: found[279][0]], 2)
    assert check_picture(data, max_megapixels=1).height_px == 2
    decode(data, max_megapixels=1)


def test_a_tiff_may_be_one_tile_that_is_a_little_larger_than_the_picture() -> None:
    assert decode(tiff_of_one_tile(3000, 3008), max_megapixels=16).size == (3000, 3000)


def test_a_profile_of_a_hundred_thousand_steps_is_not_followed() -> None:
    for kind, steps in (("PNG", 100_000), ("JPEG", 500_000)):
        data = encoded(kind, icc_profile=endless_profile(steps))
        with bounded():
            decode(data, max_megapixels=1)


def test_an_orientation_of_ten_million_numbers_is_not_read() -> None:
    data = huge_orientation()
    with bounded():
        decode(data, max_megapixels=1)
