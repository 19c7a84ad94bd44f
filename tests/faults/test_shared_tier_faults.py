"""Every fault of Redis, at every step that a job takes with it: nothing raises, nothing waits longer than it may, what
is read is right or missing, and afterwards all is as if nothing had been."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from cache import MISSING, CacheAgent, LRUCache, RedisCache, TieredCache
from cache.redis_link import script_sha
from tests.cache_keys import key
from tests.proxy import Proxy, reset
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer, wait_until

CONNECT_S, ANSWER_S = 0.1, 0.2
MARGIN_S = 1.0  # for a busy machine; redis-py's own defaults take 3.4 and 59.5 s
SMALL, LARGE = os.urandom(10_000), os.urandom(3_000_000)


@dataclass
class House:
    """A cache behind a proxy, a server that may be broken, and a clock that can be pushed on."""

    server: RedisServer
    proxy: Proxy
    cache: RedisCache = field(init=False)
    ahead_s: float = 0.0

    def __post_init__(self) -> None:
        self.cache = RedisCache(
            self.proxy.url,
            connect_timeout_s=CONNECT_S,
            timeout_s=ANSWER_S,
            clock=lambda: time.monotonic() + self.ahead_s,
        )
        tiers = TieredCache(LRUCache(), self.cache, None)
        self.agent = CacheAgent(tiers, self.cache, "worker")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
def house(server: RedisServer) -> Iterator[House]:
    server.client().flushall()
    proxy = Proxy(server.port)
    house = House(server, proxy)
    yield house
    heal(house)
    proxy.close()


@dataclass
class Step:
    """A thing that a job does: how it is told among the requests, how it is done, what it answers when all is well."""

    marker: bytes
    do: Callable[[House], object]
    well: Callable[[object], bool]
    failed: object


STEPS = {
    "lookup": Step(
        script_sha("touch").encode(), lambda house: house.cache.lookup(key(1)),
        lambda found: found and found.data == SMALL, MISSING,
    ),
    "read window": Step(
        b"LRANGE", lambda house: house.cache.lookup(key(2)),  # the first: nothing else is on its way
        lambda found: found and found.data == LARGE, MISSING,
    ),
    "describe": Step(
        script_sha("touch").encode(), lambda house: house.cache.describe(key(1)), lambda meta: meta == {"n": 1}, MISSING
    ),
    "stage": Step(b"RPUSHX", lambda house: house.cache.store(key(3), LARGE, {}), lambda stored: stored is True, False),
    "commit": Step(
        script_sha("commit").encode(), lambda house: house.cache.store(key(3), LARGE, {}),
        lambda stored: stored is True, False,
    ),
    "delete": Step(
        script_sha("delete").encode(), lambda house: house.cache.delete(key(1)), lambda deleted: deleted is True, False
    ),
    "heartbeat": Step(
        script_sha("beat").encode(), lambda house: house.agent.beat(), lambda beaten: beaten is True, False
    ),
}  # fmt: skip


def refused(house: House, client: socket.socket, request: bytes) -> bytes | None:
    house.proxy.refuse()
    return None


def hung(house: House, client: socket.socket, request: bytes) -> bytes | None:
    house.server.freeze()
    return request


def reset_mid_reply(house: House, client: socket.socket, request: bytes) -> bytes | None:
    client.sendall(b"*")
    reset(client)
    return None


def full(house: House, client: socket.socket, request: bytes) -> bytes | None:
    house.server.client().config_set("maxmemory", "1mb")
    return request


def scripts_lost(house: House, client: socket.socket, request: bytes) -> bytes | None:
    house.server.client().script_flush()
    return request


def read_only(house: House, client: socket.socket, request: bytes) -> bytes | None:
    house.server.client().config_set("min-replicas-to-write", "1")  # writes are refused as on a replica
    return request


def loading(house: House, client: socket.socket, request: bytes) -> bytes | None:
    client.sendall(b"-LOADING server is loading the dataset in memory\r\n" * 4)
    reset(client)
    return None


FAULTS = {
    "refused": refused, "hung": hung, "reset mid-reply": reset_mid_reply, "full": full, "scripts lost": scripts_lost,
    "read-only": read_only, "loading": loading,
}  # fmt: skip
# What a full or read-only server still answers, and what a lost script does not stop
UNHARMED = {
    ("full", "lookup"), ("full", "read window"), ("full", "describe"), ("full", "delete"), ("full", "commit"),
    ("full", "heartbeat"), ("read-only", "lookup"), ("read-only", "read window"), ("read-only", "describe"),
    *(("scripts lost", step) for step in STEPS),
}  # fmt: skip


def heal(house: House) -> None:
    house.server.thaw()
    house.server.client().config_set("maxmemory", "0")
    house.server.client().config_set("min-replicas-to-write", "0")
    house.ahead_s += 60


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_redis_costs_no_more_than_its_time_out(house: House, fault: str, step: str) -> None:
    does, strikes = STEPS[step], FAULTS[fault]
    wait_until(house.agent.beat)  # on a busy machine even a sound server may take longer than the time-out
    wait_until(lambda: house.cache.store(key(1), SMALL, {"n": 1}))
    wait_until(lambda: house.cache.store(key(2), LARGE, {"n": 2}))
    if "window" not in step:
        house.ahead_s += 2  # as if some time had passed since the server's memory was looked at
    house.proxy.strike(does.marker, lambda client, request: strikes(house, client, request))
    begun = time.monotonic()
    answer = does.do(house)
    took = time.monotonic() - begun
    assert house.proxy.struck.is_set()
    assert took < CONNECT_S + ANSWER_S + MARGIN_S
    if (fault, step) in UNHARMED:
        assert does.well(answer)
    else:
        assert answer is does.failed or answer == does.failed
        assert any(name.startswith(step.split()[0]) or "lookup" in name or "store" in name
                   for name in house.cache.link.fault_counts())  # fmt: skip
    heal(house)
    if fault == "refused":
        house.proxy.accept_again()
    with house.server.client() as client:
        check_invariants(client, stages=1)
    if step == "delete":
        wait_until(lambda: house.cache.store(key(1), SMALL, {"n": 1}))
    wait_until(lambda: does.well(does.do(house)))
    with house.server.client() as client:
        check_invariants(client, stages=1)


def test_a_server_that_hangs_is_asked_once_a_second_and_not_by_everybody(house: House) -> None:
    assert house.cache.store(key(1), SMALL, {})
    house.server.freeze()
    for _ in range(2):
        assert house.cache.lookup(key(1)) is MISSING
    begun = time.monotonic()
    for _ in range(1000):
        assert house.cache.lookup(key(1)) is MISSING
        assert house.cache.store(key(2), SMALL, {}) is False
    assert time.monotonic() - begun < ANSWER_S + MARGIN_S
    assert house.cache.stats()["breaker"] == "open"
    house.server.thaw()
    assert house.cache.lookup(key(1)) is MISSING  # left alone, until the pause is over
    house.ahead_s += 1
    wait_until(lambda: house.cache.lookup(key(1)) is not MISSING)
    assert house.cache.stats()["breaker"] == "closed"


def test_a_server_that_is_nearly_full_takes_no_more_and_gives_way_to_the_queue(house: House) -> None:
    client = house.server.client()
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used + 40_000_000)
    stored = 0
    for number in range(60):
        house.ahead_s += 2
        stored += house.cache.store(key(("filling", number)), os.urandom(1_000_000), {})
        client.rpush("queue", os.urandom(100_000))
    stats = house.cache.stats()
    assert client.llen("queue") == 60
    assert stats["evictions_by_size"] > 0
    assert client.info("memory")["used_memory"] < 0.97 * (used + 40_000_000)
    assert any("CACHE_SHARED_MAX_MEMORY_MB" in advice for advice in stats["advice"])
    client.config_set("maxmemory", used)
    house.ahead_s += 2
    assert house.cache.store(key(1), LARGE, {}) is False
    client.delete("queue")
    client.config_set("maxmemory", 0)
    check_invariants(client)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_an_unsafe_eviction_policy_is_named_with_what_to_do(house: House, policy: str) -> None:
    client = house.server.client()
    client.config_set("maxmemory-policy", policy)
    advice = house.cache.stats()["advice"]
    client.config_set("maxmemory-policy", "noeviction")
    assert any(policy in line and "maxmemory-policy noeviction" in line for line in advice)
