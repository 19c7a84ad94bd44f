"""The shared tier beside plain GET and SET and other caches on Redis: time of a read and a write by size."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import redis

from bench.cache.servers import server
from bench.cache.tables import medians_s, print_table
from cache import RedisCache, content_key

SIZES = {"100 kB": (100_000, 300), "1 MB": (1_000_000, 100), "10 MB": (10_000_000, 25), "50 MB": (50_000_000, 9)}
Pair = tuple[Callable[[bytes], object], Callable[[], object]]


def ours(url: str) -> Pair:
    cache = RedisCache(url, max_memory_mb=4096, timeout_s=10, transfer_timeout_s=60)
    key = content_key({"bench": "shared"})
    return lambda data: cache.store(key, data, {"faces": 1000}), lambda: cache.lookup(key)


def plain(url: str) -> Pair:
    client = redis.Redis.from_url(url)
    return lambda data: client.set("plain", data), lambda: client.get("plain")


def dogpile(url: str) -> Pair:
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.redis", arguments={"url": url})
    return lambda data: region.set("dogpile", data), lambda: region.get("dogpile")


@contextmanager
def cashews(url: str) -> Iterator[Pair]:
    from cashews import Cache

    with asyncio.Runner() as loop:
        cache = Cache()
        cache.setup(url, client_side=False)
        yield (
            lambda data: loop.run(cache.set("cashews", data, expire=3600)),
            lambda: loop.run(cache.get("cashews")),
        )
        loop.run(cache.close())


def func_cache(url: str) -> Pair:
    """It has no way to write but a miss, so each write has a name of its own and evicts the one before."""
    from redis_func_cache import LruTPolicy, RedisFuncCache

    as_it_is = (lambda data: data, lambda data: data)
    remember = RedisFuncCache(
        "bench", LruTPolicy(), client=redis.Redis.from_url(url), maxsize=1, serializer=as_it_is
    )  # fmt: skip
    given = {"number": 0, "data": b""}

    @remember
    def function(number: int) -> bytes:
        return given["data"]

    def store(data: bytes) -> bytes:
        given.update(number=given["number"] + 1, data=data)
        return function(given["number"])

    return store, lambda: function(given["number"])


def peers(url: str, stack: ExitStack) -> dict[str, Pair]:
    found = {"plain redis-py": plain(url), "**RedisCache**": ours(url)}
    if importlib.util.find_spec("dogpile"):
        found["dogpile.cache"] = dogpile(url)
    if importlib.util.find_spec("redis_func_cache"):
        found["redis-func-cache"] = func_cache(url)
    if importlib.util.find_spec("cashews"):
        found["cashews"] = stack.enter_context(cashews(url))
    return found


def cell(seconds: float, plain_s: float) -> str:
    return f"{1000 * seconds:.2f} ms, {seconds / plain_s:.2f}×"


def main() -> None:
    reads: dict[str, list[Any]] = {}
    writes: dict[str, list[Any]] = {}
    extra = {}
    with server() as url, ExitStack() as stack:
        told = redis.Redis.from_url(url).info("server")
        pairs = peers(url, stack)
        for size, (length, rounds) in SIZES.items():
            data = os.urandom(length)
            took = medians_s({name: lambda pair=pair, data=data: pair[0](data) for name, pair in pairs.items()}, rounds)
            read = medians_s({name: pair[1] for name, pair in pairs.items()}, rounds)
            for name in pairs:
                writes.setdefault(name, [name]).append(cell(took[name], took["plain redis-py"]))
                reads.setdefault(name, [name]).append(cell(read[name], read["plain redis-py"]))
            extra[size] = [1000 * (times["**RedisCache**"] - times["plain redis-py"]) for times in (read, took)]
    print_table("Shared tier, read", ["", *SIZES], list(reads.values()))
    print_table("Shared tier, write", ["", *SIZES], list(writes.values()))
    read_ms, write_ms = extra["100 kB"]
    print(f"\n100 kB beside plain: read {read_ms:+.3f} ms, write {write_ms:+.3f} ms (to reach: ≤ +0.15)")
    print("10 and 50 MB: to reach ≤ 0.8× of plain for both")
    name = f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"
    print(f"The server: {name}. Valkey 9 sends what a plain GET reads without copying it")
