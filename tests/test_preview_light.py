"""The preview's light and paint: shadows, tints, seams and insides, at any size of the mesh, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from tests.test_generators import made
from tests.test_mesh_gate import textured_box
from tests.test_preview import shot
from tests.test_renditions_faces import coloured, two_charts
from worker.mesh.gate import accept
from worker.mesh.preview import preview_png
from worker.mesh.raster import Lens
from worker.mesh.shadows import open_sky


def slab(*, lifted: float) -> trimesh.Trimesh:
    """A wide plate, and above its middle, or beside it where it shades nothing, a small cube."""
    plate = trimesh.creation.box((2, 0.1, 2))
    cube = trimesh.creation.box((0.5, 0.5, 0.5)).apply_translation((0, lifted, 0))
    return accept(trimesh.util.concatenate([plate, cube]))


def painted(colour: tuple[int, ...], mode: str = "RGB") -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=3)
    uv = np.full((len(ball.vertices), 2), 0.5)
    material = PBRMaterial(baseColorTexture=Image.new(mode, (8, 8), colour))
    return accept(trimesh.Trimesh(ball.vertices, ball.faces, visual=TextureVisuals(uv=uv, material=material)))


@pytest.mark.parametrize(
    ("colour", "channel"), [((200, 30, 30), 0), ((30, 160, 30), 1), ((30, 30, 200), 2)], ids=["red", "green", "blue"]
)
def test_the_middle_of_a_painted_ball_has_its_colour(colour: tuple[int, int, int], channel: int) -> None:
    found = shot(painted(colour))[64, 64]
    assert found.argmax() == channel
    assert np.abs(found - colour).max() < 70


def test_a_tint_is_shown() -> None:
    mesh = painted((255, 255, 255))
    mesh.visual.material.baseColorFactor = [1.0, 0.1, 0.1, 1.0]
    red, green, blue = shot(mesh)[64, 64]
    assert red > max(green, blue) + 60


def test_a_texture_that_is_see_through_is_painted_all_the_same() -> None:
    assert np.array_equal(shot(painted((200, 30, 30, 0), "RGBA")), shot(painted((200, 30, 30))))


def test_vertex_colours_are_shown() -> None:
    pixels = shot(coloured(trimesh.creation.icosphere(subdivisions=3)))
    left, right = pixels[64, 30], pixels[64, 98]
    assert left[0] > left[2] + 20
    assert right[2] > right[0] + 20


def test_a_seam_in_the_texture_does_not_show_in_the_shading() -> None:
    mesh = two_charts(subdivisions=2)
    visual = TextureVisuals(uv=mesh.visual.uv, material=PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), "white")))
    plain = accept(trimesh.creation.icosphere(subdivisions=2))
    plain.visual = TextureVisuals(
        uv=np.full((len(plain.vertices), 2), 0.5),
        material=PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), "white")),
    )
    mesh.visual = visual
    assert np.abs(shot(mesh) - shot(plain)).max() <= 2


def test_something_above_throws_its_shadow() -> None:
    shaded, clear = shot(slab(lifted=0.9), 160), shot(slab(lifted=0.3), 160)
    assert shaded.min() < clear.min() + 40
    plate = shot(accept(trimesh.creation.box((2, 0.1, 2))), 160)
    middle = plate[76:84, 76:84].mean()
    assert shaded[80:110, 60:110].min() < middle - 40


def test_the_sky_is_narrow_in_a_groove_and_open_on_a_plain() -> None:
    lens = Lens(side_px=256, half_width=0.16)
    across = np.tile(np.abs(np.linspace(-0.6, 0.6, 256, dtype=np.float32)), (256, 1))
    flat = open_sky(np.full((256, 256), 4.0, np.float32), lens)
    groove = open_sky(np.float32(4.3) - across, lens)  # deepest in the middle
    assert flat[64:192, 64:192].min() > 0.98
    assert groove[128, 128] < 0.8
    assert groove[128, 20] > groove[128, 128] + 0.15


def test_it_stands_on_a_floor_that_it_darkens() -> None:
    pixels = shot(painted((250, 250, 250)), 128).sum(axis=2)
    below, beside = pixels[116:122, 56:72].mean(), pixels[116:122, 2:10].mean()
    assert below < beside - 30


def test_the_inside_of_an_open_surface_is_lit_like_an_outside() -> None:
    front = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [(0, 1, 2), (0, 2, 3)], process=False)
    back = trimesh.Trimesh(front.vertices, front.faces[:, ::-1], process=False)
    difference = np.abs(shot(accept(front)) - shot(accept(back)))
    assert difference.max() <= 8, "an edge may fall to the other side of a sample"
    assert difference.mean() < 0.1


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_size_and_place_of_a_mesh_change_nothing(factor: float) -> None:
    mesh = textured_box()
    moved = textured_box().apply_scale(factor).apply_translation(np.array((3, -2, 1)) * factor)
    assert np.abs(shot(moved) - shot(mesh)).max() <= 2


def test_edges_are_smooth() -> None:
    dark_on_paper = shot(painted((0, 0, 0)), 256).sum(axis=2)[60:196, :128]
    between = (dark_on_paper > 250) & (dark_on_paper < 550)
    assert between.any(axis=1).mean() > 0.5, "of the rows along the left edge most have a pixel that is neither"


def test_threads_do_not_disturb_one_another() -> None:
    meshes = [made("inflate", "ring"), accept(textured_box()), two_charts()]
    alone = [preview_png(mesh, size_px=96) for mesh in meshes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda mesh: preview_png(mesh, size_px=96), meshes * 4))
    assert together == alone * 4


def test_the_largest_picture_has_its_size() -> None:
    assert shot(accept(textured_box()), 2048).shape == (2048, 2048, 3)
