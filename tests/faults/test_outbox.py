"""A process dies between accepting a job and sending its message: whoever keeps watch sends it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.fleet import Fleet
from tests.proxy import Proxy
from tests.servers import RedisServer, wait_until

NOTICED_S = 30.0


@pytest.fixture(scope="module")
def redis() -> RedisServer:
    return RedisServer(persist=True)


@pytest.fixture(scope="module")
def proxy(redis: RedisServer) -> Iterator[Proxy]:
    """Between the API and Redis, to tell a message from the rest."""
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer, proxy: Proxy) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), redis) as fleet:
        fleet.launch("api", REDIS_URL=proxy.url)
        fleet.start("generate1", "render")
        fleet.wait_for("api")
        yield fleet


@pytest.fixture
def _dies_before_it_sends(fleet: Fleet, proxy: Proxy) -> None:
    """At the next message all processes of the API die, and the broker never hears of it."""

    def act(client: socket.socket, request: bytes) -> None:
        fleet.running["api"].signal_children(signal.SIGKILL)

    proxy.strike(b"LPUSH", act)


@pytest.mark.usefixtures("_dies_before_it_sends")
def test_an_api_killed_between_claim_and_enqueue_loses_nothing(fleet: Fleet) -> None:
    with pytest.raises(httpx.TransportError):
        fleet.post("unsent")
    killed_at = time.monotonic()
    (job,) = fleet.store.newest()
    assert job.status == "queued", "it was accepted before"
    wait_until(fleet.ready, NOTICED_S, "gunicorn to start another process")
    fleet.succeeded(job.id, NOTICED_S)
    took_s = time.monotonic() - killed_at
    print(f"measured: sent by the watch and done {took_s:.1f} s after the API was killed")
    assert took_s < NOTICED_S
    assert fleet.runs("unsent") == {"begun": 1, "finished": 1}


@pytest.mark.usefixtures("_dies_before_it_sends")
def test_a_caller_who_repeats_what_an_api_died_of_gets_the_same_job(fleet: Fleet) -> None:
    key = {"Idempotency-Key": "order-66"}
    with pytest.raises(httpx.TransportError):
        fleet.post("repeated", headers=key)
    first = next(fleet.store.newest())
    wait_until(fleet.ready, NOTICED_S, "gunicorn to start another process")
    begun = time.monotonic()
    answer = fleet.post("repeated", headers=key)
    assert answer.json()["id"] == first.id
    print(f"measured: the same job {time.monotonic() - begun:.2f} s after it was asked for again")
    fleet.succeeded(first.id, NOTICED_S)
    assert fleet.runs("repeated") == {"begun": 1, "finished": 1}
    fleet.assert_nothing_left()
