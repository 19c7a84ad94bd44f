"""Fewer faces: the budget holds, closed stays closed, looks stay where they were, whatever the mesh is like."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from jobs.requests import FORMATS, RenditionOptions
from tests.test_generators import made
from tests.test_renditions import read_mm
from worker.mesh.appearance import appearance, vertex_colours
from worker.mesh.gate import accept, report
from worker.mesh.renditions import make_rendition
from worker.mesh.simplify import simplify

LEFT, RIGHT = (220, 30, 30), (30, 30, 220)


def two_charts(subdivisions: int = 5) -> trimesh.Trimesh:
    """A closed ball, its front dressed in the texture's left half, its back in the right half, split along the seam."""
    ball = trimesh.creation.icosphere(subdivisions)
    front = ball.triangles_center[:, 2] > 0
    vertices, faces, uv = [], [], []
    for side, low in ((front, 0.0), (~front, 0.5)):
        used, renamed = np.unique(ball.faces[side], return_inverse=True)
        faces.append(renamed.reshape(-1, 3) + sum(map(len, vertices)))
        vertices.append(ball.vertices[used])
        uv.append(np.column_stack((low + 0.25 + ball.vertices[used, 0] * 0.15, 0.5 + ball.vertices[used, 1] * 0.4)))
    texture = Image.new("RGB", (64, 64), LEFT)
    texture.paste(RIGHT, (32, 0, 64, 64))
    visual = TextureVisuals(uv=np.concatenate(uv), material=PBRMaterial(baseColorTexture=texture))
    return accept(trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), visual=visual, process=False))


def coloured(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same with its vertices red where x is low and blue where it is high."""
    share = (mesh.vertices[:, :1] - mesh.vertices[:, 0].min()) / np.ptp(mesh.vertices[:, 0])
    colours = np.rint(np.array(LEFT) * (1 - share) + np.array(RIGHT) * share).astype(np.uint8)
    return accept(trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colours, process=False))


def sheet() -> trimesh.Trimesh:
    """An open, wavy surface."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60)))
    corner = (np.arange(59)[:, None] * 60 + np.arange(59)).ravel()
    faces = np.concatenate(
        [np.column_stack((corner, corner + 1, corner + 60)), np.column_stack((corner + 1, corner + 61, corner + 60))]
    )
    return accept(trimesh.Trimesh(np.column_stack((x, y, np.sin(6 * x) / 10)), faces, process=False))


SOLIDS = {
    "sphere": lambda: accept(trimesh.creation.icosphere(subdivisions=5)),
    "torus": lambda: accept(trimesh.creation.torus(1, 0.3, 64, 64)),
    "thin plate": lambda: accept(trimesh.creation.box((1, 1, 0.004)).subdivide().subdivide().subdivide().subdivide()),
    "two parts": lambda: accept(
        trimesh.util.concatenate(
            [trimesh.creation.icosphere(4), trimesh.creation.icosphere(4).apply_translation((3, 0, 0))]
        )
    ),
    "charts": two_charts,
    "inflated": lambda: made("inflate", "lettering"),
    "extruded": lambda: made("extrude", "ring"),
    "relief": lambda: made("relief", "photograph of a cat"),
}


@pytest.mark.parametrize("target", [40, 300, 3000])
@pytest.mark.parametrize("name", SOLIDS)
def test_closed_meshes_stay_closed_within_any_budget_that_can_hold_them(name: str, target: int) -> None:
    mesh = SOLIDS[name]()
    before, after = report(mesh), report(simplify(mesh, target))
    assert after.faces <= target
    if (name, target) == ("inflated", 40):
        return  # four letters with four counters: the budget is kept, but no closed surface of 40 faces is like them
    assert (after.watertight, after.winding_consistent) == (True, True)
    assert after.volume == pytest.approx(before.volume, rel={40: 0.35, 300: 0.2, 3000: 0.05}[target])


def test_an_open_surface_stays_one_and_keeps_its_size() -> None:
    mesh = sheet()
    after = simplify(mesh, 500)
    assert len(after.faces) <= 500
    assert report(after).watertight is False
    assert after.extents == pytest.approx(mesh.extents, rel=0.05)


def test_no_face_spans_two_islands_of_the_texture() -> None:
    few = simplify(two_charts(), 800)
    left = appearance(few).uv[few.faces][..., 0] < 0.5
    assert (left.all(axis=1) | (~left).all(axis=1)).all()
    colours = vertex_colours(appearance(few), len(few.vertices))
    front = few.vertices[:, 2] > 0.1
    assert np.abs(colours[front].astype(int) - LEFT).max() < 5
    assert np.abs(colours[few.vertices[:, 2] < -0.1].astype(int) - RIGHT).max() < 5


def test_vertex_colours_are_looked_up_at_the_closest_point() -> None:
    few = simplify(coloured(trimesh.creation.icosphere(subdivisions=5)), 1000)
    expected = appearance(coloured(few)).colours.astype(int)
    assert np.abs(appearance(few).colours - expected).max() < 12


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_vertex_colours_reach_the_file(kind: str) -> None:
    mesh = coloured(trimesh.creation.icosphere(subdivisions=4))
    data, _ = make_rendition(mesh, RenditionOptions(format=kind, up_axis="y"))
    (placed,) = trimesh.load_scene(io.BytesIO(data), file_type=kind).geometry.values()
    if kind == "glb":  # trimesh hands out what stands in the file, and that is linear
        linear = placed.visual.vertex_attributes["color"][:, :3] / 65535
        found = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    else:
        found = np.asarray(placed.visual.vertex_colors)[:, :3] / 255
    expected = appearance(coloured(placed)).colours / 255
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("target", [None, 700])
def test_what_is_said_of_a_file_is_true_of_it(kind: str, target: int | None) -> None:
    options = RenditionOptions(format=kind, size_mm=80, target_faces=target)
    data, told = make_rendition(two_charts(), options)
    mesh = trimesh.load(io.BytesIO(data), file_type=kind, force="mesh", process=False)
    if kind == "glb":
        mesh.apply_scale(1000)
    assert told.faces == len(mesh.faces)
    assert told.faces <= (target or told.faces)
    if kind != "stl":  # three vertices a face there; what is told is how many places there are
        assert told.vertices == len(mesh.vertices)
    assert told.watertight is True
    assert told.volume_mm3 == pytest.approx(mesh.volume, rel=1e-5)
    assert told.size_mm == pytest.approx(mesh.extents, abs=1e-3)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size_mm", [0.001, 10_000])
def test_the_smallest_and_the_largest_size_that_may_be_asked_are_exact(kind: str, size_mm: float) -> None:
    data, told = make_rendition(two_charts(), RenditionOptions(format=kind, size_mm=size_mm))
    assert told.watertight is True
    assert max(read_mm(data, kind).extents) == pytest.approx(size_mm, rel=1e-4)
