"""A value whose bytes are replaced: one truth in every tier of every process, and in what was made of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cache import MISSING, Archive, CacheAgent, Entry, LRUCache, RedisCache, TieredCache
from tests.cache_keys import key
from tests.proxy import Proxy
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer, wait_until

LENGTHS = {"small": 10, "large": 3_000_000}
SILENCE_S = 30.0


@dataclass
class Process:
    """One worker with tiers of its own; its way to Redis may be cut."""

    tiers: TieredCache
    agent: CacheAgent
    proxy: Proxy

    def has(self, name: str) -> bytes | None:
        found = self.tiers.lookup(name)
        return None if found is MISSING else found.data

    def cut_off(self) -> None:
        self.proxy.refuse()
        assert not self.agent.beat()

    def reconnect(self) -> None:
        self.proxy.accept_again()
        wait_until(self.agent.beat)


Start = Callable[..., Process]


@pytest.fixture
def server(own_redis: Callable[..., RedisServer]) -> RedisServer:
    return own_redis()


@pytest.fixture
def start(server: RedisServer, tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def start_process(*, beats: bool = True, local: LRUCache | None = None, **shared: Any) -> Process:
        proxy = Proxy(server.port)
        tiers = TieredCache(
            LRUCache() if local is None else local, RedisCache(proxy.url, **shared), Archive.open(str(tmp_path))
        )
        agent = CacheAgent(tiers, tiers.shared, f"worker {len(started)}", silence_s=SILENCE_S)
        started.append(Process(tiers, agent, proxy))
        assert not beats or agent.beat()
        return started[-1]

    yield start_process
    for process in started:
        process.agent.close()
        process.proxy.close()
    check_invariants(server.client(), stages=4)


def value(text: str, length: int = 10) -> bytes:
    return text.encode() * (length // len(text))


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("reader", [True, False], ids=["reader", "heartbeats alone"])
def test_other_processes_forget_the_old_bytes(start: Start, length: int, reader: bool) -> None:
    one, two = start(), start()
    old, new = value("old", length), value("new", length)
    one.tiers.store(key(1), old, {})
    assert two.has(key(1)) == old and two.tiers.lookup(key(1)).tier == "L1"
    if reader:
        two.agent.start_reader()
    one.tiers.store(key(1), new, {}, replace=True)
    if reader:
        wait_until(lambda: two.tiers.local.peek(key(1)) is MISSING)
    else:
        assert two.agent.beat()
    assert [process.tiers.lookup(key(1)).tier for process in (one, two, two)] == ["L1", "L2", "L1"]
    assert one.has(key(1)) == two.has(key(1)) == new == two.tiers.archive.get(key(1)).data


def test_a_process_that_is_cut_off_does_not_answer_with_the_old_bytes_then_or_later(start: Start) -> None:
    one, two = start(), start()
    for number in (1, 2):
        one.tiers.store(key(number), value("old"), {})
        assert two.has(key(number)) == value("old")
    two.cut_off()
    one.tiers.store(key(1), value("new"), {}, replace=True)
    one.tiers.store(key(2), value("new"), {}, replace=True)
    assert two.has(key(1)) == value("new"), "read from the archive"
    two.reconnect()
    assert two.has(key(1)) == two.has(key(2)) == value("new")


def test_a_process_that_is_cut_off_goes_on_answering_from_its_memory_what_still_holds(start: Start) -> None:
    one, two = start(), start()
    one.tiers.store(key(1), value("old"), {})
    two.has(key(1))
    two.cut_off()
    assert two.tiers.lookup(key(1)).tier == "L1"
    assert one.tiers.delete(key(1))
    assert two.tiers.lookup(key(1)) is MISSING, "deleted meanwhile"


def test_what_was_kept_before_the_first_heartbeat_went_through_is_not_trusted(start: Start) -> None:
    one, two = start(), start(beats=False)
    two.cut_off()
    one.tiers.store(key(1), value("old"), {})
    assert two.has(key(1)) == value("old")
    one.tiers.store(key(1), value("new"), {}, replace=True)
    two.reconnect()
    assert two.has(key(1)) == value("new")


@pytest.mark.parametrize("fault", ["cut off", "writes refused"])
def test_a_process_that_cannot_tell_the_others_does_so_as_soon_as_it_can(
    start: Start, server: RedisServer, fault: str
) -> None:
    one, two = start(), start()
    one.tiers.store(key(1), value("old"), {})
    assert two.has(key(1)) == value("old")
    if fault == "cut off":
        one.cut_off()
    else:
        server.client().config_set("min-replicas-to-write", "1")
    one.tiers.store(key(1), value("new"), {}, replace=True)
    one.tiers.clear_local()
    assert one.has(key(1)) == value("new"), "its own answers are right at once"
    assert one.tiers.describe(key(1)) is not MISSING
    if fault == "cut off":
        one.reconnect()
    else:
        server.client().config_set("min-replicas-to-write", "0")
        wait_until(one.agent.beat)
    assert two.agent.beat()
    assert two.has(key(1)) == one.has(key(1)) == value("new")
    assert start().has(key(1)) == value("new")


@pytest.mark.parametrize("tier", ["local", "shared"])
def test_new_bytes_that_a_tier_does_not_take_leave_no_old_ones_in_it(start: Start, tier: str) -> None:
    limits = {"local": {"local": LRUCache(max_memory_mb=1)}, "shared": {"max_memory_mb": 1}}
    one, two = start(**limits[tier]), start(**({"max_memory_mb": 1} if tier == "shared" else {}))
    one.tiers.store(key(1), value("old"), {})
    two.has(key(1))
    new = value("new", 2_000_000)
    one.tiers.store(key(1), new, {}, replace=True)
    assert two.agent.beat()
    assert one.has(key(1)) == two.has(key(1)) == start(**limits[tier]).has(key(1)) == new


def test_a_process_without_heartbeats_forgets_what_it_replaces_itself(start: Start) -> None:
    tiers = start(beats=False, local=LRUCache(max_memory_mb=1)).tiers
    tiers.shared.link.on_version = None  # as in a program that has no agent
    tiers.in_touch = lambda: True
    tiers.store(key(1), value("old"), {})
    tiers.store(key(1), value("new", 2_000_000), {}, replace=True)  # too large for its local tier
    assert tiers.lookup(key(1)).data == value("new", 2_000_000)


def test_bytes_replaced_while_the_cache_is_off_are_the_ones_after_it(start: Start) -> None:
    one, two = start(), start()
    one.tiers.store(key(1), value("old"), {})
    two.has(key(1))
    one.tiers.enabled = False
    one.tiers.store(key(1), value("new"), {}, replace=True)
    one.tiers.enabled = True
    assert two.agent.beat()
    assert one.has(key(1)) == two.has(key(1)) == value("new")


def test_a_copy_that_was_under_way_is_kept_by_no_tier(start: Start) -> None:
    one, two = start(), start()
    one.tiers.store(key(1), value("old"), {})
    one.tiers.clear_local()
    one.tiers.shared.clear()
    read = two.tiers.archive.get

    def read_then_replace(name: str) -> Entry:
        entry = read(name)
        one.tiers.store(name, value("new"), {}, replace=True)
        return entry

    two.tiers.archive.get = read_then_replace  # type: ignore[method-assign]
    assert two.has(key(1)) == value("old"), "begun before"
    two.tiers.archive.get = read  # type: ignore[method-assign]
    assert two.agent.beat()
    assert two.has(key(1)) == start().has(key(1)) == value("new")


def made_of(source: bytes, name: str = key("mesh")) -> dict[str, Any]:
    return {"made_of": {"key": name, "sha256": hashlib.sha256(source).hexdigest()}}


@pytest.mark.parametrize("noted", [True, False], ids=["checksum noted", "checksum of the archive alone"])
def test_what_was_made_of_the_old_bytes_is_answered_by_no_tier(start: Start, noted: bool) -> None:
    one, two = start(), start()
    old, new = os.urandom(100), os.urandom(100)

    def mesh(data: bytes, **more: Any) -> None:
        one.tiers.store(key("mesh"), data, {"sha256": hashlib.sha256(data).hexdigest()} if noted else {}, **more)

    mesh(old)
    one.tiers.store(key("stl"), b"of old", made_of(old))
    two.tiers.store(key("obj"), b"of old", made_of(old))
    for process in (one, two):
        assert process.has(key("stl")) == process.has(key("obj")) == b"of old"
    mesh(old, replace=True)
    assert two.agent.beat()
    assert two.has(key("stl")) == b"of old", "the same bytes again change nothing"
    mesh(new, replace=True)
    assert two.agent.beat()
    for process in (one, two, start()):
        for name in (key("stl"), key("obj")):
            assert process.tiers.lookup(name) is process.tiers.describe(name) is process.tiers.fetch(name) is MISSING
    two.tiers.store(key("stl"), b"of new", made_of(new))  # not said to replace anything
    assert one.agent.beat()
    for process in (one, two, start()):
        assert process.has(key("stl")) == b"of new" == process.tiers.archive.get(key("stl")).data
        process.tiers.enabled = False
        assert process.tiers.fetch(key("stl")).data == b"of new"
        assert process.tiers.fetch(key("obj")) is MISSING


def test_what_was_made_of_a_value_that_is_kept_no_longer_still_holds(start: Start) -> None:
    one = start()
    one.tiers.store(key("mesh"), b"mesh", {})
    one.tiers.store(key("stl"), b"of it", made_of(b"mesh"))
    assert one.tiers.delete(key("mesh"))
    assert one.has(key("stl")) == b"of it"


def test_asking_for_the_source_costs_nothing_while_nothing_changes(start: Start) -> None:
    one = start()
    one.tiers.store(key("mesh"), b"mesh", {})
    one.tiers.store(key("stl"), b"of it", made_of(b"mesh"))
    looked: list[str] = []
    look = one.tiers.archive.sha256
    one.tiers.archive.sha256 = lambda name: looked.append(name) or look(name)  # type: ignore[method-assign]
    for _ in range(20):
        assert one.tiers.describe(key("stl")) is not MISSING
    assert looked == [key("mesh")]
