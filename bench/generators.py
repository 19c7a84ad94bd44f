"""How long a generation takes and where the time goes: `python -m bench.generators`.

Seconds per stage, best of three, for the built-in generators with default parameters on a megapixel of each kind of
picture: alpha, plain ground, photograph.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from bench.repeats import drawing
from worker.generators.registry import choose_device, discover
from worker.images import decode
from worker.mesh import canonical
from worker.mesh.gate import accept

ROOT = Path(__file__).parent.parent


def photograph() -> bytes:
    """The sample picture on a ground of many colours: what GrabCut has to work on."""
    ground = Image.effect_noise((64, 64), 90).resize((1000, 1000), Image.Resampling.BICUBIC).convert("RGB")
    rocket = Image.open(ROOT / "assets/rocket.png").convert("RGBA")
    ground.paste(rocket, (0, 0), rocket)
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


PICTURES: dict[str, Callable[[], bytes]] = {
    "alpha": lambda: (ROOT / "assets/rocket.png").read_bytes(),
    "plain": lambda: drawing(1, side_px=1000),
    "photo": photograph,
}


class Stages:
    """Seconds between one stage's beginning and the next one's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def __call__(self, fraction: float, stage: str) -> None:
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def run(name: str, data: bytes) -> dict[str, float]:
    generator = discover()[name]
    generator.load(choose_device("auto"))
    stages = Stages()
    stages(0, "decode")
    image = decode(data, max_megapixels=64)
    mesh = generator.generate(image, generator.Params(), seed=0, progress=stages)
    stages(1, "gate")
    mesh = accept(mesh)
    stages(1, "export")
    canonical.encode(mesh)
    stages(1, "end")
    return stages.seconds | {"faces": len(mesh.faces)}


def rows(rounds: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    for name in ("inflate", "extrude", "relief"):
        for kind, picture in PICTURES.items():
            data = picture()
            tries = [run(name, data) for _ in range(rounds)]
            yield name, kind, min(tries, key=lambda seconds: sum(seconds.values()))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    rounds = asked.parse_args().rounds
    columns = ("decode", "mask", "outline", "solve", "mesh", "texture", "gate", "export")
    print(f"{'generator':10}{'picture':8}" + "".join(f"{column:>9}" for column in columns) + f"{'all':>9}{'faces':>9}")
    for name, kind, seconds in rows(rounds):
        faces = int(seconds.pop("faces"))
        seconds.pop("done", None)
        cells = "".join(f"{seconds.get(column, 0):9.3f}" for column in columns)
        print(f"{name:10}{kind:8}{cells}{sum(seconds.values()):9.3f}{faces:9}")


if __name__ == "__main__":
    main()
