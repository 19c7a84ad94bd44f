"""Keys of the shared tier's index that vanish, by hand or by a wrong eviction policy: noticed, rebuilt, told."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from cache import MISSING, Archive, CacheAgent, FleetCache, LRUCache, RedisCache, TieredCache
from tests.cache_keys import key
from tests.house import House
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer, wait_until

TAG = "{orfeas:cache:2}"
INDEX = ("state", "order", "expiry", "entries", "hits", "events")
KEEPS_ALL = ("order", "expiry", "hits", "events")  # what the others still say is enough
FLEET = ("workers", "seen", "applied", "totals", "folded", "folded_at", "local")
METRIC = "orfeas_cache_index_rebuilds_total"
SMALL, LARGE = os.urandom(5_000), os.urandom(1_500_000)


def lose(client: redis.Redis, *kinds: str) -> None:
    client.delete(*(f"{TAG}:{kind}" for kind in kinds))


def filled(cache: RedisCache) -> dict[str, bytes]:
    """Small values and large ones, with and without a life span; the one stored first was used last."""
    values = {key(number): (LARGE if number % 5 == 1 else SMALL) + b"%d" % number for number in range(12)}
    for number, (name, data) in enumerate(values.items()):
        assert cache.store(name, data, {"n": number}, cost_s=number + 1, ttl_s=3600 if number % 2 else None)
    assert cache.describe(key(0)) is not MISSING
    return values


@pytest.fixture
def cache(real_redis: redis.Redis, redis_url: str) -> Iterator[RedisCache]:
    cache = RedisCache(redis_url, ttl_s=None, max_memory_mb=50)
    yield cache
    check_invariants(real_redis, damaged=True)


@pytest.fixture
def agent(cache: RedisCache) -> Iterator[CacheAgent]:
    agent = CacheAgent(TieredCache(LRUCache(), cache, None), cache, "worker", silence_s=0.3)
    assert agent.beat()
    yield agent
    agent.close()


LOSSES = [(kind,) for kind in INDEX] + list(itertools.combinations(("order", "entries", "hits"), 2)) + [
    ("order", "entries", "hits"), ("state", "entries"), ("state", "order", "expiry"), INDEX,
]  # fmt: skip


@pytest.mark.parametrize("lost", LOSSES, ids="+".join)
def test_every_call_works_after_a_loss_and_a_heartbeat_puts_all_in_order(
    cache: RedisCache, agent: CacheAgent, real_redis: redis.Redis, lost: tuple[str, ...]
) -> None:
    values = filled(cache)
    lose(real_redis, *lost)
    for number in range(20, 24):
        assert cache.store(key(number), SMALL, {}), "the first store after the loss, and every later one"
        assert cache.lookup(key(number)).data == SMALL
    assert agent.beat()
    check_invariants(real_redis, damaged=True)
    for name, data in values.items():
        found = cache.lookup(name)
        assert found.data == data if set(lost) <= set(KEEPS_ALL) else found is MISSING or found.data == data
    assert cache.link.fault_counts().keys() <= {"index: keys lost"}
    assert cache.clear() is not None and cache.entries() == ([], "")
    assert cache.stats()["current_memory_mb"] == 0
    assert list(real_redis.scan_iter(f"{TAG}:blob:*")) == list(real_redis.scan_iter(f"{TAG}:parts:*")) == []


@pytest.mark.parametrize("lost", LOSSES, ids="+".join)
@pytest.mark.parametrize("first", ["beat", "tidy", "clear", "delete", "configure", "read", "another process"])
def test_whatever_comes_first_after_a_loss_works_and_nothing_leaks(
    cache: RedisCache, agent: CacheAgent, real_redis: redis.Redis, redis_url: str, first: str, lost: tuple[str, ...]
) -> None:
    filled(cache)
    lose(real_redis, *lost)
    {
        "beat": lambda: agent.beat(),
        "tidy": lambda: cache.tidy(),
        "clear": lambda: cache.clear(),
        "delete": lambda: cache.delete(key(1)),
        "configure": lambda: cache.update_limits(max_size=5),
        "read": lambda: (
            cache.lookup(key(1)),
            cache.describe(key(2)),
            cache.entries(),
            cache.stats(),
            cache.entry(key(1)),
        ),
        "another process": lambda: RedisCache(redis_url, ttl_s=None, max_memory_mb=50).store(key(30), LARGE, {}),
    }[first]()
    assert agent.beat() and agent.beat()
    check_invariants(real_redis, damaged=True)
    faults = {name for name in cache.link.fault_counts() if not name.startswith("index")}
    assert faults == set()
    if first in ("clear", "delete"):
        assert cache.lookup(key(1)) is MISSING, "what was deleted does not come back"


def test_the_order_survives_unless_it_is_what_was_lost(cache: RedisCache, real_redis: redis.Redis) -> None:
    filled(cache)
    before = [row["key"] for row in cache.entries()[0]]
    lose(real_redis, "hits")
    cache.tidy()
    assert [row["key"] for row in cache.entries()[0]] == before
    lose(real_redis, "order")
    cache.tidy()
    assert [row["key"] for row in cache.entries()[0]] == [key(number) for number in reversed(range(12))], "as stored"


def test_a_loss_is_noticed_with_the_cost_aware_policy_too(real_redis: redis.Redis, redis_url: str) -> None:
    cache = RedisCache(redis_url, policy="gdsf")
    filled(cache)
    for kind in ("order", "hits", "expiry"):
        lose(real_redis, kind)
        cache.tidy()
        check_invariants(real_redis, damaged=True)
        assert cache.stats()["current_items"] == 12
    assert cache.stats()["index_rebuilds"] == 3


def test_a_large_index_is_rebuilt_in_steps_and_by_another_process_when_the_first_is_gone(
    cache: RedisCache, real_redis: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with real_redis.pipeline(transaction=False) as pipe:
        for number in range(3000):
            pipe.set(f"somebody else:{number}", "x")
        pipe.execute()
    names = [key(("many", number)) for number in range(700)]
    for name in names:
        assert cache.store(name, b"x", {})
    lose(real_redis, "order")
    assert cache.store(key(1), b"x", {})  # begins, and takes one step
    assert real_redis.hlen(f"{TAG}:entries") < 400
    waiting = sorted(set(real_redis.hkeys(f"{TAG}:old_entries")) - set(real_redis.hkeys(f"{TAG}:entries")))
    deleted, replaced, outlived, *_ = (name.decode() for name in waiting)
    monkeypatch.setattr("cache.redis_transfer.rebuild", lambda *args, **more: True)  # stores take no further steps
    other = RedisCache(redis_url, ttl_s=None, max_memory_mb=50)
    assert other.delete(deleted), "before its turn came"
    assert other.store(replaced, b"new", {})
    assert other.store(outlived, LARGE, {}, ttl_s=0.01)
    wait_until(lambda: other.describe(outlived) is MISSING)
    wait_until(other.tidy)
    assert {name for name in names if other.lookup(name) is MISSING} == {deleted, outlived}
    assert other.lookup(replaced).data == b"new"
    assert len(list(real_redis.scan_iter("somebody else:*"))) == 3000


def test_processes_that_only_store_finish_a_rebuild_too(cache: RedisCache, real_redis: redis.Redis) -> None:
    filled(cache)
    lose(real_redis, "entries")
    for number in range(20):
        assert cache.store(key(("more", number)), SMALL, {})
        if real_redis.hget(f"{TAG}:state", "rebuild") == b"":
            break
    check_invariants(real_redis, damaged=True)


def test_an_entry_whose_value_vanished_with_the_index_is_not_taken_over(
    cache: RedisCache, real_redis: redis.Redis
) -> None:
    filled(cache)
    lose(real_redis, "hits", f"blob:{key(2)}", f"parts:{key(6)}")
    cache.tidy()
    assert cache.stats()["current_items"] == 10


def test_a_clear_of_a_damaged_index_counts_no_less_than_nothing(cache: RedisCache, real_redis: redis.Redis) -> None:
    filled(cache)
    cache.link.run("clear", 1, 0)  # all are stale now, and still there
    lose(real_redis, "order")
    assert cache.clear() == 0


def test_values_without_a_record_are_deleted_whatever_the_namespace_is_called(
    real_redis: redis.Redis, redis_url: str
) -> None:
    odd, other = RedisCache(redis_url, namespace="a*[b]?"), RedisCache(redis_url, namespace="aXXbc")
    for cache in (odd, other):
        cache.store(key(1), LARGE, {})
        cache.store(key(2), SMALL, {})
    real_redis.delete(f"{odd.link.tag}:entries")
    odd.tidy()
    assert real_redis.exists(f"{odd.link.tag}:parts:{key(1)}", f"{odd.link.tag}:blob:{key(2)}") == 0
    assert other.lookup(key(1)).data == LARGE and other.lookup(key(2)).data == SMALL
    check_invariants(real_redis, odd.link.tag.replace("\\", ""), damaged=True)
    check_invariants(real_redis, other.link.tag)


def test_a_loss_is_told_in_the_log_the_figures_and_the_advice(
    cache: RedisCache, agent: CacheAgent, real_redis: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    filled(cache)
    assert cache.stats()["index_rebuilds"] == 0
    lose(real_redis, "entries")
    with caplog.at_level(logging.WARNING):
        assert agent.beat()
    said = [record.getMessage() for record in caplog.records]
    assert any("index are gone" in line for line in said)
    assert any("lost: entries" in line and "0 entries kept, 12 values deleted" in line for line in said)
    stats = cache.stats()
    assert stats["index_rebuilds"] == 1 and stats["faults"] == {"index: keys lost": 1}
    assert "(entries)" in stats["advice"][0] and "noeviction" in stats["advice"][0]


def test_a_loss_is_told_by_health_and_metrics(text_redis: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path).open()
    house.agent.beat()
    house.worker_cache.store(key(1), SMALL, {})

    def told() -> tuple[list[str], float]:
        line = next(line for line in house.http.get("/metrics").text.splitlines() if line.startswith(METRIC))
        return house.http.get("/health").json["notes"], float(line.split()[1])

    assert told() == ([], 0)
    lose(text_redis, "entries", "hits")
    house.agent.beat()
    (note,), rebuilds = told()
    assert "(entries, hits); it was rebuilt" in note and rebuilds == 1
    lose(text_redis, "state")
    house.agent.beat()
    (note,), _ = told()
    assert "Limits set while it ran are back at the settings" in note
    house.close()


@pytest.mark.parametrize("policy", ["allkeys-random", "allkeys-lru", "volatile-random"])
def test_a_server_that_evicts_keys_costs_entries_and_nothing_else(own_redis: Callable, policy: str) -> None:
    server: RedisServer = own_redis()
    client = server.client()
    cache = RedisCache(server.url, max_memory_mb=50, timeout_s=5)
    agent = CacheAgent(TieredCache(LRUCache(), cache, None), cache, "worker")
    assert agent.beat()
    errors: list[str] = []
    cache.link._note = lambda operation, error: errors.append(f"{operation}: {error}")  # type: ignore[method-assign]
    client.config_set("maxmemory-policy", policy)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)
    for number in range(300):
        name = key(("evicted", number % 90))
        cache.store(name, SMALL + b"%d" % number, {})
        found = cache.lookup(name)
        assert found is MISSING or found.data == SMALL + b"%d" % number
        if number % 20 == 0:
            agent.beat()
        if number % 70 == 0:
            cache.clear()
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    wait_until(agent.beat)
    wait_until(cache.tidy)
    for row in cache.entries(1000)[0]:
        cache.lookup(row["key"])  # values that were evicted are noticed when they are asked for
    check_invariants(client, damaged=True)
    excused = ("vanishes as soon as it is written", "used memory > 'maxmemory'")
    assert all(any(words in error for words in excused) for error in errors), errors
    agent.close()


@pytest.fixture
def fleet(real_redis: redis.Redis, redis_url: str, tmp_path: Path) -> FleetCache:
    shared = RedisCache(redis_url)
    return FleetCache(TieredCache(None, shared, Archive.open(str(tmp_path))), shared, silence_s=0.3)


@pytest.mark.parametrize("lost", [*((kind,) for kind in FLEET), FLEET], ids="+".join)
def test_the_fleets_figures_go_on_after_a_loss(
    real_redis: redis.Redis, redis_url: str, fleet: FleetCache, lost: tuple[str, ...]
) -> None:
    def start(name: str) -> tuple[TieredCache, CacheAgent]:
        shared = RedisCache(redis_url)
        tiers = TieredCache(LRUCache(), shared, None)
        return tiers, CacheAgent(tiers, shared, name, silence_s=0.3)

    (ended, ended_agent), (killed, killed_agent), (alive, alive_agent) = (start(name) for name in ("a", "b", "c"))
    for tiers, agent in ((ended, ended_agent), (killed, killed_agent), (alive, alive_agent)):
        tiers.store(key(1), b"x", {})
        assert tiers.lookup(key(1)).tier == "L1"
        assert agent.beat()
    ended_agent.close()
    assert fleet.stats()["stats"]["hits"] == 3
    lose(real_redis, *lost)
    assert alive_agent.beat()

    def settled() -> bool:
        assert alive_agent.beat()
        return [worker["id"] for worker in fleet.stats()["local"]["workers"]] == ["c"]

    wait_until(settled)
    expected = 1 if lost == FLEET else {"workers": 2}.get(lost[0], 3)
    assert fleet.stats()["stats"]["hits"] == expected, "of the dead what was still known, of the living all"
    assert [row["worker"] for row in fleet.entries("local")[0]] == ["c"]
    assert fleet.config()["workers"] == {"applied": ["c"], "pending": []}
    for kind, rows in (("seen", "workers"), ("applied", "workers"), ("folded_at", "folded")):
        assert real_redis.zcard(f"{TAG}:{kind}") == real_redis.hlen(f"{TAG}:{rows}")
    assert alive_agent._shared.link.fault_counts() == {}
    alive_agent.close()
