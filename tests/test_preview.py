"""The picture that people see first."""

from __future__ import annotations

import io
import os
import resource
import threading

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests.test_generators import made
from tests.test_mesh_gate import textured_box
from worker.mesh.gate import accept
from worker.mesh.preview import preview_png


def shot(mesh: trimesh.Trimesh, size_px: int = 128) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(preview_png(mesh, size_px=size_px))).convert("RGB")).astype(int)


@pytest.mark.parametrize("size_px", [64, 200, 512])
def test_it_is_a_square_of_the_size_asked(size_px: int) -> None:
    assert shot(accept(textured_box()), size_px).shape == (size_px, size_px, 3)


def test_it_shows_the_mesh_in_its_colours_before_quiet_paper() -> None:
    pixels = shot(accept(textured_box()))
    red, blue = pixels @ (1, 0, -1) > 60, pixels @ (-1, 0, 1) > 60
    assert red.mean() > 0.05
    assert blue.mean() > 0.05
    assert red.nonzero()[1].mean() < blue.nonzero()[1].mean(), "red is on the left"
    corner = pixels[2:8, 2:8]
    assert corner.min() > 190
    assert np.ptp(corner) < 20


def test_a_sphere_is_shaded_not_flat() -> None:
    ball = accept(trimesh.creation.icosphere(subdivisions=4))
    middle = shot(ball)[40:88, 40:88].sum(axis=2)
    assert np.ptp(middle) > 100


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)], process=False),
        trimesh.creation.box((1, 1, 0.002)),
        trimesh.creation.box((0.01, 1, 0.01)),
    ],
    ids=["one face", "a thin plate", "a needle"],
)
def test_odd_meshes_are_seen_too(mesh: trimesh.Trimesh) -> None:
    pixels = shot(accept(mesh))
    paper = np.median(pixels.reshape(-1, 3), axis=0)
    assert (np.abs(pixels - paper).sum(axis=2) > 30).sum() > 20


def test_the_same_mesh_gives_the_same_picture() -> None:
    mesh = made("inflate", "ring")
    assert preview_png(mesh, size_px=96) == preview_png(mesh, size_px=96)


def test_many_pictures_take_no_more_memory_than_one() -> None:
    mesh = accept(trimesh.creation.icosphere(subdivisions=3))
    for _ in range(5):
        preview_png(mesh, size_px=96)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(40):
        preview_png(mesh, size_px=96)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000


def test_it_works_in_a_forked_child_and_in_a_thread() -> None:
    mesh = accept(textured_box())
    expected = preview_png(mesh, size_px=64)
    child = os.fork()
    if child == 0:
        os._exit(0 if preview_png(mesh, size_px=64) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    made_there: list[bytes] = []
    thread = threading.Thread(target=lambda: made_there.append(preview_png(mesh, size_px=64)))
    thread.start()
    thread.join(30)
    assert made_there == [expected]
