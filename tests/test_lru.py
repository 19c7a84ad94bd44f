from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest

from cache import MISSING, LRUCache, clear_cache, get_cache


class Clock:
    """A clock that goes only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def keys(cache: LRUCache) -> list[object]:
    """Most recently used first."""
    return [row["key"] for row in cache.get_entries_summary()]


def check_invariants(cache: LRUCache) -> None:
    stats, rows = cache.get_stats(), cache.get_entries_summary()
    assert stats["current_items"] == len(rows) == len(cache) <= stats["max_items"]
    assert stats["current_memory_mb"] == pytest.approx(sum(row["size_mb"] for row in rows))
    assert stats["current_memory_mb"] <= stats["max_memory_mb"]
    assert stats["evictions"] == stats["evictions_by_count"] + stats["evictions_by_size"]


def test_the_least_recently_used_entry_leaves_first() -> None:
    cache = LRUCache(max_size=3)
    for key in "abc":
        cache.set(key, key)
    assert cache.get("a") == "a"
    cache.set("d", "d")
    assert keys(cache) == ["d", "a", "c"]
    assert cache.get_stats()["evictions_by_count"] == 1
    check_invariants(cache)


def test_a_stored_none_is_told_from_a_miss() -> None:
    cache = LRUCache()
    cache.set("nothing", None)
    assert cache.lookup("nothing") is None
    assert cache.lookup("absent") is MISSING
    assert cache.get("nothing") is None
    assert cache.get_stats()["hits"] == 2


def test_overwriting_at_capacity_evicts_nobody() -> None:
    cache = LRUCache(max_size=2, max_memory_mb=10)
    cache.set("a", 1, size_mb=5)
    cache.set("b", 2, size_mb=5)
    cache.set("a", 3, size_mb=5)
    assert keys(cache) == ["a", "b"]
    assert cache.get("a") == 3
    assert cache.get_stats()["evictions"] == 0
    check_invariants(cache)


def test_overwriting_refreshes_recency() -> None:
    cache = LRUCache(max_size=2)
    for key in "aba":
        cache.set(key, key)
    cache.set("c", "c")
    assert keys(cache) == ["c", "a"]


def test_overwriting_with_a_larger_value_evicts_others_but_not_itself() -> None:
    cache = LRUCache(max_memory_mb=10)
    for key in "abc":
        cache.set(key, key, size_mb=3)
    cache.set("a", "larger", size_mb=8)
    assert keys(cache) == ["a"]
    assert cache.get_stats()["evictions_by_size"] == 2
    check_invariants(cache)


def test_a_value_over_the_limit_is_refused_and_disturbs_nothing() -> None:
    cache = LRUCache(max_memory_mb=10)
    cache.set("a", 1, size_mb=6)
    assert cache.set("giant", 0, size_mb=10.5) is False
    assert cache.set("a", 2, size_mb=10.5) is False
    assert cache.get("a") == 1
    assert cache.get_stats()["evictions"] == 0
    check_invariants(cache)


@pytest.mark.parametrize("field", ["max_size", "max_memory_mb", "default_ttl_seconds"])
@pytest.mark.parametrize("nonsense", [0, -1, math.nan, math.inf, "many", True])
def test_nonsense_limits_are_refused_by_name(field: str, nonsense: object) -> None:
    with pytest.raises(ValueError, match=field):
        LRUCache(**{field: nonsense})
    cache = LRUCache(max_size=7)
    with pytest.raises(ValueError, match=field):
        cache.update_config(**{"max_size": 3, field: nonsense})
    assert cache.get_config()["max_size"] == 7


@pytest.mark.parametrize("field", ["size_mb", "ttl_seconds"])
@pytest.mark.parametrize("nonsense", [-1, math.nan, math.inf, "much"])
def test_nonsense_about_an_entry_is_refused_by_name(field: str, nonsense: object) -> None:
    cache = LRUCache()
    with pytest.raises(ValueError, match=field):
        cache.set("a", 1, **{field: nonsense})
    assert len(cache) == 0


def test_entries_expire_on_a_clock_that_the_wall_clock_cannot_move() -> None:
    clock, wall = Clock(), Clock(1_700_000_000.0)
    cache = LRUCache(default_ttl_seconds=10, clock=clock, wall_clock=wall)
    cache.set("a", 1)
    cache.set("short", 1, ttl_seconds=5)
    wall.now += 86_400
    assert cache.get("a") == 1
    clock.now += 5
    assert cache.lookup("short") is MISSING
    assert cache.get("a") == 1
    clock.now += 5
    assert cache.lookup("a") is MISSING
    assert cache.delete("a") is False


def test_expired_entries_go_without_being_asked_for() -> None:
    clock = Clock()
    cache = LRUCache(default_ttl_seconds=10, clock=clock)
    for number in range(100):
        cache.set(number, number, size_mb=1)
    cache.set("stays", 1, ttl_seconds=100)
    clock.now += 10
    assert cache.sweep() == 100
    assert keys(cache) == ["stays"]
    check_invariants(cache)


def store_at_the_limit_of_entries(cache: LRUCache) -> None:
    cache.set("new", 1, size_mb=1)


def store_at_the_limit_of_bytes(cache: LRUCache) -> None:
    cache.set("new", 1, size_mb=9)  # all of the expired together make just enough room


def lower_the_limit_of_entries(cache: LRUCache) -> None:
    cache.update_config(max_size=2)


def lower_the_limit_of_bytes(cache: LRUCache) -> None:
    cache.update_config(max_memory_mb=2)


@pytest.mark.parametrize(
    "squeeze",
    [
        store_at_the_limit_of_entries,
        store_at_the_limit_of_bytes,
        lower_the_limit_of_entries,
        lower_the_limit_of_bytes,
    ],
)
def test_what_is_expired_leaves_before_what_is_alive_and_counts_as_no_eviction(
    squeeze: Callable[[LRUCache], None],
) -> None:
    clock = Clock()
    cache = LRUCache(max_size=11, max_memory_mb=11, clock=clock)
    cache.set("the least recently used", 1, size_mb=1)
    for number in range(9):
        cache.set(number, number, size_mb=1, ttl_seconds=1)
    cache.set("alive", 1, size_mb=1)
    clock.now += 1
    squeeze(cache)
    assert {"the least recently used", "alive"} <= set(keys(cache))
    assert cache.get_stats()["evictions"] == 0
    assert cache.get_stats()["current_items"] == len({"the least recently used", "alive", *keys(cache)})
    check_invariants(cache)


def test_rewriting_one_key_for_ever_keeps_no_trace_of_the_old_life_spans() -> None:
    cache = LRUCache(default_ttl_seconds=1000)
    for number in range(10_000):
        cache.set("a", number)
    assert len(cache._deadlines) < 100


def test_a_new_life_span_of_a_key_replaces_the_old_one() -> None:
    clock = Clock()
    cache = LRUCache(clock=clock)
    cache.set("a", 1, ttl_seconds=1)
    cache.set("a", 2, ttl_seconds=100)
    cache.set("b", 1, ttl_seconds=1)
    cache.set("b", 2)
    clock.now += 50
    assert cache.sweep() == 0
    assert (cache.get("a"), cache.get("b")) == (2, 2)


def test_shrinking_the_limits_evicts_at_once() -> None:
    cache = LRUCache(max_size=10, max_memory_mb=100)
    for number in range(10):
        cache.set(number, number, size_mb=10)
    cache.update_config(max_size=5)
    assert keys(cache) == [9, 8, 7, 6, 5]
    cache.update_config(max_memory_mb=20)
    assert keys(cache) == [9, 8]
    stats = cache.get_stats()
    assert (stats["evictions_by_count"], stats["evictions_by_size"]) == (5, 3)
    check_invariants(cache)


def test_the_limits_are_read_as_attributes_and_changed_by_update_config_alone() -> None:
    cache = LRUCache(max_size=10, max_memory_mb=2.5, default_ttl_seconds=60)
    assert (cache.max_size, cache.max_memory_mb, cache.default_ttl_seconds) == (10, 2.5, 60)
    for name in ("max_size", "max_memory_mb", "default_ttl_seconds"):
        with pytest.raises(AttributeError):
            setattr(cache, name, 1)
    cache.update_config(max_size=5, max_memory_mb=0.5, default_ttl_seconds=None)
    assert (cache.max_size, cache.max_memory_mb, cache.default_ttl_seconds) == (5, 0.5, None)
    shared = get_cache()
    assert (shared.max_size, shared.max_memory_mb, shared.default_ttl_seconds) == (1000, 512.0, None)


def test_the_stats_have_the_promised_names_and_start_without_dividing_by_zero() -> None:
    stats = LRUCache().get_stats()
    assert set(stats) == {
        "hits", "misses", "hit_rate_percent", "evictions", "evictions_by_count", "evictions_by_size", "current_items",
        "current_memory_mb", "max_items", "max_memory_mb", "memory_utilization_percent", "max_memory_seen_mb",
    }  # fmt: skip
    assert stats["hit_rate_percent"] == 0


def test_an_entry_shows_what_is_promised() -> None:
    clock, wall = Clock(), Clock(1_700_000_000.0)
    cache = LRUCache(clock=clock, wall_clock=wall)
    cache.set("a", 1, size_mb=2.5, ttl_seconds=60)
    cache.get("a")
    clock.now += 20
    wall.now += 20
    assert cache.get_entries_summary() == [
        {
            "key": "a", "size_mb": 2.5, "timestamp": 1_700_000_000.0, "age_seconds": 20, "access_count": 1,
            "expires_at": 1_700_000_060.0, "expired": False,
        }
    ]  # fmt: skip
    clock.now += 40
    assert cache.get_entries_summary()[0]["expired"] is True


def test_resetting_the_stats_keeps_the_entries() -> None:
    cache = LRUCache()
    cache.set("a", 1, size_mb=3)
    cache.get("a")
    cache.get("b")
    cache.reset_stats()
    stats = cache.get_stats()
    assert (stats["hits"], stats["misses"], stats["current_items"], stats["max_memory_seen_mb"]) == (0, 0, 1, 3)


def test_clearing_keeps_the_counters() -> None:
    cache = LRUCache()
    cache.set("a", 1, size_mb=3)
    cache.get("a")
    cache.clear()
    stats = cache.get_stats()
    assert (stats["hits"], stats["max_memory_seen_mb"]) == (1, 3)
    assert (stats["current_items"], stats["current_memory_mb"]) == (0, 0)


def test_the_shared_instance_is_one_and_can_be_cleared() -> None:
    get_cache().set("a", 1)
    assert get_cache() is get_cache()
    assert get_cache().get("a") == 1
    clear_cache()
    assert get_cache().lookup("a") is MISSING


def test_many_threads_leave_it_in_order() -> None:
    cache = LRUCache(max_size=50, max_memory_mb=60, default_ttl_seconds=0.01)

    def work(seed: int) -> None:
        for step in range(3000):
            key = (seed * 7 + step * step) % 120
            if step % 3:
                cache.get(key)
            elif step % 31 == 0:
                cache.delete(key)
            else:
                cache.set(key, key, size_mb=key % 5)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_invariants(cache)
