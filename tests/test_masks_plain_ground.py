"""Things on a plain ground as a camera sees them: with a shadow, or hardly brighter than the paper."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from tests.test_generators import make
from worker.masks import Mask, find_mask, working_picture
from worker.mesh.gate import accept
from worker.mesh.notices import notices

SIZE = 420
Drawn = Callable[[ImageDraw.ImageDraw, object], object]


def jug(brush: ImageDraw.ImageDraw, colour: object) -> None:
    brush.ellipse((250, 150, 345, 280), outline=colour, width=22)
    brush.rounded_rectangle((110, 100, 285, 350), 25, fill=colour)


def vase(brush: ImageDraw.ImageDraw, colour: object) -> None:
    brush.polygon(
        [(170, 60), (250, 60), (235, 140), (300, 260), (260, 360), (160, 360), (120, 260), (185, 140)], colour
    )


def shoe(brush: ImageDraw.ImageDraw, colour: object) -> None:
    brush.polygon([(60, 330), (70, 200), (150, 190), (220, 260), (350, 290), (360, 330)], colour)


def photographed(
    draw: Drawn, colour: tuple[int, int, int], ground: tuple[int, int, int], *,
    shadow: float = 0.0, blur: float = 8.0, shading: float = 0.2, noise: float = 1.2,
) -> tuple[Image.Image, np.ndarray]:  # fmt: skip
    """A JPEG of the thing, lit from one side, and the pixels that are the thing."""
    truth = Image.new("L", (SIZE, SIZE), 0)
    draw(ImageDraw.Draw(truth), 255)
    inside = np.asarray(truth) > 0
    cast = np.roll(np.asarray(truth), (-25, 70), (0, 1))
    cast = np.asarray(Image.fromarray(cast).filter(ImageFilter.GaussianBlur(blur))) / 255
    seen = np.array(ground) * (1 - shadow * cast[..., None])
    light = 1 - shading * np.abs(np.linspace(-1, 1, SIZE)) ** 1.5
    seen = np.where(inside[..., None], np.array(colour) * light[None, :, None], seen)
    seen += np.random.default_rng(5).normal(0, noise, seen.shape)
    file = io.BytesIO()
    Image.fromarray(seen.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return Image.open(file).convert("RGBA"), inside


def agreement(mask: Mask, truth: np.ndarray) -> float:
    found = mask.coverage >= 0.5
    return float((found & truth).sum() / (found | truth).sum())


def regions(mask: Mask) -> int:
    return cv2.connectedComponents((mask.coverage >= 0.5).astype(np.uint8), connectivity=4)[0] - 1


@pytest.mark.parametrize("draw", [jug, vase, shoe])
@pytest.mark.parametrize(
    ("colour", "ground", "shadow", "blur"),
    [
        ((60, 90, 170), (250, 250, 250), 0.3, 20), ((190, 50, 40), (250, 250, 250), 0.45, 8),
        ((110, 110, 110), (248, 248, 248), 0.35, 9), ((25, 25, 25), (235, 236, 240), 0.4, 12),
        ((60, 140, 60), (240, 232, 215), 0.5, 10),
    ],
)  # fmt: skip
def test_a_cast_shadow_is_no_part_of_the_thing(
    draw: Drawn, colour: tuple[int, int, int], ground: tuple[int, int, int], shadow: float, blur: float
) -> None:
    image, truth = photographed(draw, colour, ground, shadow=shadow, blur=blur)
    mask = find_mask(working_picture(image))
    assert mask.road == "border"
    assert agreement(mask, truth) > 0.97
    assert regions(mask) == 1


@pytest.mark.parametrize("draw", [jug, vase, shoe])
@pytest.mark.parametrize(
    ("colour", "ground"),
    [((246, 246, 244), (250,) * 3), ((248, 248, 248), (255,) * 3), ((250, 248, 240), (240, 232, 215))],
    ids=str,
)
def test_white_on_white_stays_one_piece_and_is_called_uncertain(
    draw: Drawn, colour: tuple[int, int, int], ground: tuple[int, int, int]
) -> None:
    image, truth = photographed(draw, colour, ground)
    mask = find_mask(working_picture(image))
    assert agreement(mask, truth) > 0.95
    assert regions(mask) == 1
    (notice,) = mask.notices
    assert notice.code == "uncertain_mask" and "mask=" in notice.message


def test_a_soft_grey_thing_is_not_taken_for_a_shadow() -> None:
    image = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(image).ellipse((80, 80, 220, 220), (120, 120, 120))
    mask = find_mask(working_picture(image.filter(ImageFilter.GaussianBlur(9)).convert("RGBA")))
    assert 0.1 < (mask.coverage >= 0.5).mean() < 0.35


def test_only_a_mask_that_may_be_wrong_comes_with_a_notice() -> None:
    image, _ = photographed(vase, (246, 246, 244), (250, 250, 250))
    assert [notice.code for notice in notices(accept(make("extrude", image, resolution=64)))] == ["uncertain_mask"]
    image, _ = photographed(vase, (40, 60, 160), (250, 250, 250))
    assert notices(accept(make("extrude", image, resolution=64))) == ()
    assert find_mask(working_picture(image), road="frame").notices == (), "it was asked for"
