"""Twenty callers in four processes ask for one value that takes a second to make; then the same with a killed maker.

Counted: how often the value was made, how many commands the server got, and when the last caller was served.
"""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from bench.cache.servers import server
from bench.cache.tables import print_table

PROCESSES, CALLERS = 4, 5
MAKING_S = 1.0
PATIENCE_S = 20.0
Maker = Callable[[], bytes]


def ours(url: str, make: Maker) -> None:
    from cache import LRUCache, RedisCache, TieredCache, content_key

    tiers = TieredCache(LRUCache(), RedisCache(url), None)
    in_threads(lambda: tiers.get_or_make(content_key({"bench": "stampede"}), lambda: (make(), {})))


def dogpile(url: str, make: Maker) -> None:
    from dogpile.cache import make_region

    arguments = {"url": url, "distributed_lock": True, "lock_timeout": 10, "thread_local_lock": False}
    region = make_region().configure("dogpile.cache.redis", arguments=arguments)
    in_threads(lambda: region.get_or_create("stampede", make))


def cashews(url: str, make: Maker) -> None:
    from cashews import Cache

    async def callers() -> None:
        cache = Cache()
        cache.setup(url, client_side=False)

        @cache(ttl="1h", key="stampede", lock=True)
        async def function() -> bytes:
            return await asyncio.to_thread(make)

        await asyncio.gather(*(function() for _ in range(CALLERS)))

    asyncio.run(callers())


def func_cache(url: str, make: Maker) -> None:
    from redis_func_cache import LruTPolicy, RedisFuncCache

    remember = RedisFuncCache("bench", LruTPolicy(), client=redis.Redis.from_url(url))

    @remember
    def function(name: str) -> str:
        return make().decode()

    in_threads(lambda: function("stampede"))


def local_only(url: str, make: Maker) -> None:
    import cachetools

    lock = threading.Lock()
    function = cachetools.cached(cachetools.LRUCache(10), lock=lock, key=lambda: "stampede")(make)
    in_threads(function)


def disk(url: str, make: Maker) -> None:
    import diskcache

    cache = diskcache.Cache(os.environ["BENCH_FOLDER"])

    def call() -> bytes:
        with diskcache.Lock(cache, "stampede lock", expire=10):
            value = cache.get("stampede")
            if value is None:
                value = make()
                cache.set("stampede", value)
            return value

    in_threads(call)


PEERS = {
    "**TieredCache.get_or_make**": (ours, "cache"),
    "dogpile.cache, distributed lock": (dogpile, "dogpile"),
    "cashews, lock": (cashews, "cashews"),
    "redis-func-cache": (func_cache, "redis_func_cache"),
    "cachetools.cached (one process)": (local_only, "cachetools"),
    "diskcache + Lock (one host)": (disk, "diskcache"),
}


def in_threads(call: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def process(peer: str, url: str, gate: Any, making: Any, made: Any) -> None:
    def make() -> bytes:
        with made.get_lock():
            made.value += 1
            first = made.value == 1
        if first:
            making.put(os.getpid())
        time.sleep(MAKING_S)
        return b"x" * 100_000

    gate.wait()
    PEERS[peer][0](url, make)


def stampede(peer: str, *, kill: bool) -> list[str]:
    """Calls made, commands sent, seconds until the last surviving caller was served."""
    context = multiprocessing.get_context("spawn")
    with server() as url, redis.Redis.from_url(url) as client:
        gate, making, made = context.Barrier(PROCESSES + 1), context.Queue(), context.Value("i", 0)
        workers = [context.Process(target=process, args=(peer, url, gate, making, made)) for _ in range(PROCESSES)]
        for worker in workers:
            worker.start()
        gate.wait(60)
        client.config_resetstat()
        begun = time.monotonic()
        leader = making.get(timeout=30)
        if kill:
            time.sleep(MAKING_S / 4)
            os.kill(leader, signal.SIGKILL)
            workers = [worker for worker in workers if worker.pid != leader]
        for worker in workers:
            worker.join(max(0.0, begun + PATIENCE_S - time.monotonic()))
        served = all(worker.exitcode == 0 for worker in workers)
        took = time.monotonic() - begun
        commands = sum(stats["calls"] for stats in client.info("commandstats").values())
        for worker in workers:
            worker.kill()
            worker.join()
    return [str(made.value), f"{commands:,}", f"{took:.1f} s" if served else f"not within {PATIENCE_S:.0f} s"]


def main() -> None:
    import shutil
    import tempfile

    rows = []
    for peer, (_, package) in PEERS.items():
        if not importlib.util.find_spec(package):
            continue
        row = [peer]
        for kill in (False, True):
            os.environ["BENCH_FOLDER"] = tempfile.mkdtemp()
            row += stampede(peer, kill=kill)
            shutil.rmtree(os.environ["BENCH_FOLDER"])
        rows.append(row)
    head = [
        "20 callers, 4 processes, 1 s to make",
        "made",
        "commands",
        "last served",
        "maker killed: made",
        "commands",
        "last served",
    ]
    print_table("Stampede", head, rows)
    print("\nTo reach: made once; with the first maker killed, once more")
