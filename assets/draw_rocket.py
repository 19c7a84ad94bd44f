"""Draws `rocket.png`, the sample picture: `python assets/draw_rocket.py`. Same licence as the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIDE = 1000
FINE = 3  # drawn so much larger, then scaled down: smooth edges

INK = (52, 48, 72)
CREAM, CREAM_SHADE = (250, 243, 228), (226, 210, 190)
RED, RED_SHADE = (232, 78, 62), (190, 52, 50)
GLASS, GLASS_LIGHT = (92, 178, 214), (190, 232, 244)
FLAME, FLAME_CORE = (255, 164, 46), (255, 226, 120)

Point = tuple[float, float]


def curve(start: Point, pull: Point, end: Point, steps: int = 60) -> list[Point]:
    """A quadratic Bézier curve as points."""
    parts = [step / steps for step in range(steps + 1)]
    return [
        tuple((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c for a, b, c in zip(start, pull, end, strict=True))
        for t in parts
    ]


def mirrored(points: list[Point]) -> list[Point]:
    return [(SIDE - x, y) for x, y in points]


def hull() -> list[Point]:
    right = curve((500, 60), (700, 250), (672, 560)) + curve((672, 560), (660, 690), (600, 760))
    return right + mirrored(right)[::-1]


def fin() -> list[Point]:
    return curve((655, 560), (820, 640), (806, 840)) + curve((806, 840), (730, 760), (610, 748))


def flame(width: float, length: float) -> list[Point]:
    right = curve((500 + width / 2, 770), (500 + width * 0.75, 770 + length * 0.55), (500, 770 + length))
    return right + mirrored(right)[::-1]


def painter(image: Image.Image) -> Callable[..., None]:
    brush = ImageDraw.Draw(image)

    def paint(points: list[Point], fill: tuple[int, int, int], outline: float = 14) -> None:
        fine = [(x * FINE, y * FINE) for x, y in points]
        brush.polygon(fine, fill=fill)
        if outline:
            brush.line([*fine, *fine[:2]], fill=INK, width=round(outline * FINE), joint="curve")

    return paint


def disc(x: float, y: float, radius: float) -> list[Point]:
    return [(x + radius * math.cos(a / 60 * math.tau), y + radius * math.sin(a / 60 * math.tau)) for a in range(60)]


def draw() -> Image.Image:
    image = Image.new("RGBA", (SIDE * FINE, SIDE * FINE), (0, 0, 0, 0))
    paint = painter(image)
    paint(flame(150, 190), FLAME)
    paint(flame(76, 110), FLAME_CORE, outline=0)
    for points in (fin(), mirrored(fin())):
        paint(points, RED)
    paint([(585, 745), (615, 800), (385, 800), (415, 745)], INK)
    paint(hull(), CREAM)
    shade = curve((500, 60), (700, 250), (672, 560)) + curve((672, 560), (660, 690), (600, 760))
    paint([*shade, *curve((560, 760), (630, 560), (500, 60))], CREAM_SHADE, outline=0)
    nose = curve((500, 60), (585, 145), (632, 262)) + curve((632, 262), (500, 310), (368, 262))
    paint([*nose, *curve((368, 262), (415, 145), (500, 60))], RED)
    paint(
        [
            *curve((500, 60), (585, 145), (632, 262)),
            *curve((632, 262), (590, 280), (566, 286)),
            *curve((566, 286), (560, 160), (500, 60)),
        ],
        RED_SHADE,
        outline=0,
    )
    band = curve((341, 640), (500, 700), (659, 640)) + curve((650, 690), (500, 752), (350, 690))
    paint(band, RED)
    paint(disc(500, 450, 104), CREAM_SHADE)
    paint(disc(500, 450, 74), GLASS)
    paint(disc(474, 424, 24), GLASS_LIGHT, outline=0)
    return image.filter(ImageFilter.GaussianBlur(FINE / 3)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw().quantize(128, method=Image.Quantize.FASTOCTREE).save(Path(__file__).with_name("rocket.png"), optimize=True)
