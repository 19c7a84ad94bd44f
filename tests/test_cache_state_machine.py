"""Random operations by two processes on a real server, beside a model of a few lines that must agree at each step."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cache import MISSING, RedisCache
from cache.values import MB
from tests.cache_keys import KEYS
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer

SHORT_S = 0.001
names = st.sampled_from(KEYS[:8])
clients = st.integers(0, 1)


class Model:
    """An exact cache in plain Python: the order is a list of scores, and the lowest leaves."""

    def __init__(self, policy: str, max_size: int, max_bytes: int) -> None:
        self.policy, self.max_size, self.max_bytes = policy, max_size, max_bytes
        self.floor, self.ticks = 0.0, 0
        self.entries: dict[str, dict] = {}

    def score(self, entry: dict) -> float:
        if self.policy == "gdsf":
            return self.floor + entry["hits"] * 1e6 * max(entry["cost_ms"], 1) / entry["charge"]
        self.ticks += 1
        return self.ticks

    def store(self, name: str, entry: dict) -> None:
        self.entries.pop(name, None)
        self.shrink(1, entry["charge"])
        self.entries[name] = entry | {"hits": 1}
        self.entries[name]["score"] = self.score(self.entries[name])

    def touch(self, name: str) -> None:
        entry = self.entries[name]
        entry["hits"] += 1
        entry["score"] = self.score(entry)

    def shrink(self, entries: int = 0, charge: int = 0) -> None:
        self.drop_expired()
        while self.entries and (
            len(self.entries) + entries > self.max_size
            or sum(entry["charge"] for entry in self.entries.values()) + charge > self.max_bytes
        ):
            victim = self.entries.pop(self.order()[-1])
            if self.policy == "gdsf":
                self.floor = victim["score"]

    def clear(self) -> None:
        self.floor = max((entry["score"] for entry in self.entries.values()), default=0.0) + 1
        self.entries.clear()

    def drop_expired(self) -> None:
        self.entries = {name: entry for name, entry in self.entries.items() if not entry["short"]}

    def order(self) -> list[str]:
        return sorted(self.entries, key=lambda name: (self.entries[name]["score"], name), reverse=True)


class SharedTier(RuleBasedStateMachine):
    server: RedisServer
    policy = "lru"
    met: Counter[str]

    @initialize()
    def begin(self) -> None:
        self.redis = self.server.client()
        self.redis.flushall()
        limits = {"max_size": 4, "max_memory_mb": 0.5, "ttl_s": None, "policy": self.policy}
        patience = {"timeout_s": 10, "connect_timeout_s": 10}
        self.caches = [RedisCache(self.server.url, **limits, **patience) for _ in range(2)]
        self.model = Model(self.policy, 4, MB // 2)

    @rule(
        client=clients,
        name=names,
        length=st.sampled_from([0, 10, 3000, 100_000, 200_000, 2_000_000]),
        cost_ms=st.sampled_from([0, 1, 5000]),
        short=st.booleans(),
    )
    def store(self, client: int, name: str, length: int, cost_ms: int, short: bool) -> None:
        self.store_one(client, name, length, cost_ms, short)

    def store_one(self, client: int, name: str, length: int, cost_ms: int, short: bool) -> None:
        data = name.encode()[:1] * length
        cache = self.caches[client]
        ttl_s = SHORT_S if short else None
        stored = cache.store(name, data, {"length": length}, cost_s=cost_ms / 1000, ttl_s=ttl_s)
        assert stored is (length < self.model.max_bytes * 0.9)
        if stored:
            charge = round(cache.entry(name)["size_mb"] * MB)
            assert length < charge < length * 1.26 + 2000
            self.model.store(name, {"data": data, "charge": charge, "cost_ms": cost_ms, "short": short})
        if short:
            self.wait()

    @rule(
        client=clients,
        several=st.lists(names, min_size=3, max_size=6, unique=True),
        length=st.sampled_from([0, 100_000, 150_000]),
        cost_ms=st.integers(0, 5000),
    )
    def fill(self, client: int, several: list[str], length: int, cost_ms: int) -> None:
        for name in several:
            self.store_one(client, name, length, cost_ms, False)

    def wait(self) -> None:
        """Until what lives shortly has expired, on the server's own clock."""
        seconds, micros = self.redis.time()
        while self.redis.time() <= (seconds + (micros + 1500) // 10**6, (micros + 1500) % 10**6):
            time.sleep(0.0005)

    @rule(client=clients, name=names, with_value=st.booleans())
    def lookup(self, client: int, name: str, with_value: bool) -> None:
        entry = self.model.entries.get(name)
        found = self.caches[client].lookup(name) if with_value else self.caches[client].describe(name)
        if entry is None or entry["short"]:
            assert found is MISSING
            self.model.entries.pop(name, None)
            return
        assert (found.meta if with_value else found) == {"length": len(entry["data"])}
        if with_value:
            assert found.data == entry["data"]
        self.model.touch(name)

    @rule(client=clients, name=names)
    def delete(self, client: int, name: str) -> None:
        assert self.caches[client].delete(name) is (name in self.model.entries)
        self.model.entries.pop(name, None)

    @rule(client=clients)
    def clear(self, client: int) -> None:
        assert self.caches[client].clear() == len(self.model.entries)
        self.model.clear()

    @rule(client=clients, max_size=st.integers(1, 6), max_mb=st.sampled_from([0.25, 0.5, 1.0]))
    def change_limits(self, client: int, max_size: int, max_mb: float) -> None:
        assert self.caches[client].update_limits(max_size, max_mb)
        self.model.max_size, self.model.max_bytes = max_size, round(max_mb * MB)
        self.model.shrink()

    @rule(client=clients)
    def tidy(self, client: int) -> None:
        assert self.caches[client].tidy() is True
        self.model.shrink()

    @rule(which=st.sampled_from(["scripts", "scripts", "connections", "connections", "everything"]))
    def the_server_loses(self, which: str) -> None:
        if which == "scripts":
            self.redis.script_flush()
        elif which == "connections":
            self.redis.client_kill_filter(_type="normal", skipme=True)
        else:
            self.redis.flushall()
            self.model = Model(self.policy, 4, MB // 2)

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "redis"):
            return
        shown, cursor = self.caches[0].entries(100)
        assert [row["key"] for row in shown] == self.model.order()
        assert cursor == ""
        if self.policy == "gdsf":
            scores = self.redis.zrange(f"{self.caches[0].link.tag}:order", 0, -1, withscores=True)
            assert scores == [(name.encode(), self.model.entries[name]["score"]) for name in self.model.order()[::-1]]
        check_invariants(self.redis)
        assert self.caches[0].link.fault_counts() == self.caches[1].link.fault_counts() == {}

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            stats = self.caches[0].stats()
            assert stats["corruptions"] == 0
            self.met.update({name: stats[name] for name in ("evictions_by_count", "evictions_by_size", "expirations")})
            self.redis.close()
            for cache in self.caches:
                cache.link.client.close()


@pytest.fixture(params=["lru", "gdsf"])
def machine(request: pytest.FixtureRequest, redis_server: RedisServer) -> type[SharedTier]:
    return type("SharedTier", (SharedTier,), {"server": redis_server, "policy": request.param, "met": Counter()})


def test_the_shared_tier_agrees_with_its_model_after_every_operation(machine: type[SharedTier]) -> None:
    slow_is_fine = [HealthCheck.too_slow]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=slow_is_fine),
    )
    assert min(machine.met.values()) > 0, "the machine did not meet everything it is there for"
