"""A relief has the file's own heights, and else shows what the picture shows a person."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import map_coordinates

from tests.pictures import encoded
from tests.test_decoding_opacity import png, tiff
from worker.generators.registry import choose_device, discover
from worker.images import decode

MM = 4.0  # height of the relief
BASE, HEIGHT = 0.03, 0.08  # defaults, of the longer side


def points(image: bytes | Image.Image, resolution: int = 144, **params: Any) -> np.ndarray:
    """The front of the relief: x and y in 0..1 of the longer side, downwards, and height in mm over the base."""
    picture = decode(image, max_megapixels=5) if isinstance(image, bytes) else image.convert("RGBA")
    maker = discover()["relief"]
    maker.load(choose_device("cpu"))
    made = maker.generate(picture, maker.Params(resolution=resolution, **params), seed=0, progress=lambda *_: None)
    front = np.asarray(made.vertices[: len(made.vertices) // 2]) * [1, -1, 1]
    longest = float(np.ptp(front[:, :2], axis=0).max())
    front /= longest
    front[:, 2] = (front[:, 2] - BASE) / HEIGHT * MM
    return front


Y, X = np.mgrid[-1:1:301j, -1:1:401j]
TERRAIN = 0.5 + 0.35 * np.sin(2.2 * X) * np.cos(1.7 * Y) + 0.15 * X
TERRAIN = (TERRAIN - TERRAIN.min()) / np.ptp(TERRAIN)


def off_by_mm(found: np.ndarray, truth: np.ndarray = TERRAIN) -> float:
    """Largest difference to the terrain, leaving out the outermost cells, where a node averages over the edge."""
    places = found[:, :2] * 401 - 0.5
    expected = map_coordinates(truth, places[:, ::-1].T, order=1, mode="nearest") * MM
    inner = (places > 3).all(axis=1) & (places[:, 0] < 397) & (places[:, 1] < 297)
    return float(np.abs(found[:, 2] - expected)[inner].max())


def spread(low: float, high: float, kind: str) -> np.ndarray:
    values = low + (high - low) * TERRAIN
    return (values if kind.startswith("float") else np.rint(values)).astype(kind)


HEIGHTS = {
    "16 bits, all of them": lambda: encoded(Image.fromarray(spread(0, 65_535, "uint16"))),
    "metres in a PNG": lambda: encoded(Image.fromarray(spread(236, 1076, "uint16"))),
    "millimetres of a depth camera": lambda: encoded(Image.fromarray(spread(500, 4000, "uint16"))),
    "a few steps high up": lambda: encoded(Image.fromarray(spread(60_000, 60_400, "uint16"))),
    "with three equal channels": lambda: png(spread(100, 900, "uint16")[..., None].repeat(3, 2), 16, 2),
    "with a channel of opacity": lambda: png(np.dstack([spread(100, 900, "uint16"), np.full(X.shape, 65_535)]), 16, 4),
    "below the sea": lambda: tiff(spread(-400, 300, "int16")),
    "32 bits": lambda: tiff(spread(3_000_000_000, 3_000_100_000, "uint32"), compression="zlib"),
    "metres in floats": lambda: tiff(spread(236, 1076, "float32")),
    "floats up to 8": lambda: tiff(spread(0, 8, "float32")),
    "floats up to 1.02": lambda: tiff(spread(0, 1.02, "float32")),
    "floats up to a half": lambda: tiff(spread(0, 0.5, "float32")),
    "floats of the other order": lambda: tiff(spread(1, 2, "float32"), byteorder=">", compression="zlib"),
    "64-bit floats": lambda: tiff(spread(1_000_000, 1_000_001, "float64")),
    "PGM": lambda: b"P5\n401 301\n4095\n" + spread(200, 1900, "uint16").astype(">u2").tobytes(),
    "PFM": lambda: b"Pf\n401 301\n-1.0\n" + spread(-3, 900, "float32")[::-1].tobytes(),
}


@pytest.mark.parametrize("name", HEIGHTS)
def test_heights_are_those_of_the_file_to_a_twentieth_of_a_millimetre(name: str) -> None:
    assert off_by_mm(points(HEIGHTS[name](), smoothing=0)) < 0.05


def test_a_small_peak_is_not_cut_off() -> None:
    values = spread(0, 1000, "float32")
    values[150:156, 200:206] = 2000
    found = points(tiff(values), resolution=288, smoothing=0)
    assert found[:, 2].max() == pytest.approx(MM, abs=0.05)
    away = np.hypot(found[:, 0] - 0.5, found[:, 1] - 0.375) > 0.05
    assert found[away, 2].max() == pytest.approx(MM / 2, abs=0.05)


def test_the_range_can_be_given_so_that_tiles_fit_together() -> None:
    whole = points(tiff(spread(0, 1000, "float32")), smoothing=0, low=0, high=2000)
    assert whole[:, 2].max() == pytest.approx(MM / 2, abs=0.02)
    cut = points(tiff(spread(0, 1000, "float32")), smoothing=0, low=0, high=500)
    assert off_by_mm(cut, np.clip(TERRAIN * 2, 0, 1)) < 0.05
    level = points(Image.new("L", (40, 30), 64), low=0, high=255)
    assert level[:, 2].mean() == pytest.approx(MM * 64 / 255, abs=0.02)


@pytest.mark.parametrize("mark", [-9999.0, float("nan"), -3.4e38])
def test_what_is_no_height_does_not_squeeze_the_others(mark: float) -> None:
    values = spread(236, 1076, "float32")
    values[:20, :20] = mark
    found = points(tiff(values, extratags=[(42113, "s", 0, str(mark), True)]), smoothing=0)
    corner = (found[:, 0] < 0.06) & (found[:, 1] < 0.06)
    assert off_by_mm(found[~corner]) < 0.05 and found[found[:, :2].sum(axis=1) < 0.04, 2].max() < 0.05


def test_more_pixels_than_the_grid_has_are_averaged() -> None:
    large = cv2.resize(TERRAIN, (2400, 1800), interpolation=cv2.INTER_LINEAR)
    assert off_by_mm(points(encoded(Image.fromarray((236 + 840 * large).astype(np.uint16))), smoothing=0)) < 0.05


def badge(colour: tuple[int, ...], hidden: tuple[int, int, int] = (0, 0, 0), alpha: int = 255) -> Image.Image:
    image = Image.new("RGBA", (300, 300), (*hidden, 0))
    ImageDraw.Draw(image).ellipse([75, 75, 225, 225], (*colour, alpha))
    return image


def levels(image: Image.Image, **params: Any) -> tuple[float, float, float]:
    """Height in the middle, height around it, and how rough either is."""
    found = points(encoded(image), resolution=96, **params)
    away = np.hypot(found[:, 0] - 0.5, found[:, 1] - 0.5)
    inner, outer = found[away < 0.2, 2], found[away > 0.32, 2]
    return float(inner.mean()), float(outer.mean()), float(max(np.ptp(inner), np.ptp(outer)))


COLOURS = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (235, 235, 235), (255, 0, 0), (255, 255, 60), (0, 0, 90)]


@pytest.mark.parametrize("colour", COLOURS, ids=str)
@pytest.mark.parametrize("alpha", [255, 128, 60])
@pytest.mark.parametrize("style", ["brightness", "lithophane"])
def test_a_shape_on_nothing_stands_out_whatever_its_colour(
    colour: tuple[int, int, int], alpha: int, style: str
) -> None:
    inner, outer, rough = levels(badge(colour, alpha=alpha), style=style)
    assert abs(inner - outer) > 0.9 * MM and rough < 0.05


def test_what_is_dark_on_nothing_is_low_and_what_is_bright_is_high() -> None:
    dark, bright = levels(badge((20, 20, 20))), levels(badge((250, 250, 250)))
    assert dark[0] < dark[1] and bright[0] > bright[1]


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 60, 60)], ids=str)
def test_hidden_colours_do_not_show(colour: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    plain = badge(colour)
    busy = np.dstack(
        [np.where(np.asarray(plain)[..., 3:] == 0, noise, np.asarray(plain)[..., :3]), plain.getchannel("A")]
    )
    assert np.array_equal(points(plain, resolution=96), points(Image.fromarray(busy), resolution=96))


def test_black_and_white_on_nothing_both_stand_out() -> None:
    image = badge((0, 0, 0))
    ImageDraw.Draw(image).pieslice([75, 75, 225, 225], 90, 270, (255, 255, 255, 255))
    found = points(encoded(image), resolution=96)
    heights = [
        float(np.median(found[np.hypot(found[:, 0] - x, found[:, 1] - 0.5) < 0.05, 2])) for x in (0.38, 0.62, 0.08)
    ]
    white, black, ground = heights
    assert white > ground + MM / 4 > black + MM / 2


def test_opacity_that_fades_is_a_slope() -> None:
    fade = np.zeros((100, 300, 4), np.uint8)
    fade[..., :3], fade[..., 3] = 255, np.linspace(0, 255, 300)
    found = points(Image.fromarray(fade), resolution=96)
    middle = found[np.abs(found[:, 1] - 0.16) < 0.02]
    middle = middle[np.argsort(middle[:, 0])]
    assert (np.diff(middle[:, 2]) > -0.02).all() and middle[-1, 2] - middle[0, 2] > 0.9 * MM


@pytest.mark.parametrize(("colour", "ground"), [((255, 0, 0), (0, 130, 0)), ((220, 70, 200), (70, 160, 90))], ids=str)
def test_colours_of_one_brightness_are_told_apart(colour: tuple[int, ...], ground: tuple[int, ...]) -> None:
    image = Image.new("RGB", (300, 300), ground)
    ImageDraw.Draw(image).ellipse([75, 75, 225, 225], colour)
    assert abs(np.subtract(*image.convert("L").getextrema())) < 10
    inner, outer, _ = levels(image)
    assert abs(inner - outer) > 0.9 * MM


@pytest.mark.parametrize(("dot", "ground"), [(255, 0), (0, 255), (255, 120)], ids=str)
def test_a_small_bright_or_dark_dot_is_shown(dot: int, ground: int) -> None:
    image = Image.new("L", (300, 300), ground)
    ImageDraw.Draw(image).ellipse([140, 140, 160, 160], dot)
    found = points(encoded(image), resolution=150)
    at = np.hypot(found[:, 0] - 0.5, found[:, 1] - 0.5)
    assert abs(found[at < 0.01, 2].mean() - found[at > 0.1, 2].mean()) > 0.9 * MM


def test_a_photograph_is_read_by_its_brightness_alone() -> None:
    from tests.pictures import varied
    from worker.generators.tone import contrasted

    for name in ("photograph of a cat", "portrait", "photograph of a rocket"):
        rgb = np.asarray(varied(name).convert("RGB"))
        assert np.array_equal(contrasted(rgb), cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2GRAY))
