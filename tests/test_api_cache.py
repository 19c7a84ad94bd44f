"""Cache administration over REST: figures, configuration, clearing and entries of the whole fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from api import create_app
from cache.agent import CacheAgent
from cache.fleet import FleetCache
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.tiered import TieredCache
from tests.house import House
from tests.servers import wait_until
from tests.test_api_auth import bearer
from tests.test_api_jobs import submit

LOCAL_KEYS = {
    "hits", "misses", "hit_rate_percent", "evictions", "evictions_by_count", "evictions_by_size", "current_items",
    "current_memory_mb", "max_items", "max_memory_mb", "memory_utilization_percent", "max_memory_seen_mb",
}  # fmt: skip


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    house.agent.beat()
    yield house
    house.close()


def made(house: House) -> str:
    """Generation key of one finished job."""
    key = submit(house).json["key"]
    house.work()
    house.agent.beat()
    return key


def test_stats_tell_of_the_fleet_each_process_and_each_tier(house: House) -> None:
    made(house)
    told = house.http.get("/api/cache/stats").json
    assert told["status"] == "ok" and told["cache_enabled"] is True and told["timestamp"].endswith("Z")
    assert told["stats"].keys() >= LOCAL_KEYS | {"gpu_seconds_saved"}
    (worker,) = told["local"]["workers"]
    assert (worker["id"], worker["queue"], worker["alive"]) == ("w1", "generate", True)
    assert worker["stats"].keys() == LOCAL_KEYS and worker["stats"]["current_items"] == 2
    assert told["shared"]["current_items"] == 2 and told["archive"]["writes"] == 2


def saved_s(house: House) -> float:
    house.agent.beat()
    return house.http.get("/api/cache/stats").json["stats"]["gpu_seconds_saved"]


@pytest.mark.parametrize("again", [{}, {"format": "stl"}], ids=["the same", "another form"])
def test_each_repeat_counts_the_gpu_seconds_it_saved_once(house: House, again: dict[str, str]) -> None:
    house.workshop.box.takes_s = 0.2
    made(house)
    assert saved_s(house) == 0
    submit(house, **again)
    house.work()
    assert saved_s(house) == pytest.approx(0.2, abs=0.15)
    house.http.get(house.http.get("/api/jobs").json["jobs"][0]["urls"]["model"])
    assert saved_s(house) == pytest.approx(0.2, abs=0.15), "a download saves no generation"


def test_the_configuration_is_shown_and_changed_as_a_whole(house: House) -> None:
    house.agent.start_reader()
    shown = house.http.get("/api/cache/config").json
    assert (shown["max_size"], shown["max_memory_mb"], shown["enabled"]) == (1000, 512, True)
    changed = house.http.post("/api/cache/config", json={"max_size": 7, "shared_max_size": 70, "ttl_seconds": 60})
    assert changed.status_code == 200
    assert (changed.json["max_size"], changed.json["shared_max_size"], changed.json["ttl_seconds"]) == (7, 70, 60)
    assert changed.json["workers"] == {"applied": ["w1"], "pending": []}
    assert house.local.get_config()["max_size"] == 7
    house.agent.close()


def test_a_worker_that_starts_later_has_the_current_configuration(house: House, redis_url: str) -> None:
    house.http.post("/api/cache/config", json={"max_size": 9})
    late = LRUCache()
    shared = RedisCache(redis_url)
    CacheAgent(TieredCache(late, shared, None), shared, "late").beat()
    assert late.get_config()["max_size"] == 9


def test_a_silent_worker_is_named_as_pending(house: House) -> None:
    told = house.http.post("/api/cache/config", json={"max_size": 8}).json
    assert told["workers"] == {"applied": [], "pending": ["w1"]}
    house.agent.beat()
    assert house.http.get("/api/cache/config").json["workers"] == {"applied": ["w1"], "pending": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_size": 0}, "max_size"), ({"max_size": 1.5}, "max_size"), ({"max_size": "many"}, "max_size"),
        ({"max_memory_mb": -1}, "max_memory_mb"), ({"ttl_seconds": 0}, "ttl_seconds"), ({"enabled": "no"}, "enabled"),
        ({"shared_max_size": 0}, "shared_max_size"), ({"shared_max_memory_mb": 0}, "shared_max_memory_mb"),
        ({"size": 3}, "size"), ([], "body"),
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_is_refused_with_its_field_and_changes_nothing(house: House, body: Any, field: str) -> None:
    before = house.http.get("/api/cache/config").json
    sent = {"max_memory_mb": 99, **body} if isinstance(body, dict) and field != "max_memory_mb" else body
    answer = house.http.post("/api/cache/config", json=sent)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert house.http.get("/api/cache/config").json == before


def test_switching_the_cache_off_reaches_the_workers(house: House) -> None:
    made(house)
    house.http.post("/api/cache/config", json={"enabled": False})
    house.agent.beat()
    assert house.worker_cache.enabled is False and len(house.local) == 0


def test_clear_empties_local_and_shared_tiers_but_not_the_archive(house: House) -> None:
    house.agent.start_reader()
    made(house)
    told = house.http.post("/api/cache/clear").json
    assert told["pending"] == [] and set(told["cleared"]) == {"local", "shared"}
    assert len(house.local) == 0
    assert submit(house).headers["X-Cache"] == "HIT-ARCHIVE"
    house.agent.close()


def test_clearing_everything_makes_it_anew(house: House) -> None:
    made(house)
    told = house.http.post("/api/cache/clear?tier=all").json
    assert told["cleared"]["archive"] == 2
    house.agent.beat()
    assert submit(house).headers["X-Cache"] == "MISS"


@pytest.mark.parametrize("tier", ["local", "shared", "archive"])
def test_entries_of_each_tier_say_what_they_are(house: House, tier: str) -> None:
    key = made(house)
    page = house.http.get(f"/api/cache/entries?tier={tier}").json
    assert page["next_cursor"] is None and len(page["entries"]) == 2
    entry = next(entry for entry in page["entries"] if entry["key"] == key)
    assert entry["size_mb"] > 0 and entry["timestamp"].endswith("Z") and entry["expired"] is False
    if tier != "local":
        assert (entry["generator"], entry["kind"]) == ("box", "generation")


@pytest.mark.parametrize("tier", ["shared", "archive"])
def test_entries_come_in_pages_most_recent_first(house: House, tier: str) -> None:
    made(house)
    first = house.http.get(f"/api/cache/entries?limit=1&tier={tier}").json
    second = house.http.get(f"/api/cache/entries?limit=1&tier={tier}&cursor={first['next_cursor']}").json
    assert len(first["entries"]) == len(second["entries"]) == 1
    assert first["entries"][0]["key"] != second["entries"][0]["key"]
    assert first["entries"][0]["timestamp"] >= second["entries"][0]["timestamp"]
    assert house.http.get(f"/api/cache/entries?tier={tier}&cursor=nonsense").status_code == 422


def test_one_entry_is_seen_and_deleted_in_every_tier(house: House) -> None:
    key = made(house)
    entry = house.http.get(f"/api/cache/entries/{key}").json
    assert entry["shared"] and entry["archive"] and [row["worker"] for row in entry["local"]] == ["w1"]
    assert house.http.delete(f"/api/cache/entries/{key}").json == {"key": key, "deleted": True}
    house.agent.beat()
    assert house.http.get(f"/api/cache/entries/{key}").status_code == 404
    assert house.http.delete(f"/api/cache/entries/{key}").status_code == 404


def test_administration_needs_an_admin_key(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("user",), admin_keys=("root",))
    calls = [("GET", "stats"), ("GET", "config"), ("POST", "config"), ("POST", "clear"), ("GET", "entries")]
    for method, name in calls:
        answer = house.http.open(f"/api/cache/{name}", method=method, headers=bearer("user"))
        assert (answer.status_code, answer.json["code"]) == (403, "admin_key_needed")
    assert house.http.get("/api/cache/stats", headers=bearer("root")).status_code == 200


def test_stats_of_two_hundred_workers_are_answered_within_100_ms(house: House, redis_url: str) -> None:
    shared = RedisCache(redis_url)
    for number in range(200):
        CacheAgent(TieredCache(LRUCache(), shared, None), shared, f"worker-{number}", queue="generate").beat()
    house.http.get("/api/cache/stats")
    began = time.perf_counter()
    told = house.http.get("/api/cache/stats").json
    assert time.perf_counter() - began < 0.1
    assert len(told["local"]["workers"]) == 201


def test_totals_survive_workers_that_are_gone(house: House, redis_url: str) -> None:
    shared = RedisCache(redis_url)
    tiers = TieredCache(LRUCache(), shared, None)
    agent = CacheAgent(tiers, shared, "short-lived")
    for _ in range(5):
        tiers.lookup("0" * 64)
    agent.beat()
    before = house.http.get("/api/cache/stats").json["stats"]["misses"]
    agent.close()
    assert before >= 5 and house.http.get("/api/cache/stats").json["stats"]["misses"] == before


def test_a_change_reaches_a_worker_that_is_busy_in_inference(house: House) -> None:
    house.agent.start_reader()
    submit(house)
    begun, go_on = threading.Event(), threading.Event()
    generate = house.workshop.box.generate

    def slow(*args: Any, **kwargs: Any) -> object:
        begun.set()
        assert go_on.wait(10)
        return generate(*args, **kwargs)

    house.workshop.box.generate = slow
    worker = threading.Thread(target=house.work)
    worker.start()
    assert begun.wait(10)
    began = time.monotonic()
    house.http.post("/api/cache/config", json={"max_size": 5})
    wait_until(lambda: house.http.get("/api/cache/config").json["workers"]["applied"] == ["w1"], 2)
    assert time.monotonic() - began < 2
    go_on.set()
    worker.join()
    house.agent.close()


def test_a_cache_redis_that_is_down_is_told_as_degraded(
    text_redis: Redis, redis_url: str, tmp_path: Path, own_redis: Any
) -> None:
    server = own_redis()
    house = House(text_redis, redis_url, tmp_path)
    house.shared = RedisCache(server.url)
    server.kill()
    broken = replace(
        house.services, fleet_cache=FleetCache(TieredCache(None, house.shared, house.archive), house.shared)
    )
    http = create_app(broken).test_client()
    assert http.get("/api/cache/stats").json["status"] == "degraded"
    assert http.get("/api/cache/config").status_code == 503
