"""`Cache-Control: no-cache` where the generator makes something else the second time: what is kept is the new mesh."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trimesh
from redis import Redis

from cache.agent import CacheAgent
from cache.archive import Archive
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.tiered import TieredCache
from tests.house import House, painted, picture

ANEW = {"Cache-Control": "no-cache"}


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    house.agent.beat()
    made: list[int] = []

    def another_each_time(*args: object, **more: object) -> trimesh.Trimesh:
        made.append(1)
        house.workshop.box.runs += 1
        return painted(trimesh.creation.box((1, 1, 1 / len(made))))

    house.workshop.box.generate = another_each_time  # type: ignore[method-assign]
    house.inbox.send = lambda work: (  # type: ignore[method-assign]
        house.runner.run_generation if work.kind == "generation" else house.runner.run_rendition
    )(work.key)
    yield house
    house.close()


def submit(house: House, headers: dict[str, str] | None = None, **fields: str) -> dict[str, Any]:
    """A job that has ended."""
    data = {"image": (io.BytesIO(picture()), "picture.png"), **fields}
    job = house.http.post("/api/jobs", data=data, headers=headers).json
    job = house.http.get(job["urls"]["self"]).json
    assert job["status"] == "succeeded", job
    return job


def kept(house: House, key: str) -> set[bytes]:
    """What the tiers hold under a key."""
    local, shared = house.local.peek(key), house.shared.lookup(key)
    return {house.archive.get(key).data, *(entry.data for entry in (local, shared) if entry)}


@pytest.mark.parametrize("format", ["glb", "obj", "stl", "ply"])
def test_the_new_mesh_and_its_rendition_replace_the_old_ones(house: House, format: str) -> None:
    first = submit(house, format=format)
    before = kept(house, first["key"])
    second = submit(house, ANEW, format=format)
    after = kept(house, first["key"])
    assert second["key"] == first["key"] and len(before) == len(after) == 1 and before != after
    assert second["result"]["size_mm"] != first["result"]["size_mm"]
    file = house.http.get(second["urls"]["model"])
    assert hashlib.sha256(file.data).hexdigest() == second["result"]["sha256"] == file.get_etag()[0]
    third = submit(house, format=format)
    assert (third["cache"], third["result"]) == ("HIT-L2", second["result"])
    assert house.workshop.box.runs == 2


def test_renditions_that_nobody_asked_for_again_are_made_of_the_new_mesh(house: House) -> None:
    first = submit(house)
    old = submit(house, format="stl", size_mm="20")
    preview = f"{first['urls']['self']}/preview.png?size_px=64"
    picture_before = house.http.get(preview).data
    submit(house, ANEW)
    tag = {"If-None-Match": f'"{old["result"]["sha256"]}"'}
    assert house.http.get(old["urls"]["model"], headers=tag).status_code == 200, "the old file is not current"
    assert house.http.get(preview).data != picture_before
    again = submit(house, format="stl", size_mm="20")
    assert again["result"]["sha256"] == hashlib.sha256(house.http.get(old["urls"]["model"]).data).hexdigest()
    assert again["result"]["sha256"] != old["result"]["sha256"]
    assert house.workshop.box.runs == 2


def test_renditions_that_wait_for_the_new_mesh_without_no_cache_are_made_of_it_too(house: House) -> None:
    old = submit(house, format="obj")
    send, house.inbox.send = house.inbox.send, lambda work: None  # type: ignore[method-assign]
    data = {"image": (io.BytesIO(picture()), "picture.png")}
    leads = house.http.post("/api/jobs", data=data, headers=ANEW).json
    house.inbox.send = send  # type: ignore[method-assign]
    house.runner.run_generation(leads["key"])
    new = submit(house, format="obj")
    assert new["result"]["size_mm"] != old["result"]["size_mm"]


def test_a_worker_that_held_the_old_mesh_makes_renditions_of_the_new_one(house: House, redis_url: str) -> None:
    first = submit(house)
    shared = RedisCache(redis_url)
    tiers = TieredCache(LRUCache(), shared, Archive.open(house.archive.url))
    agent = CacheAgent(tiers, shared, "w2")
    assert agent.beat() and tiers.lookup(first["key"]).tier == "L2"
    submit(house, ANEW)
    agent.beat()
    house.runner._cache = tiers
    stl = submit(house, format="stl")
    mesh = trimesh.load(io.BytesIO(house.http.get(stl["urls"]["model"]).data), file_type="stl")
    assert sorted(mesh.extents.round(3)) == [25, 50, 50]
    agent.close()


def test_a_rendition_is_made_anew_also_when_the_mesh_turns_out_the_same(house: House) -> None:
    house.workshop.box.generate = lambda *args, **more: painted(trimesh.creation.box())  # type: ignore[method-assign]
    job = submit(house)
    right = house.http.get(job["urls"]["model"]).data
    for row in house.archive.entries()[0]:
        if row["key"] != job["key"]:
            house.worker_cache.store(row["key"], b"wrong", house.archive.get(row["key"]).meta, replace=True)
    assert house.http.get(job["urls"]["model"]).data == b"wrong"
    submit(house, ANEW)
    assert house.http.get(job["urls"]["model"]).data == right


def test_the_same_mesh_made_anew_leaves_other_renditions_as_they_are(house: House) -> None:
    house.workshop.box.generate = lambda *args, **more: painted(trimesh.creation.box())  # type: ignore[method-assign]
    submit(house)
    stl = submit(house, format="stl")
    submit(house, ANEW)
    again = submit(house, format="stl")
    assert (again["cache"], again["timings"].get("render_s")) == ("HIT-L2", None)
    assert again["result"] == stl["result"]
