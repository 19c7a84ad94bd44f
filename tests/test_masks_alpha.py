"""What is transparent stays transparent, and thin letters keep their counters; the inside of a drawing is filled."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from tests.pictures import encoded
from worker.generators.outline import MARGIN_CELLS, outline_of
from worker.generators.registry import choose_device, discover
from worker.images import decode
from worker.masks import find_mask, working_picture
from worker.mesh.gate import accept, report

K = 4  # pictures are drawn this much larger and averaged, as paint programs do
INK = (150, 90, 40, 255)
Brush = ImageDraw.ImageDraw


def counted(coverage: np.ndarray) -> tuple[int, int]:
    """Parts, and gaps within them."""
    inside = (coverage >= 0.5).astype(np.uint8)
    around = cv2.copyMakeBorder(1 - inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    parts = cv2.connectedComponents(inside, connectivity=4)[0] - 1
    return parts, cv2.connectedComponents(around, connectivity=8)[0] - 2


def drawn(draw: Callable[[Brush], None], *, ground: object = (0, 0, 0, 0)) -> Image.Image:
    image = Image.new("RGBA" if ground == (0, 0, 0, 0) else "RGB", (400 * K, 400 * K), ground)
    draw(ImageDraw.Draw(image))
    return image.resize((400, 400), Image.Resampling.BOX)


def hoop(left: int, top: int, right: int, bottom: int, width: int) -> Callable[[Brush], None]:
    box = [K * side for side in (left, top, right, bottom)]
    return lambda brush: brush.ellipse(box, outline=INK, width=K * width)


def glasses(brush: Brush) -> None:
    for left in (20, 220):
        hoop(left, 120, left + 160, 280, 6)(brush)
    brush.line([180 * K, 190 * K, 220 * K, 190 * K], INK, 6 * K)


def branches(brush: Brush) -> None:
    for ends in ((20, 20, 380, 390), (380, 30, 30, 350), (200, 10, 190, 390), (10, 120, 390, 240)):
        brush.line([K * end for end in ends], INK, 5 * K)


def cage(brush: Brush) -> None:
    for at in range(20, 400, 60):
        brush.line([K * at, K * 20, K * at, K * 380], INK, 3 * K)
        brush.line([K * 20, K * at, K * 380, K * at], INK, 3 * K)


def plate(brush: Brush) -> None:
    brush.rectangle([0, 0, 400 * K, 400 * K], INK)
    brush.ellipse([192 * K, 192 * K, 208 * K, 208 * K], (0, 0, 0, 0))


OPEN = {
    "bangle": (hoop(30, 30, 370, 370, 24), (1, 1)),
    "wire ring": (hoop(30, 30, 370, 370, 3), (1, 1)),
    "oval ring": (hoop(10, 150, 390, 250, 4), (1, 1)),
    "ring that touches the edges": (hoop(0, 0, 399, 399, 5), (1, 1)),
    "glasses": (glasses, (1, 2)),
    "crossing branches": (branches, None),
    "cage": (cage, (1, 36)),
    "plate with a hole for a screw": (plate, (1, 1)),
}


@pytest.mark.parametrize("name", OPEN)
def test_a_transparent_gap_is_a_gap(name: str) -> None:
    image = drawn(OPEN[name][0])
    mask = find_mask(working_picture(image))
    expected = OPEN[name][1] or counted(np.asarray(image)[..., 3] / 255)
    assert mask.road == "alpha" and counted(mask.coverage) == expected


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_it_is_one_in_every_format_and_in_the_mesh(kind: str) -> None:
    data = encoded(drawn(OPEN["bangle"][0]), kind, **({"lossless": True} if kind == "WEBP" else {}))
    for generator in ("inflate", "extrude"):
        mesh = discover()[generator]
        mesh.load(choose_device("cpu"))
        image = decode(data, max_megapixels=1)
        made = mesh.generate(image, mesh.Params(resolution=128), seed=0, progress=lambda *_: None)
        assert report(accept(made)).euler_number == 0


def test_whoever_asks_for_it_has_gaps_filled() -> None:
    assert counted(find_mask(working_picture(drawn(glasses)), holes="fill").coverage) == (1, 0)


def page(text: str, size: int, ground: object = (0, 0, 0, 0)) -> Image.Image:
    font = ImageFont.load_default(size)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font)
    image = Image.new("RGBA" if ground == (0, 0, 0, 0) else "RGB", (int(box[2]) + 40, int(box[3]) + 40), ground)
    ImageDraw.Draw(image).text((20, 20), text, "black", font)
    return image


def test_every_dot_and_every_counter_of_a_page_is_kept() -> None:
    image = page("\n".join(["geode. seal; booked: 0.8 % of 96 aged pods"] * 12), 28)
    assert image.width * image.height < 1024 * 1024
    assert counted(find_mask(working_picture(image)).coverage) == counted(np.asarray(image)[..., 3] / 255)


def test_single_stray_pixels_are_still_dirt() -> None:
    image = drawn(hoop(30, 30, 370, 370, 60))
    image.putpixel((200, 200), INK)
    image.putpixel((60, 200), (0, 0, 0, 0))
    assert counted(find_mask(working_picture(image)).coverage) == (1, 1)


def test_rounded_corners_are_no_shape_of_a_photograph() -> None:
    image = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(image).ellipse((100, 100, 300, 300), "navy")
    corners = Image.new("L", (400, 400), 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 399, 399), 12, 255)
    image.putalpha(corners)
    assert find_mask(working_picture(image)).road == "border"


GLYPHS = {
    "O": lambda brush, box, width: brush.ellipse(box, outline="black", width=width),
    "D": lambda brush, box, width: brush.rectangle(box, outline="black", width=width),
    "L": lambda brush, box, width: brush.line([box[0], box[1], box[0], box[3], box[2], box[3]], "black", width),
    "I": lambda brush, box, width: brush.line([box[0], box[1], box[0], box[3]], "black", width),
    "P": lambda brush, box, width: (
        brush.rectangle([box[0], box[1], box[2], (box[1] + box[3]) // 2], outline="black", width=width),
        brush.line([box[0], box[1], box[0], box[3]], "black", width),
    ),
}


def word(letters: str, *, width: int, size: int = 180, ground: str = "white") -> Image.Image:
    """Letters as thin as a hairline font has them."""
    image = Image.new("RGB", (size * len(letters), size + 60), ground)
    brush = ImageDraw.Draw(image)
    for number, letter in enumerate(letters):
        GLYPHS[letter](brush, (number * size + 25, 30, number * size + size - 25, size + 30), width)
    return image


@pytest.mark.parametrize("letters", ["LO", "OIL", "PILOD", "DOL", "DOO", "ODO", "LID"])
@pytest.mark.parametrize("width", [2, 4])
def test_thin_letters_on_paper_keep_their_counters(letters: str, width: int) -> None:
    mask = find_mask(working_picture(word(letters, width=width).convert("RGBA")))
    assert mask.road == "border"
    assert counted(mask.coverage) == (len(letters), sum(letters.count(one) for one in "ODP"))


def test_two_lines_of_thin_letters_keep_theirs() -> None:
    image = Image.new("RGB", (720, 480), "white")
    image.paste(word("DOLI", width=3), (0, 0))
    image.paste(word("POLO", width=3), (0, 240))
    assert counted(find_mask(working_picture(image.convert("RGBA"))).coverage) == (8, 5)


def face(brush: Brush) -> None:
    hoop(40, 40, 360, 360, 4)(brush)
    for left in (120, 240):
        brush.ellipse([left * K, 140 * K, (left + 40) * K, 180 * K], INK)


def house(brush: Brush) -> None:
    brush.polygon([K * at for at in (60, 380, 60, 180, 200, 40, 340, 180, 340, 380)], outline=INK, width=5 * K)
    brush.line([60 * K, 180 * K, 340 * K, 180 * K], INK, 5 * K)


@pytest.mark.parametrize("drawing", [hoop(40, 40, 360, 360, 4), face, house], ids=["circle", "face", "house"])
def test_the_inside_of_a_drawing_on_paper_is_filled(drawing: Callable[[Brush], None]) -> None:
    mask = find_mask(working_picture(drawn(drawing, ground="white").convert("RGBA")))
    assert mask.road == "border" and counted(mask.coverage) == (1, 0)


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (4096, 2), (60_000, 1), (2, 1)], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("generator", ["inflate", "extrude", "relief"])
def test_a_strip_becomes_a_mesh(size: tuple[int, int], mode: str, generator: str) -> None:
    image = Image.new(mode, size, (200, 30, 30, 255)[: len(mode)])
    if mode == "RGBA" and max(size) > 2:
        for at in range(0, max(size), 100):
            image.paste((0, 0, 0, 0), (at, 0, at + 30, 2) if size[0] > size[1] else (0, at, 2, at + 30))
    maker = discover()[generator]
    maker.load(choose_device("cpu"))
    image = decode(encoded(image), max_megapixels=1)
    made = maker.generate(image, maker.Params(resolution=64), seed=0, progress=lambda *_: None)
    told = report(accept(made))
    assert told.watertight and told.volume > 0 and max(told.extents) == pytest.approx(1)


@pytest.mark.parametrize("place", [(500, 500), (0, 0), (999, 500)], ids=str)
def test_a_single_pixel_becomes_a_mesh(place: tuple[int, int]) -> None:
    image = Image.new("RGBA", (1000, 1000), (0, 0, 0, 0))
    image.putpixel(place, (255, 0, 0, 255))
    maker = discover()["inflate"]
    made = maker.generate(image, maker.Params(resolution=48), seed=0, progress=lambda *_: None)
    assert report(accept(made)).watertight


LINES = {
    "thin letters": lambda: word("DOOL", width=2),
    "a long word": lambda: word("PILODPILO", width=4),
    "small print": lambda: page("The quick brown fox & 8 geese booked abode", 48, "white"),
    "cage": lambda: drawn(cage),
    "crossing branches": lambda: drawn(branches),
    "wire ring": lambda: drawn(hoop(30, 30, 370, 370, 3)),
    "bangle": lambda: drawn(hoop(30, 30, 370, 370, 24)),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_and_counters_survive_the_grid(name: str) -> None:
    coverage = find_mask(working_picture(LINES[name]().convert("RGBA"))).coverage
    outline = outline_of(coverage, resolution=320, smoothing=0.7, device=torch.device("cpu"))
    assert counted((outline.field.numpy() > 0).astype(np.float32)) == counted(coverage)


def test_a_solid_shape_gets_the_grid_that_was_asked_for() -> None:
    for picture in (drawn(plate), drawn(lambda brush: brush.ellipse([40, 40, 1560, 1560], INK))):
        coverage = find_mask(working_picture(picture)).coverage
        outline = outline_of(coverage, resolution=100, smoothing=0.7, device=torch.device("cpu"))
        assert max(outline.field.shape) <= 100 + 2 * MARGIN_CELLS + 2
