"""Fixtures for everybody: a real server, started once and emptied for every test that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.servers import RedisServer

# Folders whose tests `./orfeas test` runs one after the other while others run beside them: what breaks a fleet of
# processes needs a core for itself.
ONE_BY_ONE = {"browser": "fleets", "e2e": "fleets", "faults": "fleets", "rehearsal": "fleets", "security": "security"}


class ByFolder(LoadScopeScheduling):
    """Gives one process of pytest-xdist a whole group of folders, or one of the other files."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        return ONE_BY_ONE.get(path.split("/")[1], path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    return ByFolder(config, log)


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
