"""A Redis that answers and refuses writes: what an operator asked for is done, or answered with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from redis import Redis
from werkzeug.test import Client

from api import create_app
from cache import MISSING, Archive, CacheAgent, FleetCache, LRUCache, RedisCache, SharedUnavailable, TieredCache
from cache.redis_link import script_sha
from tests.cache_keys import key
from tests.house import House
from tests.proxy import Proxy, reset
from tests.servers import RedisServer, free_port, wait_until


def no_replicas(server: RedisServer, client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", "1")


def read_only(server: RedisServer, client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", free_port())


def no_disk(server: RedisServer, client: redis.Redis) -> None:
    """MISCONF: its last snapshot could not be written."""
    (server.folder / "blocked").mkdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


def full(server: RedisServer, client: redis.Redis) -> None:
    client.config_set("maxmemory", "1mb")


def without_the_right(server: RedisServer, client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-@write")


REFUSALS = [no_replicas, read_only, no_disk, full, without_the_right]


@pytest.fixture
def server(own_redis: Callable[..., RedisServer]) -> RedisServer:
    return own_redis(dbfilename="blocked")


@pytest.fixture
def tiers(server: RedisServer, tmp_path: Path) -> TieredCache:
    tiers = TieredCache(LRUCache(), RedisCache(server.url, timeout_s=5), Archive.open(str(tmp_path / "archive")))
    tiers.store(key(1), b"mesh", {})
    return tiers


@pytest.fixture
def http(
    server: RedisServer, text_redis: Redis, redis_url: str, tiers: TieredCache, tmp_path: Path
) -> Iterator[Client]:
    """The API, with a shared tier on a server that can be spoiled."""
    house = House(text_redis, redis_url, tmp_path)
    fleet = FleetCache(TieredCache(None, tiers.shared, tiers.archive), tiers.shared)
    yield create_app(replace(house.services, fleet_cache=fleet)).test_client()
    house.close()


@pytest.mark.parametrize("refuse", REFUSALS)
def test_a_deleted_entry_is_served_no_more_or_its_deletion_is_an_error(
    server: RedisServer, tiers: TieredCache, http: Client, refuse: Callable[[RedisServer, redis.Redis], None]
) -> None:
    refuse(server, server.client())
    answer = http.delete(f"/api/cache/entries/{key(1)}")
    served = RedisCache(server.url, timeout_s=5).link.client.exists(f"{tiers.shared.link.tag}:blob:{key(1)}")
    assert (answer.status_code, served) in [(200, 0), (503, 1)]
    if answer.status_code == 503:
        assert answer.json["retryable"] and "refused" in answer.json["detail"]


@pytest.mark.parametrize("refuse", REFUSALS)
def test_clearing_and_configuring_are_done_or_an_error(
    server: RedisServer, tiers: TieredCache, http: Client, refuse: Callable[[RedisServer, redis.Redis], None]
) -> None:
    refuse(server, server.client())
    answer = http.post("/api/cache/config", json={"shared_max_size": 77})
    limit = int(server.client().hget(tiers.shared.link.state_key, "max_size"))
    assert (answer.status_code, limit) in [(200, 77), (503, 10_000)]
    cleared = http.post("/api/cache/clear").status_code
    assert (cleared, tiers.shared.lookup(key(1)) is MISSING) in [(200, True), (503, False)]
    assert cleared == answer.status_code


def test_a_delete_that_was_refused_can_be_repeated_and_then_holds(
    server: RedisServer, tiers: TieredCache, http: Client
) -> None:
    no_replicas(server, server.client())
    other = TieredCache(LRUCache(), RedisCache(server.url), tiers.archive)
    other.lookup(key(1))
    agent = CacheAgent(other, other.shared, "other")
    assert http.delete(f"/api/cache/entries/{key(1)}").status_code == 503
    server.client().config_set("min-replicas-to-write", "0")
    agent.beat()
    assert http.delete(f"/api/cache/entries/{key(1)}").status_code == 200
    agent.beat()
    assert other.lookup(key(1)) is MISSING
    agent.close()


def test_a_delete_that_failed_is_an_error_though_another_thread_was_answered_meanwhile(
    server: RedisServer, tmp_path: Path
) -> None:
    proxy = Proxy(server.port)
    shared = RedisCache(proxy.url, timeout_s=5)
    tiers = TieredCache(LRUCache(), shared, Archive.open(str(tmp_path)))
    tiers.store(key(1), b"mesh", {})
    fleet, forget = FleetCache(tiers, shared), tiers.forget_local

    def forget_while_another_thread_is_answered(name: str) -> bool:
        assert shared.entry(key(1)) is not MISSING
        return forget(name)

    tiers.forget_local = forget_while_another_thread_is_answered  # type: ignore[method-assign]
    proxy.strike(script_sha("delete").encode(), lambda client, request: reset(client))
    with pytest.raises(SharedUnavailable):
        fleet.delete(key(1))
    proxy.close()
