"""Clients that send their request a byte at a time, or never end it, hold up nobody else."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from patience import LIMIT_S
from tests.security.live import Live, live_api
from tests.security.served import ADMIN_KEY

THREADS = 8
MANY = 24  # clients, three for each thread
PROMPTLY_S = 2.5
HEAD = b"GET /api/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = (
    b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN_KEY.encode() + b"\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
)
DAWDLES = {"says nothing": b"", "in its head": HEAD, "in its body": BODY, "after half of it": BODY + b"a" * 50_000}
LINGERS = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_api(tmp_path_factory.mktemp("live"), api_processes=1, api_threads=THREADS) as live:
        yield live


@contextmanager
def clients(live: Live, said: bytes, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        every = [
            stack.enter_context(socket.create_connection(("127.0.0.1", live.settings.port), timeout=5))
            for _ in range(count)
        ]
        for one in every:
            one.sendall(said)
        yield every


def answer_s(live: Live) -> float:
    """How long another's request takes, over a connection of its own."""
    begun = time.monotonic()
    answer = live.say(b"GET /api/generators HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      b"Authorization: Bearer " + ADMIN_KEY.encode() + b"\r\n\r\n")  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return time.monotonic() - begun


@pytest.mark.parametrize("how", DAWDLES)
def test_clients_that_dawdle_hold_up_nobody_else(live: Live, how: str) -> None:
    with clients(live, DAWDLES[how], MANY) as slow:
        longest_s = 0.0
        for _ in range(8):
            longest_s = max(longest_s, answer_s(live))
            for one in slow:
                with contextlib.suppress(OSError):  # of one that was cut off
                    one.sendall(b"a")
        print(f"measured: {MANY} clients dawdle {how}: others were answered within {longest_s:.2f} s")
        assert longest_s < PROMPTLY_S


def test_clients_that_do_not_hang_up_hold_up_nobody_else(live: Live) -> None:
    """gunicorn by itself waits two seconds for each of them, and accepts nobody meanwhile."""
    with clients(live, LINGERS, 5):
        assert answer_s(live) < PROMPTLY_S


def test_a_body_that_comes_slowly_but_steadily_is_read(live: Live) -> None:
    body = b'{"image": "' + b"A" * 60_000 + b'"}'
    head = BODY.replace(b"100000", b"%d" % len(body)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with clients(live, head, 1) as (one,):
        for at in range(0, len(body), 10_000):
            one.sendall(body[at : at + 10_000])
            time.sleep(0.4)  # what this client is like; it waits for nothing
        answer = one.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 4") and b"bad_image" in answer, answer[:300]


def test_a_second_request_on_a_connection_may_come_with_the_first(live: Live) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with clients(live, request + LINGERS, 1) as (one,):
        answer = one.makefile("rb").read()
    assert answer.count(b"HTTP/1.1 200") == 2


def test_patience_with_one_request_has_an_end(live: Live) -> None:
    """A byte now and then does not make it longer."""
    with clients(live, HEAD, 1) as (head,), clients(live, BODY, 1) as (body,):
        begun, ended_s = time.monotonic(), {}
        while len(ended_s) < 2 and time.monotonic() - begun < 2 * LIMIT_S:
            for one in (head, body):
                if one not in ended_s and hung_up(one):
                    ended_s[one] = time.monotonic() - begun
    assert len(ended_s) == 2 and all(LIMIT_S - 1 < after_s < LIMIT_S + 5 for after_s in ended_s.values()), ended_s


def hung_up(client: socket.socket) -> bool:
    """Whether the other side has, asked with one more byte."""
    client.settimeout(0.2)
    try:
        client.sendall(b"a")
        client.recv(1000)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
