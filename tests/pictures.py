"""Pictures of many kinds, drawn here or taken from scikit-image's own files, for tests of the generators."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFont

from worker.images import decode

ROOT = Path(__file__).parent.parent
SKIMAGE = Path(skimage.__file__).parent / "data"


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def canvas(
    size: tuple[int, int] = (240, 200), colour: object = "white", mode: str = "RGB"
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new(mode, size, colour)
    return image, ImageDraw.Draw(image)


def disc() -> bytes:
    image, brush = canvas((300, 300))
    brush.ellipse((30, 30, 270, 270), "navy")
    return encoded(image)


def ring() -> bytes:
    image, brush = canvas((300, 300))
    brush.ellipse((30, 30, 270, 270), "crimson")
    brush.ellipse((110, 110, 190, 190), "white")
    return encoded(image)


def star_on_alpha() -> bytes:
    image, brush = canvas((260, 260), (0, 0, 0, 0), "RGBA")
    turns = np.linspace(0, 2 * np.pi, 11)[:-1] - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 120, 52)
    brush.polygon(
        [(130 + r * np.cos(t), 130 + r * np.sin(t)) for r, t in zip(radius, turns, strict=True)], (240, 180, 20, 255)
    )
    return encoded(image)


def two_islands() -> bytes:
    image, brush = canvas((320, 200))
    brush.rectangle((20, 40, 130, 160), "darkgreen")
    brush.ellipse((180, 40, 300, 160), "orange")
    return encoded(image)


def lettering() -> bytes:
    image, brush = canvas((1260, 480))
    brush.text((60, 40), "Boat", "black", ImageFont.load_default(360))
    return encoded(image)


def drawing_on_colour() -> bytes:
    """A face of several colours on a ground that is not white and not quite even."""
    ground = np.tile(np.linspace(150, 175, 300)[:, None, None], (1, 300, 3)) * [0.9, 1.0, 1.05]
    image = Image.fromarray(ground.astype(np.uint8))
    brush = ImageDraw.Draw(image)
    brush.ellipse((50, 50, 250, 250), (250, 210, 60))
    for x in (110, 170):
        brush.ellipse((x, 110, x + 24, 140), (40, 30, 30))
    brush.arc((100, 120, 200, 210), 20, 160, (160, 30, 30), 10)
    return encoded(image)


def photograph(name: str) -> Callable[[], bytes]:
    return lambda: (SKIMAGE / name).read_bytes()


def sixteen_bit() -> bytes:
    values = np.full((120, 120), 65535, np.uint16)
    values[30:90, 20:100] = 9000
    return encoded(Image.fromarray(values))


def cmyk() -> bytes:
    image, brush = canvas((200, 160), (0, 0, 0, 0), "CMYK")
    brush.ellipse((40, 20, 160, 140), (0, 200, 200, 20))
    return encoded(image, "JPEG", quality=92)


def palette() -> bytes:
    image, brush = canvas((200, 160))
    brush.polygon([(100, 10), (190, 150), (10, 150)], (30, 120, 200))
    return encoded(image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG")


def exif_rotated() -> bytes:
    image, brush = canvas((240, 160))
    brush.rectangle((40, 60, 200, 100), "purple")
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif, quality=95)


def huge() -> bytes:
    image, brush = canvas((20_000, 300))
    brush.rectangle((500, 50, 19_500, 250), "teal")
    return encoded(image)


def tiny() -> bytes:
    return encoded(Image.new("RGB", (1, 1), "red"))


def all_white() -> bytes:
    return encoded(Image.new("RGB", (64, 64), "white"))


def all_transparent() -> bytes:
    return encoded(Image.new("RGBA", (64, 64), (255, 0, 0, 0)))


VARIED: dict[str, Callable[[], bytes]] = {
    "rocket": lambda: (ROOT / "assets/rocket.png").read_bytes(),
    "disc": disc,
    "ring": ring,
    "star on alpha": star_on_alpha,
    "two islands": two_islands,
    "lettering": lettering,
    "drawing on colour": drawing_on_colour,
    "silhouette of a horse": photograph("horse.png"),
    "photograph of a cup": photograph("coffee.png"),
    "photograph of a cat": photograph("chelsea.png"),
    "photograph of a rocket": photograph("rocket.jpg"),
    "portrait": photograph("astronaut.png"),
    "16 bit": sixteen_bit,
    "CMYK": cmyk,
    "palette": palette,
    "rotated by EXIF": exif_rotated,
    "1 × 1": tiny,
    "20 000 px wide": huge,
    "all white": all_white,
}


@cache
def varied(name: str) -> Image.Image:
    """One of `VARIED`, decoded."""
    return decode(VARIED[name](), max_megapixels=64)
