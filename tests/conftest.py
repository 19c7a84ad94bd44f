"""Fixtures for everybody: a real server, started once and emptied for every test that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import RedisServer

# Which tests `./orfeas test` runs one after the other while others run beside them: what breaks a fleet of processes
# needs one core for itself.
ONE_BY_ONE = {"browser": "fleets", "e2e": "fleets", "faults": "fleets", "rehearsal": "fleets", "security": "security"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in ONE_BY_ONE:
            item.add_marker(pytest.mark.xdist_group(ONE_BY_ONE[folder]))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def real_redis(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client to an empty server."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def own_redis() -> Iterator[Callable[..., RedisServer]]:
    """Starts servers that a test may break; all are gone at its end."""
    started: list[RedisServer] = []

    def start(**options: object) -> RedisServer:
        started.append(RedisServer(**options))
        return started[-1].start()

    yield start
    for server in started:
        server.close()


@pytest.fixture
def text_redis(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client to an empty server that answers texts, as the job store wants it."""
    with redis_server.client(decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def anyio_backend() -> str:
    """Tests of coroutines run on asyncio alone."""
    return "asyncio"
