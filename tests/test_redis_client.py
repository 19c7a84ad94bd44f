"""Few connections for many callers: in order, soon told when Redis is silent, and never for their own delay."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.exceptions import TimeoutError as RedisTimeout

from api.services import connect
from cache.redis_client import OrderedPool, make_client
from cache.turns import Silent, Turns
from tests.servers import RedisServer, free_port, wait_until

CALLERS = 80
TOLD_S = 1.0


def test_callers_beyond_the_limit_wait_in_the_order_in_which_they_came() -> None:
    turns, served, threads = Turns(1), [], []
    turns.take()

    def call(number: int) -> None:
        turns.take()
        served.append(number)
        turns.give_back()

    for number in range(20):
        threads.append(threading.Thread(target=call, args=(number,), daemon=True))
        threads[-1].start()
        wait_until(lambda number=number: len(turns._waiting) == number + 1, what="the caller to wait")
    turns.give_back()
    for thread in threads:
        thread.join(5)
    assert served == list(range(20))


def test_whoever_waits_is_told_when_the_server_falls_silent_and_one_tries_it_again() -> None:
    turns = Turns(2, join_s=0.01)
    turns.take()
    turns.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(turns.take)
        wait_until(lambda: turns._waiting, what="the caller to wait")
        turns.fell_silent()
        with pytest.raises(Silent):
            waiting.result(5)
    turns.give_back()
    turns.give_back()
    turns.take()  # this caller tries it
    with pytest.raises(Silent):
        turns.take()
    turns.heard()
    turns.take()


def test_a_caller_joins_a_try_that_succeeds() -> None:
    turns = Turns(2, join_s=5.0)
    turns.fell_silent()
    turns.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(turns.take)
        wait_until(lambda: turns._waiting, what="the caller to wait")
        turns.heard()
        assert waiting.result(5) is None


def test_many_callers_share_few_connections_and_none_is_refused(own_redis: Callable[..., RedisServer]) -> None:
    server = own_redis()
    client = connect(server.url)
    together = threading.Barrier(CALLERS)

    def call(number: int) -> str:
        together.wait(20)
        return client.set(f"k{number}", "1") and client.get(f"k{number}")

    with ThreadPoolExecutor(CALLERS) as pool:
        assert set(pool.map(call, range(CALLERS))) == {"1"}
    with server.client() as admin:
        assert admin.info("stats")["total_connections_received"] <= 16 + 3, "ours, and those of this test"


@pytest.mark.parametrize("fault", ["stopped", "hangs", "hangs from the start"])
def test_a_redis_that_is_away_is_told_to_every_caller_within_a_second(
    own_redis: Callable[..., RedisServer], fault: str
) -> None:
    server = own_redis()
    client = connect(server.url)
    if fault != "hangs from the start":
        client.ping()
    server.kill() if fault == "stopped" else server.freeze()
    together = threading.Barrier(CALLERS)

    def call(_: int) -> float:
        together.wait(20)
        begun = time.monotonic()
        with pytest.raises(redis.RedisError):
            client.get("k")
        return time.monotonic() - begun

    with ThreadPoolExecutor(CALLERS) as pool:
        told_s = list(pool.map(call, range(CALLERS), timeout=20))
        again_s = list(pool.map(call, range(CALLERS), timeout=20))
    assert max(told_s + again_s) < TOLD_S
    server.start() if fault == "stopped" else server.thaw()
    wait_until(client.ping, what="the first call to find it again")


def test_an_answer_that_is_there_when_the_time_out_is_noticed_counts(own_redis: Callable[..., RedisServer]) -> None:
    """A thread that did not get the processor for longer than the time-out has not seen Redis being silent."""
    pool = connect(own_redis().url).connection_pool
    connection = pool.get_connection()
    connection.send_command("PING")
    wait_until(lambda: connection.can_read(0), what="the answer to arrive")
    parser, late = connection._parser, Counter[str]()
    read = parser.read_response

    def read_late(**options: object) -> object:
        late["noticed"] += 1
        if late["noticed"] == 1:
            raise RedisTimeout("this thread was late")
        return read(**options)

    parser.read_response = read_late
    assert connection.read_response() in (b"PONG", "PONG")
    assert connection.is_connected
    pool.release(connection)


def test_connections_are_given_back_whatever_a_call_ends_with(own_redis: Callable[..., RedisServer]) -> None:
    server = own_redis()
    client = make_client(server.url, connect_timeout_s=0.5, timeout_s=0.5, most_connections=1)
    client.set("word", "x")
    for _ in range(3):
        with pytest.raises(redis.ResponseError):
            client.incr("word")
        with pytest.raises(redis.ResponseError), client.pipeline() as pipeline:
            pipeline.incr("word").execute()
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("word")
        server.start()
        client.set("word", "x")
    assert client.get("word") == b"x"


def test_a_server_that_refuses_is_no_silent_one() -> None:
    client = make_client(f"redis://127.0.0.1:{free_port()}", connect_timeout_s=5, timeout_s=5, most_connections=1)
    for _ in range(5):
        with pytest.raises(redis.ConnectionError, match="refused"):
            client.ping()
    assert isinstance(client.connection_pool, OrderedPool)
