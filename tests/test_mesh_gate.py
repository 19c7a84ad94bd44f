"""The one gate before a mesh is kept, and the canonical form it is kept in."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from jobs.errors import GenerationFailed, NoSurface
from tests.test_generators import made
from worker.mesh import canonical
from worker.mesh.gate import accept, report


def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=2, radius=3.0)


def textured_box(size: tuple[float, float, float] = (4, 2, 1)) -> trimesh.Trimesh:
    """A box whose faces share no vertex, as UV seams leave it, dressed half red and half blue."""
    box = trimesh.creation.box(size)
    vertices, faces = box.vertices[box.faces].reshape(-1, 3), np.arange(36).reshape(-1, 3)
    picture = Image.new("RGB", (64, 64), (220, 30, 30))
    picture.paste((30, 30, 220), (32, 0, 64, 64))
    uv = np.column_stack([vertices[:, 0] / size[0] + 0.5, vertices[:, 1] / size[1] + 0.5])
    visual = TextureVisuals(uv=uv, material=PBRMaterial(baseColorTexture=picture))
    return trimesh.Trimesh(vertices, faces, visual=visual, process=False)


def test_a_mesh_leaves_centred_with_its_longest_side_one() -> None:
    mesh = accept(textured_box().apply_translation((5, 6, 7)))
    assert np.allclose(mesh.extents, (1, 0.5, 0.25))
    assert np.allclose(mesh.bounds.mean(axis=0), 0, atol=1e-6)


def test_an_inside_out_solid_is_turned() -> None:
    mesh = ball()
    mesh.invert()
    assert report(accept(mesh)).volume > 0


def test_what_was_given_is_left_as_it_was() -> None:
    mesh = ball()
    before = mesh.vertices.copy()
    accept(mesh)
    assert np.array_equal(mesh.vertices, before)


def test_seams_of_the_texture_are_no_holes() -> None:
    told = report(accept(textured_box()))
    assert told.watertight
    assert told.winding_consistent
    assert told.euler_number == 2


def test_an_open_surface_passes_and_is_called_open() -> None:
    sheet = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)], process=False)
    assert report(accept(sheet)).watertight is False


@pytest.mark.parametrize("shape", ["cap", "box without a side", "bent sheet"])
def test_an_open_surface_of_negative_volume_is_left_as_it_is(shape: str) -> None:
    mesh = {
        "cap": lambda: trimesh.creation.icosphere(subdivisions=2),
        "box without a side": lambda: trimesh.creation.box((2, 1, 1)),
        "bent sheet": lambda: trimesh.creation.cylinder(radius=1, height=3),
    }[shape]()
    mesh = trimesh.Trimesh(mesh.vertices, mesh.faces[2:, ::-1], process=False)
    kept = accept(mesh)
    told = report(kept)
    assert not told.watertight and told.volume < 0
    assert np.array_equal(kept.faces, mesh.faces), "which side of an open surface is its front, nobody knows"


def test_degenerate_faces_and_unused_vertices_go() -> None:
    mesh = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0), (9, 9, 9)], [(0, 1, 2), (0, 0, 1)], process=False)
    kept = accept(mesh)
    assert (len(kept.faces), len(kept.vertices)) == (1, 3)


@pytest.mark.parametrize(
    ("vertices", "faces", "error", "words"),
    [
        ([(0, 0, 0), (1, 0, 0), (0, np.nan, 0)], [(0, 1, 2)], GenerationFailed, "not finite"),
        ([(0, 0, 0), (1, 0, 0), (0, np.inf, 0)], [(0, 1, 2)], GenerationFailed, "not finite"),
        ([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 7)], GenerationFailed, "name vertices"),
        ([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, -1)], GenerationFailed, "name vertices -1"),
        ([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2), (-3, -2, -1)], GenerationFailed, "name vertices -3"),
        ([], [], NoSurface, "no surface"),
        ([(0, 0, 0), (1, 0, 0), (2, 0, 0)], [(0, 1, 2)], NoSurface, "without area"),
        ([(1, 1, 1)] * 3, [(0, 1, 2)], NoSurface, "size 0"),
        ([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 0, 1)], NoSurface, "three different"),
    ],
    ids=["nan", "infinite", "index", "negative index", "negative indices", "empty", "flat", "a point", "degenerate"],
)  # fmt: skip
def test_what_is_no_surface_is_refused_in_words(vertices: list, faces: list, error: type, words: str) -> None:
    mesh = trimesh.Trimesh(
        np.asarray(vertices, float).reshape(-1, 3), np.asarray(faces, int).reshape(-1, 3), process=False
    )
    with pytest.raises(error, match=words):
        accept(mesh)


@pytest.mark.parametrize("name", ["inflate", "relief"])
def test_the_canonical_form_gives_back_what_it_was_given(name: str) -> None:
    mesh = made(name, "rocket")
    data = canonical.encode(mesh)
    again = canonical.read(data)
    assert np.array_equal(again.vertices, mesh.vertices)
    assert np.array_equal(again.faces, mesh.faces)
    assert np.allclose(again.visual.uv, mesh.visual.uv, atol=1e-6)
    picture = np.asarray(again.visual.material.baseColorTexture.convert("RGB")).astype(int)
    original = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert np.abs(picture - original).mean() < 3


def test_the_same_mesh_has_the_same_canonical_bytes() -> None:
    mesh = accept(textured_box())
    assert canonical.encode(mesh) == canonical.encode(mesh.copy())
    assert canonical.encode(canonical.read(canonical.encode(mesh)))[:4] == b"glTF"


def test_other_programs_can_read_the_canonical_form() -> None:
    mesh = trimesh.load(
        trimesh.util.wrap_as_stream(canonical.encode(made("inflate", "ring"))), file_type="glb", force="mesh"
    )
    assert mesh.is_watertight or report(mesh).watertight
    assert max(mesh.extents) == pytest.approx(1)
