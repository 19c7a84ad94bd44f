"""What a job's answer saved: the seconds that its mesh had cost somebody else, as they were noted, never guessed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.house import House, picture

TAKES_S = 0.05


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    house.workshop.box.takes_s = TAKES_S
    yield house
    house.close()


def submit(house: House, headers: dict[str, str] | None = None, **fields: str) -> dict[str, Any]:
    data = {"image": (io.BytesIO(picture()), "picture.png"), **fields}
    return house.http.post("/api/jobs", data=data, headers=headers).json


def ended(house: House, job: dict[str, Any]) -> dict[str, Any]:
    house.work()
    return house.http.get(job["urls"]["self"]).json


def test_who_has_a_mesh_made_has_saved_nothing(house: House) -> None:
    queued = submit(house)
    assert queued["saved_s"] is None, "nobody knows yet"
    assert ended(house, queued)["saved_s"] == 0.0
    assert ended(house, submit(house, headers={"Cache-Control": "no-cache"}))["saved_s"] == 0.0


def test_a_repeat_has_saved_what_the_first_one_took(house: House) -> None:
    first = ended(house, submit(house))
    again = submit(house)
    assert again["cache"] == "HIT-L2"
    assert again["saved_s"] == pytest.approx(first["timings"]["generate_s"], abs=0.001)
    assert again["saved_s"] > TAKES_S


def test_another_format_of_a_mesh_has_saved_its_generation(house: House) -> None:
    first = ended(house, submit(house))
    other = ended(house, submit(house, format="stl"))
    assert other["cache"] == "HIT-L2" and other["timings"]["render_s"] > 0
    assert other["saved_s"] == pytest.approx(first["timings"]["generate_s"], abs=0.001)


def test_who_joined_has_saved_what_the_one_before_pays(house: House) -> None:
    leads, joins, other = submit(house), submit(house), submit(house, format="ply")
    assert ended(house, leads)["saved_s"] == 0.0
    for job in (joins, other):
        job = ended(house, job)
        assert job["cache"] == "COALESCED" and job["saved_s"] > TAKES_S


def test_a_worker_that_finds_the_mesh_tells_what_it_had_cost(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, submit_lookup=False).open()
    house.workshop.box.takes_s = TAKES_S
    ended(house, submit(house))
    again = ended(house, submit(house))
    house.close()
    assert again["cache"] == "HIT-L1" and again["saved_s"] > TAKES_S


def test_a_failed_job_has_saved_nothing_that_is_known(house: House) -> None:
    assert ended(house, submit(house, fail="true"))["saved_s"] is None


def test_a_cost_that_nobody_noted_is_not_invented(house: House) -> None:
    first = ended(house, submit(house))
    house.shared.clear()
    house.local.clear()
    for row in house.archive.entries()[0]:
        kept = house.archive.get(row["key"])
        meta = {name: value for name, value in kept.meta.items() if name != "cost_s"}
        house.archive.replace(row["key"], kept.data, meta)
    again = submit(house)
    assert again["cache"] == "HIT-ARCHIVE" and again["result"] == first["result"]
    assert again["saved_s"] is None


@pytest.mark.parametrize("lost", [(), ("local",), ("local", "shared")], ids=["local", "shared", "archive"])
def test_a_hit_in_a_worker_is_counted_as_saved_once(
    text_redis: Redis, redis_url: str, tmp_path: Path, lost: tuple[str, ...]
) -> None:
    """The worker finds the mesh and then its rendition; only the mesh had cost a generation."""
    house = House(text_redis, redis_url, tmp_path, submit_lookup=False).open()
    house.workshop.box.takes_s = TAKES_S
    took_s = ended(house, submit(house))["timings"]["generate_s"]
    for tier in lost:
        getattr(house, tier).clear()
    before_s = saved_in_all(house)
    assert ended(house, submit(house))["saved_s"] > TAKES_S
    house.close()
    assert saved_in_all(house) - before_s == pytest.approx(took_s, abs=0.01)


def saved_in_all(house: House) -> float:
    """What the fleet's statistics say."""
    house.agent.beat()
    return house.http.get("/api/cache/stats").json["stats"]["gpu_seconds_saved"]
