"""What every built-in generator promises for every picture, and what each promises of its own."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from jobs.errors import Canceled, NoSurface
from tests.pictures import VARIED, all_transparent, disc, ring, varied
from worker.generators.outline import outline_of
from worker.generators.poisson import solve_inflation
from worker.generators.registry import choose_device, discover
from worker.images import decode
from worker.masks import find_mask, working_picture
from worker.mesh.gate import accept, report

BUILT_IN = ("inflate", "extrude", "relief")
SMALL = {"resolution": 128}


def make(name: str, image: Image.Image, **params: Any) -> trimesh.Trimesh:
    generator = discover()[name]
    generator.load(choose_device("cpu"))
    return generator.generate(image, generator.Params(**params), seed=0, progress=lambda fraction, stage: None)


@cache
def made(name: str, picture: str) -> trimesh.Trimesh:
    return accept(make(name, varied(picture), **SMALL))


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("picture", VARIED)
def test_every_picture_becomes_a_closed_solid_that_can_be_printed(name: str, picture: str) -> None:
    told = report(made(name, picture))
    assert told.watertight, "an edge is open"
    assert told.winding_consistent
    assert told.volume > 0
    assert max(told.extents) == pytest.approx(1)
    assert min(told.extents) > 0.001


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_picture_without_any_opaque_pixel_is_refused_in_words(name: str) -> None:
    image = decode(all_transparent(), max_megapixels=1)
    if name == "relief":
        assert report(accept(make(name, image, **SMALL))).watertight, "a plate needs no shape"
        return
    with pytest.raises(NoSurface, match="transparent"):
        make(name, image)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_same_picture_gives_the_same_bytes(name: str) -> None:
    first, second = (make(name, varied("photograph of a cup"), **SMALL) for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices) and np.array_equal(first.faces, second.faces)
    assert np.array_equal(first.visual.uv, second.visual.uv)


@pytest.mark.parametrize("name", BUILT_IN)
def test_progress_never_falls_and_a_cancel_ends_it(name: str) -> None:
    told: list[float] = []
    generator = discover()[name]

    def listen(fraction: float, stage: str) -> None:
        told.append(fraction)

    def cancel(fraction: float, stage: str) -> None:
        if fraction > 0.3:
            raise Canceled("nobody waits")

    generator.generate(varied("disc"), generator.Params(), seed=0, progress=listen)
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1 and len(told) >= 4
    with pytest.raises(Canceled):
        generator.generate(varied("disc"), generator.Params(), seed=0, progress=cancel)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_parameter_has_a_default_a_range_and_a_description(name: str) -> None:
    schema = discover()[name].Params.model_json_schema()
    assert schema["additionalProperties"] is False
    for field in schema["properties"].values():
        assert "default" in field and field["description"]
        assert field["type"] in ("boolean", "string") or {"minimum", "maximum"} <= field.keys()


def test_the_solver_finds_the_hemisphere_over_a_disc() -> None:
    """√u = √(R² − r²) exactly, for −∇²u = 4: the analytic solution."""
    radius, side = 60.0, 151
    y, x = np.mgrid[:side, :side] - side // 2
    distance = np.hypot(x, y)
    u = solve_inflation(torch.from_numpy((radius - distance).astype(np.float32))).numpy()
    exact = np.clip(radius**2 - distance**2, 0, None)
    assert np.abs(u - exact).max() < 0.002 * radius**2


def test_a_disc_swells_to_a_ball() -> None:
    mesh = accept(make("inflate", decode(disc(), max_megapixels=1), thickness=1.0, resolution=200))
    away = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(away - 0.5).max() < 0.006
    assert report(mesh).volume == pytest.approx(np.pi / 6, rel=0.01)


@pytest.mark.parametrize("picture", ["disc", "ring", "two islands", "star on alpha", "lettering", "rocket"])
@pytest.mark.parametrize("name", ["inflate", "extrude"])
def test_the_euler_number_is_twice_that_of_the_mask(name: str, picture: str) -> None:
    coverage = find_mask(working_picture(varied(picture))).coverage
    outline = outline_of(coverage, resolution=128, smoothing=0.7, device=torch.device("cpu"))
    inside = (outline.field.numpy() > 0).astype(np.uint8)
    regions = cv2.connectedComponents(inside, connectivity=4)[0] - 1
    holes = cv2.connectedComponents(1 - inside, connectivity=8)[0] - 2
    assert report(made(name, picture)).euler_number == 2 * (regions - holes)


def test_holes_are_kept_where_they_are_background_and_filled_on_demand() -> None:
    image = decode(ring(), max_megapixels=1)
    assert report(accept(make("inflate", image, **SMALL))).euler_number == 0
    assert report(accept(make("inflate", image, holes="fill", **SMALL))).euler_number == 2


def silhouette(mesh: trimesh.Trimesh, side: int) -> np.ndarray:
    """The mesh seen from the front as a (side, side) mask; its longest side fills the frame."""
    plane = np.rint((mesh.vertices[:, :2] * [1, -1] + 0.5) * (side - 1) * 16).astype(np.int32)
    seen = np.zeros((side, side), np.uint8)
    for triangle in plane[mesh.faces[mesh.face_normals[:, 2] > 0]]:
        cv2.fillConvexPoly(seen, triangle, 1, shift=4)
    return seen > 0


@pytest.mark.parametrize(
    "picture", ["rocket", "star on alpha", "ring", "lettering", "drawing on colour", "silhouette of a horse"]
)
def test_seen_from_the_front_the_mesh_covers_the_mask(picture: str) -> None:
    coverage = find_mask(working_picture(varied(picture))).coverage >= 0.5
    rows, columns = np.nonzero(coverage)
    cut = coverage[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.uint8)
    side = 2048  # the rasteriser draws its triangles' borders as well: half a pixel must not count
    scale = side / max(cut.shape)
    fitted = cv2.resize(
        cut, (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))), interpolation=cv2.INTER_NEAREST
    )
    expected = np.zeros((side, side), bool)
    top, left = (side - fitted.shape[0]) // 2, (side - fitted.shape[1]) // 2
    expected[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted > 0
    seen = silhouette(accept(make("inflate", varied(picture))), side)
    assert (seen & expected).sum() / (seen | expected).sum() >= 0.98


@pytest.mark.parametrize("picture", ["disc", "star on alpha", "palette"])
def test_no_background_colour_shows_on_the_rim(picture: str) -> None:
    mesh = made("inflate", picture)
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    rim = np.abs(mesh.vertices[:, 2]) < 1e-6
    height, width = texture.shape[:2]
    place = mesh.visual.uv[rim] * [width, -height] + [0, height]
    x, y = np.clip(place.astype(int), 0, [width - 1, height - 1]).T
    assert texture[y, x].min(axis=1).max() < 200, "white ground on the rim"


def test_an_extrusion_is_as_thick_as_asked_with_upright_sides_and_flat_faces() -> None:
    mesh = accept(make("extrude", varied("two islands"), depth=0.2, bevel=0.0, **SMALL))
    assert mesh.extents[2] == pytest.approx(0.2, abs=0.002)
    upright = np.abs(mesh.face_normals[:, 2])
    assert ((upright > 0.999) | (upright < 0.001)).all()


@pytest.mark.parametrize("edge", ["round", "chamfer"])
def test_a_bevel_takes_its_width_off_the_edge(edge: str) -> None:
    mesh = accept(make("extrude", varied("disc"), depth=0.3, bevel=0.48, edge=edge, resolution=200))
    away = np.linalg.norm(mesh.vertices[:, :2], axis=1)
    assert np.abs(mesh.vertices[away > away.max() - 1e-3, 2]).max() < 0.02, "it nearly meets in the middle"
    ring_height = np.abs(mesh.vertices[(away > 0.42) & (away < 0.43), 2]).mean()
    inset = 0.5 - 0.425
    width = 0.48 * 0.3
    drop = 1 - inset / width if edge == "chamfer" else 1 - np.sqrt(1 - (1 - inset / width) ** 2)
    expected = 0.15 - width * drop
    assert ring_height == pytest.approx(expected, abs=0.006)


def test_bright_is_high_on_a_relief_and_low_when_inverted() -> None:
    def corner_heights(**params: Any) -> tuple[float, float]:
        grey = Image.fromarray(np.tile(np.linspace(0, 255, 200).astype(np.uint8), (120, 1))).convert("RGBA")
        mesh = make("relief", grey, **SMALL, **params)
        front = mesh.vertices[mesh.vertices[:, 2] > 1e-6]
        left, right = front[front[:, 0] < 5], front[front[:, 0] > front[:, 0].max() - 5]
        return float(left[:, 2].mean()), float(right[:, 2].mean())

    dark, bright = corner_heights()
    assert bright > 2 * dark
    assert corner_heights(invert=True)[0] == pytest.approx(bright, rel=0.05)


def test_a_lithophane_lets_light_pass_in_proportion_to_the_picture() -> None:
    from worker.generators.relief import LITHOPHANE_CONTRAST, ReliefParams, relief_heights

    light = torch.linspace(0, 1, 11)
    height = relief_heights(light, ReliefParams(style="lithophane"))
    passed = torch.exp(-height * np.log(LITHOPHANE_CONTRAST))
    assert float(height.max()) == pytest.approx(1) and float(height.min()) == pytest.approx(0, abs=1e-6)
    assert torch.allclose(passed, 1 / LITHOPHANE_CONTRAST + (1 - 1 / LITHOPHANE_CONTRAST) * light, atol=1e-5)


def test_a_relief_can_be_cut_to_the_shape() -> None:
    whole, cut = (report(accept(make("relief", varied("ring"), cut=cut, **SMALL))) for cut in (False, True))
    assert whole.euler_number == 2 and cut.euler_number == 0


def test_a_relief_keeps_the_pictures_proportions() -> None:
    width, height, _ = accept(make("relief", varied("photograph of a cup"), **SMALL)).extents
    assert height / width == pytest.approx(400 / 600, rel=0.01)


def test_a_device_that_is_not_there_is_named() -> None:
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="DEVICE"):
        choose_device("quantum")
