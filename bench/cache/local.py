"""The local tier beside others: time of a hit, a miss, a set and an evicting set, bytes per entry, and scale."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import threading
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.cache.tables import loop_us, print_table
from cache import MISSING, LRUCache

SIZE = 1000
STRIDE = 7919  # prime, so that hits are spread over all entries
KEYS = [f"{number:064x}" for number in range(20 * SIZE)]


class BareLRU:
    """The same features in as little code as can be: limits on entries and bytes, a life span, counters, a lock."""

    def __init__(self, max_size: int) -> None:
        self.entries: OrderedDict[str, tuple[Any, int, float]] = OrderedDict()
        self.max_size, self.max_bytes, self.bytes = max_size, 512 * 2**20, 0
        self.hits = self.misses = self.evictions = 0
        self.lock = threading.RLock()

    def get(self, key: str) -> Any:
        with self.lock:
            entry = self.entries.get(key)
            if entry is None:
                self.misses += 1
                return MISSING
            if entry[2] <= time.monotonic():
                del self.entries[key]
                self.bytes -= entry[1]
                self.misses += 1
                return MISSING
            self.entries.move_to_end(key)
            self.hits += 1
            return entry[0]

    def set(self, key: str, value: Any, size: int = 0) -> None:
        with self.lock:
            old = self.entries.pop(key, None)
            if old is not None:
                self.bytes -= old[1]
            self.entries[key] = (value, size, time.monotonic() + 3600)
            self.bytes += size
            while len(self.entries) > self.max_size or self.bytes > self.max_bytes:
                _, (_, freed, _) = self.entries.popitem(last=False)
                self.bytes -= freed
                self.evictions += 1


@dataclass
class Peer:
    name: str
    make: Callable[[int], Any]
    get: Callable[[Any, str], object]
    set: Callable[[Any, str, object], object]
    times: int = 20_000


def peers(folder: str) -> list[Peer]:
    found = [
        Peer("bare OrderedDict + RLock", BareLRU, BareLRU.get, BareLRU.set),
        Peer(
            "**LRUCache**", lambda size: LRUCache(size, default_ttl_seconds=3600), LRUCache.lookup, LRUCache.set
        ),
    ]  # fmt: skip
    if importlib.util.find_spec("cachetools"):
        import cachetools

        lock = threading.RLock()

        def get(cache: Any, key: str) -> object:
            with lock:
                return cache.get(key)

        def store(cache: Any, key: str, value: object) -> None:
            with lock:
                cache[key] = value

        found.append(Peer("cachetools.LRUCache + RLock", cachetools.LRUCache, get, store))
        found.append(Peer("cachetools.TTLCache + RLock", lambda size: cachetools.TTLCache(size, 3600), get, store))
    if importlib.util.find_spec("diskcache"):
        import diskcache

        def disk(size: int) -> Any:
            return diskcache.Cache(tempfile.mkdtemp(dir=folder), eviction_policy="least-recently-used")

        found.append(Peer("diskcache.Cache", disk, lambda cache, key: cache.get(key), lambda cache, key, value: cache.set(key, value), 300))  # fmt: skip  # noqa: E501
    return found


def measure(peer: Peer) -> list[object]:
    cache = peer.make(SIZE)
    for key in KEYS[:SIZE]:
        peer.set(cache, key, key)
    hit = loop_us(lambda number: peer.get(cache, KEYS[number % SIZE]), peer.times)
    miss = loop_us(lambda number: peer.get(cache, "absent"), peer.times)
    overwrite = loop_us(lambda number: peer.set(cache, KEYS[number % SIZE], "value"), peer.times)
    evicting = loop_us(lambda number: peer.set(cache, KEYS[SIZE + number % (19 * SIZE)], "value"), peer.times)
    weight = "on disk" if "disk" in peer.name else f"{entry_bytes(peer):.0f}"
    return [peer.name, f"{hit:.2f}", f"{miss:.2f}", f"{overwrite:.2f}", f"{evicting:.2f}", weight]


def entry_bytes(peer: Peer) -> float:
    """What an entry takes beside its key and value, which exist already."""
    tracemalloc.start()
    cache = peer.make(10 * SIZE)
    before = tracemalloc.get_traced_memory()[0]
    for key in KEYS[: 10 * SIZE]:
        peer.set(cache, key, key)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / (10 * SIZE)


def scale() -> list[list[object]]:
    rows = []
    for size in (1_000, 10_000, 100_000, 1_000_000):
        cache = LRUCache(size, 1e6, default_ttl_seconds=3600)
        for number in range(size):
            cache.set(number, number)
        hit = loop_us(lambda number, cache=cache, size=size: cache.lookup(number * STRIDE % size), 20_000, 5)
        evicting = loop_us(lambda number, cache=cache, size=size: cache.set(size + number, number), 20_000, 5)
        rows.append([f"{size:,}", f"{hit:.2f}", f"{evicting:.2f}"])
    return rows


def main() -> None:
    folder = tempfile.mkdtemp()
    try:
        rows = [measure(peer) for peer in peers(folder)]
    finally:
        shutil.rmtree(folder)
    head = ["1 000 entries", "hit µs", "miss µs", "set µs", "evicting set µs", "bytes/entry"]
    print_table("Local tier", head, rows)
    print(f"\nhit ÷ bare: {float(str(rows[1][1])) / float(str(rows[0][1])):.2f} (to reach: ≤ 1.2)")
    print_table("Local tier, scale", ["entries", "hit µs", "evicting set µs"], scale())
