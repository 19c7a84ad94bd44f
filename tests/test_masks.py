"""The shape in a picture: which road is taken, and how well it finds what is there."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jobs.errors import NoSurface
from tests.pictures import all_transparent, varied
from worker.images import decode
from worker.masks import find_mask, working_picture
from worker.masks.picture import LONGEST_SIDE_PX, WORKING_PIXELS


def mask_of(image: Image.Image, **options: object):
    return find_mask(working_picture(image.convert("RGBA")), **options)


def agreement(coverage: np.ndarray, truth: Image.Image) -> float:
    found, true = coverage >= 0.5, np.asarray(truth.resize(coverage.shape[::-1])) > 127
    return float((found & true).sum() / (found | true).sum())


def ellipse(size: tuple[int, int] = (300, 240)) -> tuple[Image.Image, tuple[int, int, int, int]]:
    truth = Image.new("L", size, 0)
    box = (60, 40, 240, 200)
    ImageDraw.Draw(truth).ellipse(box, 255)
    return truth, box


@pytest.mark.parametrize(
    ("picture", "road"),
    [
        ("star on alpha", "alpha"), ("rocket", "alpha"), ("ring", "border"), ("lettering", "border"),
        ("drawing on colour", "border"), ("portrait", "grabcut"), ("photograph of a cup", "frame"),
        ("all white", "frame"), ("1 × 1", "frame"),
    ],
)  # fmt: skip
def test_each_kind_of_picture_takes_its_road(picture: str, road: str) -> None:
    assert find_mask(working_picture(varied(picture))).road == road


@pytest.mark.parametrize("ground", ["white", "black", (120, 160, 90)], ids=str)
def test_a_shape_on_a_plain_ground_is_found_to_the_pixel(ground: object) -> None:
    truth, box = ellipse()
    image = Image.new("RGB", truth.size, ground)
    ImageDraw.Draw(image).ellipse(box, (200, 30, 60))
    mask = mask_of(image)
    assert mask.road == "border" and mask.confidence > 0.6
    assert agreement(mask.coverage, truth) > 0.985


def test_a_ground_that_fades_and_is_noisy_is_still_ground() -> None:
    truth, box = ellipse()
    fade = np.linspace(110, 190, truth.width)[None, :, None] + np.linspace(0, 30, truth.height)[:, None, None]
    noise = np.random.default_rng(1).normal(0, 3, (truth.height, truth.width, 3))
    image = Image.fromarray((fade + noise).clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(image).ellipse(box, (30, 60, 160))
    mask = mask_of(image)
    assert mask.road == "border" and agreement(mask.coverage, truth) > 0.97


def test_a_subject_before_a_busy_ground_is_cut_out() -> None:
    truth, box = ellipse()
    noise = np.random.default_rng(2).integers(60, 200, (truth.height // 8, truth.width // 8, 1), np.uint8)
    ground = np.repeat(np.repeat(noise, 8, 0), 8, 1) * np.array([0.5, 1.0, 0.6])
    image = Image.fromarray(ground.astype(np.uint8)).resize(truth.size)
    ImageDraw.Draw(image).ellipse(box, (230, 60, 200))
    mask = mask_of(image)
    assert mask.road == "grabcut" and agreement(mask.coverage, truth) > 0.95


def test_a_named_road_is_taken_or_falls_back_to_the_frame() -> None:
    image = varied("ring").convert("RGB")
    assert mask_of(image, road="frame").coverage.min() == 1
    assert mask_of(image, road="alpha").road == "frame", "there is no alpha channel that carries a shape"


def test_faint_but_shaped_alpha_counts_as_the_shape() -> None:
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((20, 20, 80, 80), (255, 0, 0, 120))
    mask = mask_of(image)
    assert mask.road == "alpha" and 0.2 < (mask.coverage >= 0.5).mean() < 0.35


def test_holes_of_letters_stay_open_and_can_be_filled() -> None:
    ring = varied("ring")
    centre = (150, 150)
    assert mask_of(ring).coverage[centre] < 0.5
    assert mask_of(ring, holes="fill").coverage[centre] > 0.5


def test_nothing_visible_is_no_shape() -> None:
    with pytest.raises(NoSurface):
        mask_of(decode(all_transparent(), max_megapixels=1))


def test_large_pictures_are_scaled_down_and_hidden_colours_do_not_bleed() -> None:
    image = Image.new("RGBA", (3000, 2000), (0, 255, 0, 0))
    ImageDraw.Draw(image).rectangle((1000, 500, 2000, 1500), (255, 0, 0, 255))
    picture = working_picture(image)
    height, width = picture.shape
    assert height * width <= WORKING_PIXELS * 1.01 and max(picture.shape) <= LONGEST_SIDE_PX
    assert picture.rgb[picture.alpha > 0.02][:, 1].max() < 30, "the transparent green shows"


def test_the_same_picture_gives_the_same_mask() -> None:
    first, second = (find_mask(working_picture(varied("portrait"))) for _ in range(2))
    assert np.array_equal(first.coverage, second.coverage)
