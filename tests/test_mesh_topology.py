"""Counts, closedness, winding and volume of surfaces whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh

from worker.generators.poisson import solve_inflation
from worker.generators.sheet import sheet_of
from worker.generators.solid import shells
from worker.mesh import topology


def facts(mesh: trimesh.Trimesh) -> topology.Topology:
    return topology.topology(np.asarray(mesh.vertices), np.asarray(mesh.faces))


@pytest.mark.parametrize(
    ("mesh", "euler"),
    [
        (trimesh.creation.icosphere(subdivisions=2), 2),
        (trimesh.creation.torus(2, 0.5), 0),
        (trimesh.creation.annulus(1, 2, 1), 0),
        (trimesh.util.concatenate([trimesh.creation.box(), trimesh.creation.box().apply_translation((3, 0, 0))]), 4),
    ],
    ids=["sphere", "torus", "ring", "two boxes"],
)
def test_the_euler_number_counts_holes_and_parts(mesh: trimesh.Trimesh, euler: int) -> None:
    found = facts(mesh)
    assert found.euler_number == euler == mesh.euler_number
    assert found.watertight
    assert found.winding_consistent


def test_a_missing_face_opens_the_surface() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    assert not topology.topology(ball.vertices, ball.faces[1:]).watertight


def test_one_face_turned_round_breaks_the_winding_but_not_the_closure() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    faces = ball.faces.copy()
    faces[5] = faces[5][::-1]
    found = topology.topology(ball.vertices, faces)
    assert found.watertight
    assert not found.winding_consistent


def test_an_edge_with_four_faces_is_not_watertight() -> None:
    left = trimesh.creation.box()
    right = trimesh.creation.box().apply_translation((1, 1, 0))
    assert not facts(trimesh.util.concatenate([left, right])).watertight


def test_no_faces_are_no_surface() -> None:
    found = topology.topology(np.zeros((3, 3)), np.zeros((0, 3), int))
    assert (found.faces, found.watertight, found.winding_consistent) == (0, False, False)


def test_the_volume_is_signed_and_needs_no_centre() -> None:
    ball = trimesh.creation.icosphere(subdivisions=5).apply_translation((100, -50, 7))
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    assert topology.signed_volume(vertices, faces) == pytest.approx(4 / 3 * math.pi, rel=0.01)
    assert topology.signed_volume(vertices, faces[:, ::-1]) == pytest.approx(-4 / 3 * math.pi, rel=0.01)


def places(kind: str) -> np.ndarray:
    """Positions, some of them several times over."""
    dice = np.random.default_rng(1)
    distinct = dice.normal(size=(500, 3)) if kind == "random" else np.indices((8, 8, 8)).reshape(3, -1).T / 7 - 0.5
    return distinct[dice.integers(0, len(distinct), 1500)].astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("kind", ["random", "grid"])
@pytest.mark.parametrize("one_hash_for_all", [False, True])
def test_equal_positions_form_one_group_in_order_of_appearance(
    kind: str, one_hash_for_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if one_hash_for_all:
        monkeypatch.setattr(topology, "_PRIMES", np.zeros(3, np.uint64))
    positions = places(kind)
    first, group = topology.merge_by_position(positions)
    assert np.array_equal(positions[first][group], positions)
    assert len(first) == len(np.unique(positions, axis=0))
    assert (np.diff(first) > 0).all()
    seen: dict[tuple[float, ...], int] = {}
    assert [seen.setdefault(tuple(place), number) for number, place in enumerate(positions)] == first[group].tolist()


def test_minus_zero_is_zero() -> None:
    first, group = topology.merge_by_position(np.array([(0.0, 1, 0), (-0.0, 1, -0.0)]))
    assert len(first) == 1
    assert group.tolist() == [0, 0]


def test_normals_are_smooth_over_a_seam() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    vertices, faces = ball.vertices[ball.faces].reshape(-1, 3), np.arange(3 * len(ball.faces)).reshape(-1, 3)
    normals = topology.vertex_normals(vertices, faces, topology.area_vectors(vertices, faces))
    assert np.allclose(normals, vertices, atol=0.02)


def test_normals_at_the_rim_of_a_swollen_disc_point_away_from_its_middle() -> None:
    """Triangles there are up to twelve times as long as wide; averaged by area alone, one in a hundred is 13° off."""
    field = 70.3 - torch.hypot(*torch.meshgrid(torch.arange(161.0) - 79.7, torch.arange(161.0) - 80.2, indexing="ij"))
    sheet = sheet_of(field)
    height = solve_inflation(field).sqrt().flatten()[sheet.nodes]
    solid = shells(sheet, height, -height)
    vertices, faces = solid.vertices.numpy().astype(float) - (80.2, -79.7, 0), solid.faces.numpy()
    normals = topology.vertex_normals(vertices, faces, topology.area_vectors(vertices, faces))
    cosines = np.einsum("ij,ij->i", normals, topology.unit_length(vertices))
    assert np.degrees(np.arccos(np.percentile(cosines, 1))) < 2


def test_large_flats_stay_flat_beside_a_narrow_bevel() -> None:
    coin = trimesh.creation.revolve([(0, -0.5), (10, -0.5), (10, 0.3), (9.8, 0.5), (0, 0.5)], sections=64)
    vertices, faces = np.asarray(coin.vertices), np.asarray(coin.faces)
    normals = topology.vertex_normals(vertices, faces, topology.area_vectors(vertices, faces))
    assert normals[vertices[:, 2] > 0.49, 2].min() > np.cos(np.radians(5))
