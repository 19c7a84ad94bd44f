"""A mesh in any form: right size, right way up, right colours, still closed."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from jobs.requests import FORMATS, RenditionOptions
from tests.test_generators import made
from tests.test_mesh_gate import textured_box
from worker.mesh.gate import accept, report
from worker.mesh.preview import preview_png
from worker.mesh.renditions import make_rendition


def read_mm(data: bytes, kind: str) -> trimesh.Trimesh:
    """The file as a stranger's program reads it, in mm."""
    mesh = trimesh.load(io.BytesIO(data), file_type=kind, force="mesh")
    return mesh.apply_scale(1000) if kind == "glb" else mesh


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size_mm", [50.0, 120.5])
def test_the_longest_side_is_as_asked(kind: str, size_mm: float) -> None:
    data, result = make_rendition(accept(textured_box()), RenditionOptions(format=kind, size_mm=size_mm))
    mesh = read_mm(data, kind)
    assert max(mesh.extents) == pytest.approx(size_mm, rel=1e-5)
    assert sorted(result.size_mm) == pytest.approx(sorted(mesh.extents), rel=1e-4)
    assert result.size_bytes == len(data)
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert (result.faces, result.watertight) == (12, True)
    assert result.volume_mm3 == pytest.approx(size_mm**3 / 8, rel=1e-3)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_stands_as_its_programs_expect(kind: str) -> None:
    tall = accept(textured_box((1, 4, 2)))
    extents = read_mm(make_rendition(tall, RenditionOptions(format=kind))[0], kind).extents
    assert int(np.argmax(extents)) == (1 if kind in ("glb", "obj") else 2)


@pytest.mark.parametrize("kind", FORMATS)
def test_with_z_up_it_stands_on_the_bed_and_faces_the_front(kind: str) -> None:
    mesh = made("relief", "rocket")  # its front is rough, its back is flat
    placed = read_mm(make_rendition(mesh, RenditionOptions(format=kind, up_axis="z"))[0], kind)
    assert placed.bounds[0, 2] == pytest.approx(0, abs=1e-4)
    back = placed.vertices[:, 1].max()
    assert (placed.vertices[:, 1] > back - 1e-3).mean() > 0.4, "the flat back looks towards +y, the front towards −y"


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_colours_are_where_they_were(kind: str) -> None:
    mesh = read_mm(make_rendition(accept(textured_box()), RenditionOptions(format=kind, up_axis="y"))[0], kind)
    colours = np.asarray(mesh.visual.to_color().vertex_colors if kind == "glb" else mesh.visual.vertex_colors)[:, :3]
    left, right = mesh.vertices[:, 0] < -1, mesh.vertices[:, 0] > 1
    assert (colours[left].astype(int) @ (1, 0, -1)).min() > 60, "red"
    assert (colours[right].astype(int) @ (-1, 0, 1)).min() > 60, "blue"


@pytest.mark.parametrize("name", ["inflate", "extrude", "relief"])
@pytest.mark.parametrize("target", [500, 5000])
def test_a_face_budget_is_kept_and_closed_stays_closed(name: str, target: int) -> None:
    data, result = make_rendition(made(name, "rocket"), RenditionOptions(target_faces=target))
    assert 0.5 * target < result.faces <= target
    assert result.watertight
    assert report(read_mm(data, "glb")).watertight


def test_a_budget_above_what_is_there_changes_nothing() -> None:
    mesh = accept(textured_box())
    assert make_rendition(mesh, RenditionOptions(target_faces=10_000))[1].faces == 12


def test_fewer_faces_wear_the_same_picture() -> None:
    mesh = made("inflate", "rocket")
    full, _ = make_rendition(mesh, RenditionOptions())
    few, _ = make_rendition(mesh, RenditionOptions(target_faces=6000))
    shots = [
        np.asarray(Image.open(io.BytesIO(preview_png(accept(read_mm(data, "glb")), size_px=160))).convert("RGB"))
        for data in (full, few)
    ]
    assert np.abs(shots[0].astype(int) - shots[1]).mean() < 6


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_request_gives_the_same_bytes(kind: str) -> None:
    options = RenditionOptions(format=kind, target_faces=2000)
    assert make_rendition(made("inflate", "ring"), options)[0] == make_rendition(made("inflate", "ring"), options)[0]


def test_an_open_mesh_has_no_volume() -> None:
    sheet = accept(trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)], process=False))
    result = make_rendition(sheet, RenditionOptions())[1]
    assert result.volume_mm3 is None
    assert result.watertight is False
