"""Half a minute in which workers are killed, Redis is stopped, cut off, made to forget its scripts, cleared and given
other limits, all at once: what is read is whole and not older than the last clear, and the index is sound all along."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest
import redis

from cache import RedisCache
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer

CHAOS_S = float(os.environ.get("ORFEAS_TEST_CHAOS_S", "25"))
WORKERS = 4

# A value is its key, the generation it was read in, and padding of a length that the key decides. The generation is
# read like a slower tier: before it the version is noted, so `unless_changed_since` refuses a copy from before a clear.
WORKER = """
import json, os, random, sys, threading, time
import redis
from cache import MISSING, CacheAgent, LRUCache, RedisCache, TieredCache
from tests.cache_keys import KEYS
url, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
cache = RedisCache(url, max_size=12, max_memory_mb=8, timeout_s=0.3, transfer_timeout_s=1)
agent = CacheAgent(TieredCache(None, cache, None), cache, f"worker {seed}", silence_s=1)
truth = redis.Redis.from_url(url, socket_timeout=5)
reads = 0

def generation(name):
    try:
        return int(truth.get(name) or 0)
    except redis.RedisError:
        return None

def make(number, gen):
    return json.dumps([number, gen]).encode().ljust(50_000 + number * 90_000, b"x")

while True:
    number = random.randrange(25)
    cleared = generation("cleared")
    entry = cache.lookup(KEYS[number])
    reads += 1
    if entry is not MISSING:
        gen = entry.meta["generation"]
        if entry.data != make(number, gen):
            print("CORRUPT", number, gen, len(entry.data), flush=True)
        if cleared is not None and gen < cleared:
            print("STALE", number, gen, cleared, flush=True)
        if random.random() < 0.1:
            cache.delete(KEYS[number])
    else:
        version, gen = cache.version, generation("generation")
        if gen is not None and version:
            cache.store(KEYS[number], make(number, gen), {"generation": gen}, unless_changed_since=version)
    if reads % 50 == 0:
        agent.beat()
"""


@dataclass
class Chaos:
    server: RedisServer
    cache: RedisCache
    client: redis.Redis
    workers: list[subprocess.Popen] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    killed: int = 0

    def start_worker(self) -> None:
        command = [sys.executable, "-c", WORKER, self.server.url, str(len(self.workers) + self.killed)]
        self.workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    def end_worker(self, worker: subprocess.Popen) -> None:
        worker.kill()
        output, _ = worker.communicate()
        self.said += output.splitlines()
        self.workers.remove(worker)
        self.killed += 1

    def kill_worker(self) -> None:
        self.end_worker(random.choice(self.workers))
        self.start_worker()

    def stop_worker_for_a_while(self) -> None:
        worker = random.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        worker.send_signal(signal.SIGCONT)

    def forget_scripts(self) -> None:
        self.client.script_flush()

    def cut_connections(self) -> None:
        self.client.client_kill_filter(_type="normal", skipme=True)

    def freeze_redis(self) -> None:
        self.server.freeze()
        time.sleep(random.choice([0.05, 0.5]))
        self.server.thaw()

    def clear(self) -> None:
        generation = self.client.incr("generation")
        if self.cache.clear() is not None:
            self.client.set("cleared", generation)

    def change_limits(self) -> None:
        self.cache.update_limits(random.randint(3, 20), random.choice([2.5, 8, 20]))

    def check(self) -> None:
        check_invariants(self.client, stages=10_000)  # of those who were killed they go by themselves


@pytest.mark.slow
def test_half_a_minute_of_chaos_leaves_nothing_corrupt_stale_or_unsound() -> None:
    random.seed(os.environ.get("ORFEAS_TEST_CHAOS_SEED", "0"))
    with RedisServer() as server, server.client() as client:
        chaos = Chaos(server, RedisCache(server.url, max_size=12, max_memory_mb=8, timeout_s=5), client)
        for _ in range(WORKERS):
            chaos.start_worker()
        troubles = [
            chaos.kill_worker, chaos.kill_worker, chaos.stop_worker_for_a_while, chaos.forget_scripts,
            chaos.cut_connections, chaos.freeze_redis, chaos.clear, chaos.clear, chaos.change_limits,
        ]  # fmt: skip
        deadline, checks = time.monotonic() + CHAOS_S, 0
        while time.monotonic() < deadline:
            random.choice(troubles)()
            for _ in range(3):
                chaos.check()
                checks += 1
        for worker in list(chaos.workers):
            chaos.end_worker(worker)
        while not chaos.cache.tidy():
            pass
        chaos.check()
        stats = chaos.cache.stats()
    bad = [line for line in chaos.said if not line.startswith("shared tier:")]
    assert bad == []
    assert stats["corruptions"] == 0
    assert min(stats["hits"], stats["stores"]) > 100, "too little was done to mean anything"
    print(f"{checks} checks, {chaos.killed} kills, {stats['hits']} hits, {stats['stores']} stores")
