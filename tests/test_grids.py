"""Grids and thin shapes: no grid finer than the picture or dearer than the limit, and words for what is too thin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from jobs.errors import NoSurface
from tests.pictures import varied
from tests.test_generators import BUILT_IN, make
from worker.generators.grid import MOST_FACES, affordable
from worker.generators.outline import Outline, _too_thin
from worker.mesh import canonical
from worker.mesh.gate import accept, report
from worker.mesh.notices import notices


def strip(width: int, height: int) -> Image.Image:
    return Image.new("RGBA", (width, height), (200, 30, 30, 255))


def on_paper(size: tuple[int, int], line: tuple[int, int, int, int], width: int) -> Image.Image:
    image = Image.new("RGBA", size, "white")
    ImageDraw.Draw(image).line(line, "navy", width)
    return image


def on_glass(*lines: tuple[tuple[int, int, int, int], int]) -> Image.Image:
    image = Image.new("RGBA", (700, 700), (0, 0, 0, 0))
    for line, width in lines:
        ImageDraw.Draw(image).line(line, (30, 60, 200, 255), width)
    return image


THIN = {
    "3000 × 1": strip(3000, 1), "1 × 2500": strip(1, 2500), "9000 × 2": strip(9000, 2), "1 × 1": strip(1, 1),
    "3 × 1": strip(3, 1), "a hair on paper": on_paper((900, 700), (20, 30, 880, 31), 1),
    "a needle across": on_paper((800, 800), (20, 20, 780, 700), 1),
    "a row of pixels on glass": on_glass(((10, 350, 690, 350), 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("picture", THIN)
def test_what_is_thin_becomes_a_closed_mesh(name: str, picture: str) -> None:
    told = report(accept(make(name, THIN[picture], resolution=64)))
    assert told.watertight and told.volume > 0


def test_a_shape_between_all_nodes_of_the_grid_is_refused_in_words() -> None:
    empty = Outline(torch.full((8, 8), -1.0), 3.0, (0.0, 0.0))
    with pytest.raises(NoSurface, match="thinner than the grid"):
        _too_thin(np.ones((20, 20), np.float32), empty)


def test_parts_that_no_node_of_the_grid_lies_on_are_counted_in_a_notice() -> None:
    coverage = np.zeros((60, 60), np.float32)
    coverage[5:25, 5:25] = 1
    coverage[50, 5:55] = 1
    nodes = torch.full((8, 8), -1.0)
    nodes[1:4, 1:4] = 1.0
    (told,) = _too_thin(coverage, Outline(nodes, 8.0, (0.0, 0.0)))
    assert told.code == "parts_dropped" and "1 of 2 parts" in told.message


@pytest.mark.parametrize("name", ["inflate", "extrude"])
@pytest.mark.parametrize(("width", "resolution"), [(1, 64), (3, 100), (5, 64), (8, 48)])
def test_a_thin_branch_that_comes_apart_is_told(name: str, width: int, resolution: int) -> None:
    image = on_glass(((350, 100, 350, 600), 300), ((10, 10, 690, 640), width))
    told = notices(accept(make(name, image, resolution=resolution)))
    assert [notice.code for notice in told] == ["parts_split"]


def test_what_the_grid_holds_needs_no_notice() -> None:
    assert notices(accept(make("inflate", on_glass(((350, 200, 350, 500), 200))))) == ()


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_finest_grid_is_bounded_before_any_work_and_told(name: str) -> None:
    image = Image.fromarray(np.full((900, 900, 3), 90, np.uint8)).convert("RGBA")
    mesh = accept(make(name, image, resolution=1024, **({} if name == "relief" else {"mask": "frame"})))
    assert 0.7 * MOST_FACES < len(mesh.faces) <= MOST_FACES
    assert "limit" in next(notice.message for notice in notices(mesh) if notice.code == "coarser_grid")


@pytest.mark.parametrize(
    ("resolution", "longest_px", "fill", "cells"),
    [(320, 50, 0.7, 320), (1024, 200, 0.5, 400), (1024, 1024, 0.1, 1024), (700, 90, 1.0, 320), (32, 9, 1.0, 32)],
)
def test_a_grid_is_no_finer_than_the_picture(resolution: int, longest_px: float, fill: float, cells: int) -> None:
    found, told = affordable(resolution, longest_px=longest_px, fill=fill)
    assert found == cells
    assert bool(told) == (cells < resolution)


def test_notices_outlast_the_archive() -> None:
    mesh = accept(make("extrude", varied("all white"), resolution=32))
    assert notices(mesh)
    data = canonical.encode(mesh)
    assert notices(canonical.read(data)) == notices(mesh)
    assert canonical.encode(canonical.read(data)) == data
