"""One body of tests for everything that keeps values by key: what is true of one tier is true of all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from cache import MISSING, Archive, Entry, LRUCache, RedisCache, TieredCache
from tests.cache_keys import KEYS, key
from tests.redis_invariants import check_invariants


@dataclass
class Tier:
    """The words that all tiers share."""

    store: Callable[[str, bytes, dict], Any]
    lookup: Callable[[str], Any]
    describe: Callable[[str], Any]
    delete: Callable[[str], bool]
    count: Callable[[], float]


def local_tier(cache: LRUCache) -> Tier:
    def describe(name: str) -> Any:
        entry = cache.lookup(name)
        return MISSING if entry is MISSING else entry.meta

    return Tier(
        store=lambda name, data, meta: cache.set(name, Entry(data, meta), len(data) / 2**20),
        lookup=cache.lookup,
        describe=describe,
        delete=cache.delete,
        count=lambda: len(cache),
    )


@pytest.fixture(params=["local", "shared", "shared, compressed", "shared, gdsf", "archive", "tiered", "tiered, no L1"])
def tier(request: pytest.FixtureRequest, real_redis: redis.Redis, redis_url: str, tmp_path: Path) -> Iterator[Tier]:
    shared = RedisCache(
        redis_url, compress="compressed" in request.param, policy="gdsf" if "gdsf" in request.param else "lru"
    )
    archive = Archive.open(str(tmp_path))
    if request.param == "local":
        yield local_tier(LRUCache())
    elif request.param.startswith("shared"):
        yield Tier(shared.store, shared.lookup, shared.describe, shared.delete, lambda: shared.stats()["current_items"])
    elif request.param == "archive":
        yield Tier(archive.replace, archive.get, archive.describe, archive.delete, lambda: archive.trim().objects)
    else:
        tiers = TieredCache(LRUCache() if request.param == "tiered" else None, shared, archive)
        yield Tier(
            lambda name, data, meta: tiers.store(name, data, meta, replace=True),
            tiers.lookup,
            lambda name: getattr(tiers.describe(name), "meta", MISSING),
            tiers.delete,
            lambda: archive.trim().objects,
        )
    check_invariants(real_redis)


def test_what_was_never_stored_is_missing(tier: Tier) -> None:
    assert tier.lookup(key(1)) is MISSING
    assert tier.describe(key(1)) is MISSING
    assert tier.delete(key(1)) is False


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(50_000), bytes(3_000_000)], ids=["0", "1", "50 kB", "3 MB"])
def test_a_value_comes_back_as_it_was_stored(tier: Tier, data: bytes) -> None:
    meta = {"name": "Käse", "faces": 12, "ratio": 0.1, "deep": {"list": [1, None, True]}}
    tier.store(key(1), data, meta)
    entry = tier.lookup(key(1))
    assert (entry.data, entry.meta) == (data, meta)
    assert tier.describe(key(1)) == meta
    assert tier.lookup(key(2)) is MISSING
    assert tier.count() == 1


def test_storing_again_replaces(tier: Tier) -> None:
    tier.store(key(1), b"x" * 100_000, {"n": 1})
    tier.store(key(1), b"y", {"n": 2})
    assert (tier.lookup(key(1)).data, tier.describe(key(1))) == (b"y", {"n": 2})
    assert tier.count() == 1


def test_what_was_deleted_is_missing_and_can_be_stored_again(tier: Tier) -> None:
    tier.store(key(1), b"x", {})
    tier.store(key(2), b"y", {})
    assert tier.delete(key(1)) is True
    assert tier.lookup(key(1)) is MISSING
    assert tier.delete(key(1)) is False
    assert tier.lookup(key(2)).data == b"y"
    tier.store(key(1), b"z", {})
    assert tier.lookup(key(1)).data == b"z"


def test_a_reader_among_writers_sees_whole_values_only(tier: Tier) -> None:
    names, stop, seen = KEYS[:3], threading.Event(), []

    def write(byte: int) -> None:
        for round_ in range(15):
            tier.store(names[round_ % 3], bytes([byte]) * (1_000_000 + byte), {"byte": byte})

    def read() -> None:
        while not stop.is_set():
            for name in names:
                entry = tier.lookup(name)
                if entry is not MISSING:
                    byte = entry.meta["byte"]
                    seen.append(entry.data == bytes([byte]) * (1_000_000 + byte))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(byte,)) for byte in (1, 2, 3)]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    while not seen:
        pass
    stop.set()
    reader.join()
    assert all(seen)
