"""Draws `docs/pictures/demo.png`: the sample picture and what each built-in generator makes of it.

`python -m bench.showcase`
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from worker.generators.registry import choose_device, discover
from worker.images import decode
from worker.mesh.gate import accept
from worker.mesh.preview import preview_png

ROOT = Path(__file__).parent.parent
SIDE = 480


def main() -> None:
    data = (ROOT / "assets/rocket.png").read_bytes()
    picture = decode(data, max_megapixels=64)
    sheet = Image.new("RGB", (4 * SIDE, SIDE), "white")
    card = Image.new("RGBA", (SIDE, SIDE), "white")
    card.alpha_composite(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    sheet.paste(card.convert("RGB"), (0, 0))
    for place, name in enumerate(("inflate", "extrude", "relief"), start=1):
        generator = discover()[name]
        generator.load(choose_device("cpu"))
        mesh = generator.generate(picture, generator.Params(), seed=0, progress=lambda fraction, stage: None)
        shot = preview_png(accept(mesh), size_px=SIDE)
        sheet.paste(Image.open(io.BytesIO(shot)).convert("RGB"), (place * SIDE, 0))
    target = ROOT / "docs/pictures/demo.png"
    sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(target, optimize=True)
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
