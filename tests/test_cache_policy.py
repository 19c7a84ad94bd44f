from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cache_policy import GDSF, LRU, TYPICAL, Clairvoyant, ClairvoyantCost, Policy, replay
from cache import MISSING, Archive, LRUCache, TieredCache
from cache.trace import Request, TraceLog, parts, read_trace
from tests.cache_keys import KEYS, key

MB = 2**20


def random_requests(number: int, *, sized: bool) -> list[Request]:
    dice = random.Random(1)
    known = [Request(f"{n}", dice.choice([1, 2, 3]) * MB if sized else MB, dice.uniform(1, 60)) for n in range(60)]
    return [known[min(int(dice.expovariate(0.06)), 59)] for _ in range(number)]


def test_the_simulated_lru_is_the_one_of_the_local_tier() -> None:
    requests, real = random_requests(5000, sized=True), LRUCache(max_memory_mb=20)
    hits = 0
    for request in requests:
        hits += real.lookup(request.key) is not MISSING
        real.set(request.key, 0, request.size_bytes / MB)
    assert replay(requests, LRU(20 * MB)).hits == hits / len(requests)


@pytest.mark.parametrize("policy", [LRU, GDSF, ClairvoyantCost])
def test_nobody_beats_the_one_who_knows_the_future_at_equal_sizes(policy: type[Policy]) -> None:
    requests = random_requests(5000, sized=False)
    assert replay(requests, policy(10 * MB)).hits <= replay(requests, Clairvoyant(10 * MB)).hits


def test_gdsf_keeps_what_is_dear_and_small() -> None:
    cache = GDSF(3 * MB)
    dear, large, cheap = Request("dear", MB, 100), Request("large", 2 * MB, 5), Request("cheap", MB, 1)
    for request in (dear, large, cheap):
        cache.lookup(request, 0)
    assert set(cache.entries) == {"dear", "cheap"}


def test_on_the_documented_typical_workload_most_lookups_hit() -> None:
    requests = list(TYPICAL.requests())
    lru, gdsf = replay(requests, LRU(1024 * MB)), replay(requests, GDSF(1024 * MB))
    assert lru.hits > 0.6
    assert gdsf.hits > 0.6
    assert gdsf.seconds > lru.seconds


def test_a_recorded_trace_is_replayed(tmp_path: Path) -> None:
    trace = TraceLog(tmp_path / "trace")
    tiers = TieredCache(LRUCache(), None, Archive.open("memory://"), trace=trace)
    for name in [KEYS[0], KEYS[1], KEYS[0], KEYS[0], KEYS[1]]:
        if tiers.describe(name) is MISSING:
            tiers.store(name, b"x" * 1000, {}, cost_s=3)
    tiers.lookup(key("never made"))
    tiers.lookup(KEYS[0], saves_work=False)  # a download asks for nothing to be made
    trace.close()
    requests = list(read_trace(tmp_path / "trace"))
    assert [request.key for request in requests] == [KEYS[0], KEYS[1], KEYS[0], KEYS[0], KEYS[1]]
    assert {(request.size_bytes, request.cost_s) for request in requests} == {(1000, 3)}
    assert replay(requests, LRU(MB)).seconds == 0.6


def test_the_command_replays_a_recorded_trace(tmp_path: Path) -> None:
    trace = TraceLog(tmp_path / "trace")
    tiers = TieredCache(LRUCache(), None, None, trace=trace)
    for name in (KEYS[0], KEYS[1], KEYS[0], KEYS[0]):
        if tiers.lookup(name) is MISSING:
            tiers.store(name, b"x" * 1000, {}, cost_s=3)
    trace.close()
    command = [sys.executable, "-m", "bench.cache_policy", str(tmp_path / "trace"), "--mb", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    assert "4 lookups, 2 values" in done.stdout
    assert "| 1 MB | LRU | 50.0 % |" in done.stdout


def lookups(trace: TraceLog, count: int = len(KEYS)) -> None:
    tiers = TieredCache(LRUCache(), None, None, trace=trace)
    for name in KEYS[:count]:
        assert tiers.lookup(name) is MISSING


def test_a_trace_takes_no_more_than_its_limits_and_the_oldest_hours_go(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    trace = TraceLog(tmp_path, max_mb=0.004, retention_s=6 * 3600, clock=lambda: now[0])
    for _ in range(8):
        lookups(trace)
        for part in parts(tmp_path)[-1:]:
            os.utime(part, (now[0], now[0]))
            assert 900 < part.stat().st_size <= 0.001 * MB, "an hour stops at a quarter"
        now[0] += 3600
        assert sum(part.stat().st_size for part in parts(tmp_path)) <= 0.004 * MB
    assert len(parts(tmp_path)) == 4
    newest = parts(tmp_path)[-1]
    now[0] += 10 * 3600
    lookups(trace)
    assert newest not in parts(tmp_path), "it is older than six hours"
    assert len(parts(tmp_path)) == 1


def test_a_trace_that_cannot_be_written_breaks_no_lookup(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lookups(TraceLog(tmp_path / "file"))
