"""What a finished mesh costs to hand out: `python -m bench.renditions` prints seconds per form of it.

The sample picture by every built-in generator with default parameters; best of three. `few` stands for
target_faces=20000. Reading the canonical bytes comes first; previews are 512 px wide.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import trimesh

from jobs.requests import FORMATS, RenditionOptions
from worker.generators.registry import BUILT_IN, choose_device, discover
from worker.images import decode
from worker.mesh import canonical
from worker.mesh.gate import accept
from worker.mesh.preview import preview_png
from worker.mesh.renditions import make_rendition

ROOT = Path(__file__).parent.parent
FEW = 20_000


def canonical_bytes(name: str) -> bytes:
    """The sample picture's mesh by one generator, as the archive keeps it."""
    generator = discover()[name]
    generator.load(choose_device("auto"))
    picture = decode((ROOT / "assets/rocket.png").read_bytes(), max_megapixels=64)
    mesh = generator.generate(picture, generator.Params(), seed=0, progress=lambda fraction, stage: None)
    return canonical.encode(accept(mesh))


def best_s(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def forms(data: bytes, mesh: trimesh.Trimesh) -> dict[str, Callable[[], object]]:
    """Every form by the name of its column."""

    def rendition(options: RenditionOptions) -> Callable[[], object]:
        return lambda: make_rendition(mesh, options)

    return {
        "read": lambda: canonical.read(data),
        **{kind: rendition(RenditionOptions(format=kind)) for kind in FORMATS},
        **{f"{kind} few": rendition(RenditionOptions(format=kind, target_faces=FEW)) for kind in FORMATS},
        "preview": lambda: preview_png(mesh, size_px=512),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    rounds = asked.parse_args().rounds
    headed = False
    for name in BUILT_IN:
        data = canonical_bytes(name)
        mesh = canonical.read(data)
        columns = forms(data, mesh)
        if not headed:
            print(f"{'generator':10}{'faces':>8}{'MB':>6}" + "".join(f"{column:>9}" for column in columns))
            headed = True
        cells = "".join(f"{best_s(work, rounds):9.3f}" for work in columns.values())
        print(f"{name:10}{len(mesh.faces):8}{len(data) / 1e6:6.1f}{cells}", flush=True)


if __name__ == "__main__":
    main()
