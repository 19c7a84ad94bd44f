"""Same key, same bytes: a rendition is the same file whether it was made right after its mesh or from the archive."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from redis import Redis
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from tests.house import House, painted, picture

OPTIONS = [
    {"format": "obj"},
    {"format": "ply"},
    {"format": "stl"},
    {"format": "glb"},
    {"format": "glb", "target_faces": "300"},
    {"format": "obj", "target_faces": "100", "size_mm": "33.3"},
    {"format": "ply", "size_mm": "0.7", "up_axis": "y"},
    {"format": "stl", "target_faces": "500", "size_mm": "120"},
]


def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3)


def two_islands() -> trimesh.Trimesh:
    """The two halves wear different parts of the texture, so no one projection gives its coordinates."""
    mesh = painted(ball())
    uv = np.array(mesh.visual.uv)
    uv[:, 0] = np.where(mesh.vertices[:, 2] > 0, uv[:, 0] / 2, 1 - uv[:, 0] / 2)
    mesh.visual.uv = uv
    return mesh


def see_through() -> trimesh.Trimesh:
    """A texture with alpha, which is kept as PNG."""
    mesh = painted(ball())
    noise = np.random.default_rng(3).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    material = PBRMaterial(baseColorTexture=Image.fromarray(noise, "RGBA"), baseColorFactor=[0.5, 1.0, 0.3, 1.0])
    mesh.visual = TextureVisuals(uv=mesh.visual.uv, material=material)
    return mesh


def in_palette() -> trimesh.Trimesh:
    mesh = painted(ball())
    colours = mesh.visual.material.baseColorTexture.convert("P")
    mesh.visual = TextureVisuals(uv=mesh.visual.uv, material=SimpleMaterial(image=colours))
    return mesh


def coloured() -> trimesh.Trimesh:
    mesh = ball()
    mesh.visual.vertex_colors = np.random.default_rng(5).integers(0, 256, (len(mesh.vertices), 4), dtype=np.uint8)
    return mesh


def bare_and_far_away() -> trimesh.Trimesh:
    """Large coordinates with digits that float32 does not hold."""
    return trimesh.Trimesh(ball().vertices * np.pi * 1000 + 12345.678, ball().faces, process=False)


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def submit(house: House, options: dict[str, str]) -> dict[str, Any]:
    return house.http.post("/api/jobs", data={"image": (io.BytesIO(picture()), "picture.png"), **options}).json


def forget_renditions(house: House, *, but: str) -> None:
    """Every tier keeps the mesh alone."""
    for row in house.archive.entries(1000)[0]:
        if row["key"] != but:
            assert house.worker_cache.delete(row["key"])


@pytest.mark.parametrize(
    "make", [lambda: painted(ball()), two_islands, see_through, in_palette, coloured, bare_and_far_away],
    ids=["texture", "two islands", "see-through", "palette", "vertex colours", "bare"],
)  # fmt: skip
def test_a_rendition_made_while_the_mesh_is_hot_has_the_bytes_of_one_made_from_the_archive(
    house: House, make: Callable[[], trimesh.Trimesh]
) -> None:
    house.workshop.box.generate = lambda *args, **more: make()
    jobs = [submit(house, options) for options in OPTIONS]
    assert house.work() == 1, "one generation, and every rendition at once after it"
    jobs = [house.http.get(job["urls"]["self"]).json for job in jobs]
    hot = [house.http.get(job["urls"]["model"]).data for job in jobs]
    for tiers_emptied in (False, True):
        forget_renditions(house, but=jobs[0]["key"])
        if tiers_emptied:
            house.local.clear()
            house.shared.clear()
        for job, data, options in zip(jobs, hot, OPTIONS, strict=True):
            again = downloaded(house, job["urls"]["model"])
            assert again.data == data, options
            assert again.get_etag()[0] == job["result"]["sha256"], options


def test_a_preview_is_the_same_picture_from_memory_and_from_the_archive(house: House) -> None:
    house.workshop.box.generate = lambda *args, **more: two_islands()
    job = submit(house, {})
    house.work()
    url = f"{job['urls']['self']}/preview.png?size_px=96"
    hot = downloaded(house, url).data
    forget_renditions(house, but=job["key"])
    house.local.clear()
    house.shared.clear()
    assert downloaded(house, url).data == hot


def downloaded(house: House, url: str) -> Any:
    """Its answer once a worker has made it."""
    house.inbox.send = lambda work: house.runner.run_rendition(work.key)  # type: ignore[method-assign]
    answer = house.http.get(url)
    assert answer.status_code == 200, answer.json
    return answer
