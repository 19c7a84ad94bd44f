from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from cache import MISSING, Archive, CacheAgent, FleetCache, LRUCache, RedisCache, SharedUnavailable, TieredCache
from tests.cache_keys import KEYS, key
from tests.redis_invariants import check_invariants
from tests.servers import wait_until

SILENCE_S = 0.3


@dataclass
class Process:
    """What one worker process has; several of them live in the test."""

    tiers: TieredCache
    agent: CacheAgent

    def work(self, name: str, cost_s: float = 1.0) -> str:
        """Look a result up or make it, and say which it was."""
        found = self.tiers.lookup(name)
        if found is not MISSING:
            return found.tier
        self.tiers.store(name, name.encode(), {"generator": "inflate"}, cost_s=cost_s)
        return "MADE"


StartProcess = Callable[..., Process]


@pytest.fixture
def start(real_redis: redis.Redis, redis_url: str, tmp_path: Path) -> Iterator[StartProcess]:
    agents = []

    def start_process(name: str, *, reader: bool = False, silence_s: float = SILENCE_S, **local: object) -> Process:
        shared = RedisCache(redis_url)
        tiers = TieredCache(LRUCache(**local), shared, Archive.open(str(tmp_path)))
        agents.append(CacheAgent(tiers, shared, name, queue="generate", silence_s=silence_s))
        assert agents[-1].beat()
        if reader:
            agents[-1].start_reader()
        return Process(tiers, agents[-1])

    yield start_process
    for agent in agents:
        agent.close()
    check_invariants(real_redis)


@pytest.fixture
def fleet(real_redis: redis.Redis, redis_url: str, tmp_path: Path) -> FleetCache:
    """As the API has it: no local tier of its own."""
    shared = RedisCache(redis_url)
    return FleetCache(TieredCache(None, shared, Archive.open(str(tmp_path))), shared, silence_s=SILENCE_S)


def test_totals_are_the_sum_over_workers(start: StartProcess, fleet: FleetCache) -> None:
    one, two = start("one"), start("two")
    assert [one.work(key(1), 10), one.work(key(1)), two.work(key(1)), two.work(key(1))] == ["MADE", "L1", "L2", "L1"]
    for process in (one, two):
        process.agent.beat()
    stats = fleet.stats()
    assert (stats["status"], stats["cache_enabled"]) == ("ok", True)
    assert (stats["stats"]["hits"], stats["stats"]["misses"]) == (2, 2)
    assert stats["stats"]["gpu_seconds_saved"] == 30
    assert stats["stats"]["current_items"] == 2
    assert stats["shared"]["hits"] == 1
    workers = stats["local"]["workers"]
    assert [(worker["id"], worker["alive"], worker["queue"]) for worker in workers] == [
        ("one", True, "generate"),
        ("two", True, "generate"),
    ]
    assert workers[0]["stats"]["hits"] == 1


def test_a_download_saves_no_work(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one")
    process.work(key(1), 10)
    assert process.tiers.lookup(key(1), saves_work=False).tier == "L1"
    process.tiers.clear_local()
    assert process.tiers.lookup(key(1), saves_work=False).tier == "L2"
    process.agent.beat()
    assert fleet.stats()["stats"]["gpu_seconds_saved"] == 0


def test_totals_outlive_workers_and_count_nobody_twice(start: StartProcess, fleet: FleetCache) -> None:
    gone, stays = start("gone"), start("stays")
    for _ in range(5):
        gone.work(key(1))
    gone.agent.beat()
    before = fleet.stats()["stats"]
    assert before["hits"] == 4
    wait_until(lambda: not workers_named(fleet, "gone")[0]["alive"])
    assert fleet.stats()["stats"]["hits"] == 4  # silent, not yet folded
    assert stays.agent.beat()
    assert workers_named(fleet, "gone") == []
    assert fleet.stats()["stats"]["hits"] == 4  # folded into the totals
    gone.work(key(1))
    gone.agent.beat()  # it was only stopped, and goes on
    assert fleet.stats()["stats"]["hits"] == 5
    assert len(workers_named(fleet, "gone")) == 1


def workers_named(fleet: FleetCache, name: str) -> list[dict]:
    return [worker for worker in fleet.stats()["local"]["workers"] if worker["id"] == name]


def test_a_worker_that_starts_again_under_its_name_adds_to_the_totals(start: StartProcess, fleet: FleetCache) -> None:
    for generation in range(3):
        process = start("same name")
        process.work(key(generation))
        process.work(key(generation))
        process.agent.beat()
    assert fleet.stats()["stats"]["hits"] == 3
    process.agent.close()
    assert fleet.stats()["stats"]["hits"] == 3


WORKER = """
import sys
from cache import CacheAgent, LRUCache, RedisCache, TieredCache
from tests.cache_keys import key
shared = RedisCache(sys.argv[1])
tiers = TieredCache(LRUCache(), shared, None)
agent = CacheAgent(tiers, shared, sys.argv[2], silence_s=0.3)
tiers.store(key(1), b"x", {})
for number in range(1, 1_000_000):
    tiers.lookup(key(1))
    if number % 100 == 0:
        agent.beat()
        print(number, flush=True)
"""


def test_totals_never_go_down_while_workers_are_killed(fleet: FleetCache, redis_url: str) -> None:
    said, highest = 0, 0
    for _ in range(4):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, redis_url, "w"], stdout=subprocess.PIPE, text=True)
        for _ in range(5):
            counted = int(worker.stdout.readline())
            hits = fleet.stats()["stats"]["hits"]
            assert hits >= max(highest, said + counted)
            highest = hits
        os.kill(worker.pid, signal.SIGKILL)
        said += max([counted, *(int(line) for line in worker.stdout if line.strip())])
        worker.wait()
        worker.stdout.close()
        hits = fleet.stats()["stats"]["hits"]
        assert hits >= max(highest, said)
        highest = hits


def test_a_change_of_configuration_reaches_all_and_those_who_start_later(
    start: StartProcess, fleet: FleetCache
) -> None:
    one, two = start("one", reader=True), start("two", reader=True)
    answer = fleet.configure(max_size=7, max_memory_mb=3, ttl_seconds=60, shared_max_size=50, wait_s=2)
    assert answer["workers"] == {"applied": ["one", "two"], "pending": []}
    for process in (one, two, start("later")):
        assert process.tiers.local.get_config() == {"max_size": 7, "max_memory_mb": 3, "default_ttl_seconds": 60}
        assert process.tiers.shared.limits()["max_size"] == 50
    config = fleet.config()
    assert {name: config[name] for name in ("max_size", "max_memory_mb", "ttl_seconds", "shared_max_size")} == {
        "max_size": 7,
        "max_memory_mb": 3,
        "ttl_seconds": 60,
        "shared_max_size": 50,
    }


def test_a_worker_without_its_reader_follows_at_its_next_beat_and_is_named_until_then(
    start: StartProcess, fleet: FleetCache
) -> None:
    busy = start("busy")
    start("prompt", reader=True)
    answer = fleet.configure(max_size=7, wait_s=0.2)
    assert answer["workers"] == {"applied": ["prompt"], "pending": ["busy"]}
    busy.agent.beat()
    assert busy.tiers.local.get_config()["max_size"] == 7
    assert fleet.config()["workers"]["pending"] == []


def test_any_answer_of_the_shared_tier_brings_the_news(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one")
    fleet.configure(max_size=7)
    process.tiers.lookup(key(1))
    assert process.tiers.local.get_config()["max_size"] == 7


@pytest.mark.parametrize(
    "change",
    [
        {"max_size": 0},
        {"max_memory_mb": -1},
        {"ttl_seconds": 0},
        {"shared_max_size": 1.5},
        {"shared_max_memory_mb": "x"},
    ],
)
def test_nonsense_is_refused_by_name_and_changes_nothing(start: StartProcess, fleet: FleetCache, change: dict) -> None:
    start("one")
    before = fleet.config()
    with pytest.raises(ValueError, match=next(iter(change))):
        fleet.configure(**{"max_size": 3, **change})
    with pytest.raises(ValueError, match="enabled"):
        fleet.configure(enabled="no")
    with pytest.raises(TypeError):
        fleet.configure(max_sise=3)
    assert fleet.config() == before


def test_switching_off_and_on_reaches_all(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one", reader=True)
    process.work(key(1))
    assert fleet.configure(enabled=False, wait_s=2)["workers"]["pending"] == []
    assert process.tiers.lookup(key(1)) is MISSING
    assert fleet.stats()["cache_enabled"] is False
    assert workers_named(fleet, "one")[0]["cache_enabled"] is False
    fleet.configure(enabled=True, wait_s=2)
    assert process.work(key(1)) == "L2"


def test_clearing_reaches_every_worker(start: StartProcess, fleet: FleetCache) -> None:
    processes = [start(f"worker {number}", reader=True) for number in range(5)]
    for process in processes:
        process.work(key(1))
    assert fleet.clear(wait_s=2) == {"cleared": {"shared": 1, "local": None}, "pending": []}
    assert [len(process.tiers.local) for process in processes] == [0] * 5
    assert processes[0].tiers.lookup(key(1)).tier == "ARCHIVE"
    assert fleet.clear("archive") == {"cleared": {"archive": 1}, "pending": []}
    assert fleet.clear("all", wait_s=2)["cleared"] == {"archive": 0, "shared": 1, "local": None}
    assert processes[0].tiers.lookup(key(1)) is MISSING
    with pytest.raises(ValueError, match="tier"):
        fleet.clear("everything")


def test_clearing_one_tier_leaves_the_others(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one", reader=True)
    process.work(key(1))
    fleet.clear("shared", wait_s=2)
    assert process.tiers.lookup(key(1)).tier == "L1"
    process.tiers.store(key(1), b"x", {})
    fleet.clear("local", wait_s=2)
    assert process.tiers.lookup(key(1)).tier == "L2"


def test_deleting_reaches_every_worker(start: StartProcess, fleet: FleetCache) -> None:
    processes = [start(f"worker {number}", reader=True) for number in range(3)]
    for process in processes:
        process.work(key(1))
        process.work(key(2))
    assert fleet.delete(key(1)) is True
    for process in processes:
        wait_until(lambda process=process: process.tiers.local.peek(key(1)) is MISSING)
        assert process.tiers.local.peek(key(2)) is not MISSING
    assert fleet.entry(key(1)) is MISSING


def test_a_worker_that_missed_events_starts_empty_rather_than_stale(
    start: StartProcess, fleet: FleetCache, real_redis: redis.Redis
) -> None:
    process = start("slow")
    for name in KEYS[:3]:
        process.work(name)
    for number in range(1200):  # more than the stream keeps
        fleet.delete(key(("other", number)))
    fleet.delete(KEYS[0])
    assert len(process.tiers.local) == 3
    process.agent.beat()
    assert len(process.tiers.local) == 0
    process.work(KEYS[2])
    fleet.delete(KEYS[1])
    process.agent.beat()
    assert process.tiers.local.peek(KEYS[2]) is not MISSING


def test_a_redis_that_was_emptied_is_begun_anew_and_nothing_stale_stays(
    start: StartProcess, fleet: FleetCache, real_redis: redis.Redis
) -> None:
    process = start("one", max_size=11)
    fleet.configure(max_size=7)
    process.work(key(1))
    process.agent.beat()
    real_redis.flushall()
    process.agent.beat()
    process.agent.beat()
    assert len(process.tiers.local) == 0
    assert process.tiers.local.get_config()["max_size"] == 11
    assert process.work(key(1)) == "ARCHIVE"
    assert fleet.config()["workers"]["pending"] == []


def test_the_reader_survives_a_restart_of_redis(own_redis: Callable, tmp_path: Path) -> None:
    server = own_redis(persist=True)
    shared, other = RedisCache(server.url), RedisCache(server.url)
    tiers = TieredCache(LRUCache(), shared, None)
    agent = CacheAgent(tiers, shared, "one")
    assert agent.beat()
    agent.start_reader()
    fleet = FleetCache(TieredCache(None, other, None), other)
    server.restart()
    wait_until(lambda: other.limits() is not None)
    fleet.configure(max_size=7)
    wait_until(lambda: tiers.local.get_config()["max_size"] == 7)
    agent.close()


def test_local_entries_are_seen_from_outside(start: StartProcess, fleet: FleetCache) -> None:
    one, two = start("one"), start("two")
    one.work(key(1))
    two.work(key(1))
    two.work(key(2))
    for process in (one, two):
        process.agent.beat()
    rows, cursor = fleet.entries("local")
    assert [(row["key"], row["worker"]) for row in rows] == [(key(2), "two"), (key(1), "two"), (key(1), "one")]
    assert cursor == ""
    first, cursor = fleet.entries("local", limit=2)
    rest, last = fleet.entries("local", limit=2, cursor=cursor)
    assert first + rest == rows or [row["key"] for row in first + rest] == [row["key"] for row in rows]
    assert last == ""
    assert set(rows[0]) == {
        "key", "size_mb", "timestamp", "age_seconds", "access_count", "expires_at", "expired", "worker",
    }  # fmt: skip


def test_what_the_archive_holds_is_told_once_somebody_has_counted_it(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one")
    process.work(key(1))
    assert fleet.stats()["archive"]["usage"] is None
    process.agent.note_archive_usage(fleet._tiers.archive.trim())
    usage = fleet.stats()["archive"]["usage"]
    assert (usage["objects"], usage["memory_mb"] > 0) == (1, True)
    fleet.clear("archive")
    assert fleet.stats()["archive"]["usage"] is None


def test_one_entry_is_shown_in_every_tier(start: StartProcess, fleet: FleetCache) -> None:
    process = start("one")
    process.work(key(1), cost_s=4)
    process.agent.beat()
    entry = fleet.entry(key(1))
    assert [row["worker"] for row in entry["local"]] == ["one"]
    assert entry["shared"]["cost_s"] == entry["archive"]["cost_s"] == 4
    assert entry["shared"]["meta"]["generator"] == "inflate"
    assert fleet.entries("archive")[0][0]["key"] == fleet.entries("shared")[0][0]["key"] == key(1)
    assert fleet.entry(key(2)) is MISSING
    with pytest.raises(ValueError, match="tier"):
        fleet.entries("everywhere")


def test_without_redis_the_figures_say_so_and_changes_are_refused(tmp_path: Path) -> None:
    shared = RedisCache("redis://127.0.0.1:1/0")
    tiers = TieredCache(LRUCache(), shared, Archive.open(str(tmp_path)))
    fleet, agent = FleetCache(tiers, shared), CacheAgent(tiers, shared, "one")
    assert agent.beat() is False
    assert fleet.stats()["status"] == "degraded"
    for call in (fleet.config, lambda: fleet.configure(max_size=3), fleet.clear, lambda: fleet.delete(key(1))):
        with pytest.raises(SharedUnavailable):
            call()
    agent.close()


def test_two_hundred_workers_are_administered_in_under_100_ms(start: StartProcess, redis_url: str) -> None:
    shared = RedisCache(redis_url)
    fleet = FleetCache(TieredCache(None, shared, None), shared, silence_s=60)
    processes = [start(f"worker {number:03}", silence_s=60) for number in range(200)]
    busy = threading.Event()
    for process in processes:
        process.tiers.local.set(key(1), b"x", 0.001)

    def beat() -> None:
        while not busy.is_set():
            for process in processes[:20]:
                process.agent.beat()

    beating = threading.Thread(target=beat)
    beating.start()
    calls = {
        "stats": fleet.stats,
        "config": fleet.config,
        "configure": lambda: fleet.configure(max_size=9),
        "entries": lambda: fleet.entries("local"),
        "entry": lambda: fleet.entry(key(1)),
        "clear": fleet.clear,
    }
    took = {}
    for name, call in calls.items():
        best = []
        for _ in range(3):
            begun = time.perf_counter()
            call()
            best.append(time.perf_counter() - begun)
        took[name] = min(best)
    busy.set()
    beating.join()
    assert max(took.values()) < 0.1, took
    assert len(fleet.stats()["local"]["workers"]) == 200
