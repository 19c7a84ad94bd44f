"""Textures, tints and vertex colours come through the gate, the canonical form and glTF as they were meant."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from jobs.errors import GenerationFailed
from jobs.requests import RenditionOptions
from tests.test_generators import made
from tests.test_mesh_gate import textured_box
from worker.mesh import canonical
from worker.mesh.appearance import CLAY, appearance, sample, vertex_colours
from worker.mesh.gate import accept
from worker.mesh.renditions import make_rendition


def dressed(visual: object) -> trimesh.Trimesh:
    box = trimesh.creation.box()
    return trimesh.Trimesh(box.vertices, box.faces, visual=visual, process=False)


def shown(mesh: trimesh.Trimesh) -> list[int]:
    """The colour of its first vertex."""
    return vertex_colours(appearance(mesh), len(mesh.vertices))[0].tolist()


def coloured_ball() -> trimesh.Trimesh:
    """Every grey level and more, at the vertices."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    levels = np.arange(len(ball.vertices)) % 256
    colours = np.column_stack((levels, 255 - levels, levels // 2)).astype(np.uint8)
    return accept(trimesh.Trimesh(ball.vertices, ball.faces, vertex_colors=colours, process=False))


def document_of(glb: bytes) -> dict:
    (size,) = struct.unpack_from("<I", glb, 12)
    return json.loads(glb[20 : 20 + size])


MIDDLE = np.full((8, 2), 0.5)
RED = Image.new("RGB", (4, 4), (200, 40, 20))


@pytest.mark.parametrize(
    ("visual", "colour"),
    [
        (TextureVisuals(uv=MIDDLE, image=RED), [200, 40, 20]),
        (TextureVisuals(uv=MIDDLE, material=SimpleMaterial(diffuse=(10, 100, 200, 255))), [10, 100, 200]),
        (TextureVisuals(uv=MIDDLE, material=PBRMaterial(baseColorTexture=RED)), [200, 40, 20]),
        (TextureVisuals(uv=None, material=PBRMaterial(baseColorFactor=(1.0, 0.0, 0.0, 1.0))), [255, 0, 0]),
        (ColorVisuals(vertex_colors=np.tile((1, 2, 3, 255), (8, 1))), [1, 2, 3]),
        (ColorVisuals(), list(CLAY)),
    ],
    ids=["picture alone", "simple colour", "PBR texture", "PBR colour", "vertex colours", "nothing"],
)
def test_every_way_that_trimesh_dresses_a_mesh_is_understood(visual: object, colour: list[int]) -> None:
    assert shown(dressed(visual)) == colour
    assert shown(canonical.read(canonical.encode(accept(dressed(visual))))) == pytest.approx(colour, abs=2)


def test_face_colours_become_vertex_colours() -> None:
    mesh = trimesh.creation.box()
    mesh.visual.face_colors = np.tile((0, 90, 180, 255), (12, 1))
    assert shown(mesh) == [0, 90, 180]


def test_the_base_colour_factor_is_linear() -> None:
    white = Image.new("RGB", (4, 4), "white")
    half = PBRMaterial(baseColorTexture=white, baseColorFactor=[0.5, 1.0, 0.0, 1.0])
    assert shown(dressed(TextureVisuals(uv=MIDDLE, material=half))) == pytest.approx([188, 255, 0], abs=1)


def test_vertex_colours_survive_the_canonical_form_to_the_last_bit() -> None:
    mesh = coloured_ball()
    again = canonical.read(canonical.encode(mesh))
    assert np.array_equal(appearance(again).colours, appearance(mesh).colours)


def test_gltf_gets_vertex_colours_linear() -> None:
    data, _ = make_rendition(coloured_ball(), RenditionOptions(format="glb"))
    document = document_of(data)
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    offset = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    binary = data[28 + struct.unpack_from("<I", data, 12)[0] :]
    red, green, _, opaque = np.frombuffer(binary, "<u2", 4, offset + 8 * 188) / 65535
    assert accessor["normalized"] is True
    assert (red, green, opaque) == pytest.approx((0.503, 0.0561, 1), abs=1e-3), "sRGB 188 and 67"


def test_a_texture_is_compressed_once_and_then_left_alone() -> None:
    first = canonical.encode(made("inflate", "rocket"))
    mesh = canonical.read(first)
    assert canonical.encode(mesh) == first
    jpeg = mesh.visual.material.baseColorTexture.encoded.data
    assert jpeg[:2] == b"\xff\xd8"
    assert jpeg in make_rendition(mesh, RenditionOptions(format="glb"))[0]
    assert jpeg in make_rendition(mesh, RenditionOptions(format="glb", target_faces=2000))[0]


def test_a_see_through_texture_is_kept_as_png() -> None:
    picture = Image.new("RGBA", (8, 8), (10, 20, 30, 128))
    visual = TextureVisuals(uv=MIDDLE, material=PBRMaterial(baseColorTexture=picture))
    again = canonical.read(canonical.encode(accept(dressed(visual)))).visual.material.baseColorTexture
    assert np.asarray(again)[0, 0].tolist() == [10, 20, 30, 128]


def test_texture_coordinates_that_are_not_finite_are_refused() -> None:
    mesh = textured_box()
    mesh.visual.uv[3, 1] = np.nan
    with pytest.raises(GenerationFailed, match="1 of 36 texture coordinates"):
        accept(mesh)


def test_dropping_a_vertex_drops_its_colour_and_no_other() -> None:
    mesh = trimesh.Trimesh(
        [(9, 9, 9), (0, 0, 0), (1, 0, 0), (0, 1, 0)], [(1, 2, 3)], process=False,
        vertex_colors=[(1, 1, 1), (20, 0, 0), (0, 30, 0), (0, 0, 40)],
    )  # fmt: skip
    assert appearance(accept(mesh)).colours.tolist() == [[20, 0, 0], [0, 30, 0], [0, 0, 40]]


@pytest.mark.parametrize(
    ("uv", "red"),
    [((0, 0), 0), ((1, 0), 255), ((0.5, 0), 127.5), ((1.25, 0), 0), ((-0.25, 0), 255), ((0.25, 7.5), 0)],
)
def test_texture_samples_are_bilinear_and_repeat(uv: tuple[float, float], red: float) -> None:
    pixels = np.array([[[0.0], [255.0]]], np.float32)
    assert sample(pixels, np.array([uv]))[0, 0] == pytest.approx(red)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.99])
def test_a_cut_canonical_file_is_refused_in_words(share: float) -> None:
    data = canonical.encode(made("inflate", "ring"))
    with pytest.raises(ValueError, match="GLB"):
        canonical.read(data[: int(len(data) * share)])


def test_a_damaged_canonical_file_raises_value_errors_only() -> None:
    data = canonical.encode(accept(textured_box()))
    dice = np.random.default_rng(2)
    for _ in range(300):
        spoiled = bytearray(data)
        for place in dice.integers(0, len(data), 3):
            spoiled[place] = dice.integers(256)
        try:
            canonical.read(bytes(spoiled))
        except ValueError:
            continue
