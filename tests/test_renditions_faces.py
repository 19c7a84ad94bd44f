"""Fewer faces: the budget holds, closed stays closed, looks stay where they were, whatever the mesh is like."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import igl
import igl.predicates
import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw, ImageFont
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from jobs.requests import FORMATS, RenditionOptions
from tests.test_generators import made, make
from tests.test_renditions import read_mm
from worker.mesh import topology
from worker.mesh.appearance import appearance, vertex_colours
from worker.mesh.fidelity import vertex_components, visible_mm
from worker.mesh.gate import MeshReport, accept, report
from worker.mesh.renditions import make_rendition
from worker.mesh.simplify import simplify

TOLERANCE = visible_mm(50) / 50
ENOUGH = 3000  # faces with which each of the solids here can be shown
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


def assert_looks_like(few: trimesh.Trimesh, full: trimesh.Trimesh) -> None:
    """Closed, the same parts and holes, no faces that cross, volume, outline and surface where they were."""
    (after, few_vertices, few_faces), (before, vertices, faces) = map(_welded, (few, full))
    assert (after.watertight, after.winding_consistent) == (True, True)
    assert after.euler_number == before.euler_number
    assert _bodies(few_faces) == _bodies(faces)
    assert after.volume == pytest.approx(before.volume, rel=0.041)
    assert after.extents == pytest.approx(before.extents, abs=2 * TOLERANCE)
    away = np.sqrt(igl.point_mesh_squared_distance(vertices, few_vertices, few_faces)[0])
    assert away.max() < 1.2 * TOLERANCE
    assert not igl.predicates.find_self_intersections(few_vertices, few_faces, True)[0]


def _welded(mesh: trimesh.Trimesh) -> tuple[MeshReport, np.ndarray, np.ndarray]:
    first, _ = topology.merge_by_position(mesh.vertices)
    return report(mesh), mesh.vertices[first], np.asarray(topology.merged_faces(mesh.vertices, mesh.faces))


def _bodies(faces: np.ndarray) -> int:
    _, piece = vertex_components(faces, int(faces.max()) + 1)
    return len(np.unique(piece[faces[:, 0]]))


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


def drawn(size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw], object]) -> Image.Image:
    """Black strokes on white, smooth at their edges."""
    image = Image.new("L", (4 * size[0], 4 * size[1]), 255)
    draw(ImageDraw.Draw(image))
    return image.resize(size, Image.Resampling.BOX).convert("RGBA")


def rings(brush: ImageDraw.ImageDraw) -> None:
    for i in range(8):
        brush.ellipse((360 * i + 40, 40, 360 * i + 320, 320), outline=0, width=34)


def page(brush: ImageDraw.ImageDraw) -> None:
    text = "Sphinx of black quartz,\njudge my vow: 0123456789\n& the lazy dog; i, j, %\n"
    brush.multiline_text((60, 40), text, 0, ImageFont.load_default(110), spacing=30)


def gear(brush: ImageDraw.ImageDraw) -> None:
    turn = np.linspace(0, 2 * np.pi, 97)[:-1]
    radius = np.where((np.arange(96) // 2) % 2 == 0, 560, 470)
    brush.polygon([(600 + r * np.cos(t), 600 + r * np.sin(t)) for r, t in zip(radius, turn, strict=True)], 0)
    for x, y in ((600, 600), (600, 330), (600, 870), (330, 600), (870, 600)):
        brush.ellipse((x - 80, y - 80, x + 80, y + 80), 255)


def branches(brush: ImageDraw.ImageDraw) -> None:
    def branch(x: float, y: float, turn: float, length: float, width: float) -> None:
        end = x + length * np.cos(turn), y - length * np.sin(turn)
        brush.line((x, y, *end), 0, int(width))
        if width > 14:
            branch(*end, turn + 0.5, length * 0.75, width * 0.68)
            branch(*end, turn - 0.5, length * 0.75, width * 0.68)

    branch(600, 1180, np.pi / 2, 340, 60)


DRAWINGS = {
    "rings": ((720, 90), rings), "page": ((340, 130), page), "gear": ((300, 300), gear),
    "branches": ((300, 300), branches),
}  # fmt: skip


@cache
def full(kind: str, drawing: str) -> trimesh.Trimesh:
    return accept(make(kind, drawn(*DRAWINGS[drawing]), resolution=200, holes="keep"))


@pytest.mark.parametrize(("kind", "drawing", "target"), [
    ("extrude", "rings", 2000), ("inflate", "rings", 100), ("extrude", "page", 4000), ("inflate", "page", 500),
    ("extrude", "gear", 1500), ("inflate", "branches", 6000),
])  # fmt: skip
def test_thin_and_small_parts_outlast_any_budget(kind: str, drawing: str, target: int) -> None:
    mesh = full(kind, drawing)
    found = simplify(mesh, target, tolerance=TOLERANCE)
    assert len(found.mesh.faces) < len(mesh.faces)
    assert found.limited == (len(found.mesh.faces) > target)
    assert_looks_like(found.mesh, mesh)


def test_more_faces_than_asked_for_are_told_in_the_result() -> None:
    mesh = full("extrude", "rings")
    _, result = make_rendition(mesh, RenditionOptions(format="stl", target_faces=100))
    (notice,) = result.notices
    assert notice.code == "more_faces"
    assert str(result.faces) in notice.message and "100" in notice.message
    _, result = make_rendition(mesh, RenditionOptions(format="stl", target_faces=len(mesh.faces) // 2))
    assert result.notices == () and result.faces <= len(mesh.faces) // 2


@pytest.mark.parametrize("target", [500, 5000])
def test_a_rough_relief_stays_closed(target: int) -> None:
    random = np.random.default_rng(3)
    image = Image.new("L", (180, 140), 128)
    for x, y, radius, grey in random.uniform((0, 0, 2, 0), (180, 140, 25, 255), (150, 4)):
        ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(grey))
    mesh = accept(make("relief", image.convert("RGBA"), resolution=140))
    assert_looks_like(simplify(mesh, target, tolerance=TOLERANCE).mesh, mesh)


def test_what_is_small_may_be_coarser_and_what_is_large_is_seen_from_afar() -> None:
    shares = [visible_mm(size) / size for size in (1, 10, 50, 200, 2000)]
    assert shares == sorted(shares, reverse=True)
    assert 0.1 < visible_mm(50) < 0.5
    assert max(shares) <= 0.02


def test_the_same_budget_gives_the_same_mesh() -> None:
    first, second = (simplify(full("extrude", "rings"), 1500, tolerance=TOLERANCE).mesh for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices) and np.array_equal(first.faces, second.faces)


def test_a_surface_with_an_edge_of_three_faces_is_not_made_worse() -> None:
    wall = trimesh.creation.box((1, 0.02, 1)).subdivide().subdivide().subdivide().subdivide()
    fin = trimesh.Trimesh([(-0.5, 0.01, -0.5), (0.5, 0.01, -0.5), (0, 0.6, -0.5)], [(0, 1, 2)], process=False)
    mesh = accept(trimesh.util.concatenate([wall, fin]))
    few = simplify(mesh, 200, tolerance=TOLERANCE).mesh
    assert few.extents == pytest.approx(mesh.extents, abs=2 * TOLERANCE)


@pytest.mark.parametrize("target", [100, 3000])
@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_keeps_its_parts_and_its_volume_and_has_more_faces_only_with_a_word(name: str, target: int) -> None:
    mesh = SOLIDS[name]()
    found = simplify(mesh, target, tolerance=TOLERANCE)
    assert found.limited == (len(found.mesh.faces) > target)
    assert not found.limited or target < ENOUGH
    assert_looks_like(found.mesh, mesh)


def test_an_open_surface_stays_one_and_keeps_its_size() -> None:
    mesh = sheet()
    after = simplify(mesh, 500, tolerance=TOLERANCE).mesh
    assert len(after.faces) <= 500
    assert report(after).watertight is False
    assert after.extents == pytest.approx(mesh.extents, rel=0.05)


def test_no_face_spans_two_islands_of_the_texture() -> None:
    few = simplify(two_charts(), 800, tolerance=TOLERANCE).mesh
    left = appearance(few).uv[few.faces][..., 0] < 0.5
    assert (left.all(axis=1) | (~left).all(axis=1)).all()
    colours = vertex_colours(appearance(few), len(few.vertices))
    front = few.vertices[:, 2] > 0.1
    assert np.abs(colours[front].astype(int) - LEFT).max() < 5
    assert np.abs(colours[few.vertices[:, 2] < -0.1].astype(int) - RIGHT).max() < 5


def test_vertex_colours_are_looked_up_at_the_closest_point() -> None:
    few = simplify(coloured(trimesh.creation.icosphere(subdivisions=5)), 1000, tolerance=TOLERANCE).mesh
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
    assert told.faces <= (target or told.faces), told.notices
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
