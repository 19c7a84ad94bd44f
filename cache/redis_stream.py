"""The windows of a large value on one connection, around redis-py's parser, which would copy every byte three times.

What is expected is known to the byte, so an answer that differs by one byte ends the connection: nothing is guessed.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

WINDOW_BYTES = (1 << 20) - 1024  # a window and its framing fit one socket read and one allocation class
FIRST_BYTES = (1 << 18) - 1024  # rides on the answer that finds the value, through the parser
STAGE_TTL_S = 60
_UNDER_WAY = 2  # commands whose answers may be outstanding while the next window is sent: one window's


class Interrupted(Exception):
    """The server sent something else than the bytes that were asked for: they are gone."""


def receive(client: redis.Redis, name: str, length: int, first: bytes, in_time: Callable[[], None]) -> bytes:
    """The `length` bytes of a string of which `first` is known, received into their final place.

    Raises:
        Interrupted: the string is another by now.
        redis.RedisError, OSError: the server failed.
    """
    whole = io.BytesIO()
    whole.seek(length - 1)
    whole.write(b"\0")  # BytesIO gives its memory away without a copy, when it is asked for in the end
    with whole.getbuffer() as view, _borrowed(client) as (connection, wire):
        view[: len(first)] = first
        for start in range(len(first), length, WINDOW_BYTES):
            in_time()
            end = min(start + WINDOW_BYTES, length)
            connection.send_command("GETRANGE", name, start, end - 1)
            _expect(wire, b"$%d\r\n" % (end - start))
            while start < end:
                start += _some(wire.recv_into(view[start:end]))
            _expect(wire, b"\r\n")
    return whole.getvalue()


def send(client: redis.Redis, stage: str, payload: bytes, in_time: Callable[[], None]) -> None:
    """Append what follows the first window; the server takes one window while the next is on its way.

    Raises:
        redis.RedisError, OSError: the server failed or refused.
    """
    outstanding = 0
    with _borrowed(client) as (connection, _), memoryview(payload) as view:
        for start in range(WINDOW_BYTES, len(payload), WINDOW_BYTES):
            in_time()
            # EXPIRE each time: had the stage expired meanwhile, APPEND would begin one that never does
            connection.send_command("APPEND", stage, view[start : start + WINDOW_BYTES])
            connection.send_command("EXPIRE", stage, STAGE_TTL_S)
            outstanding += 2
            while outstanding > _UNDER_WAY:
                connection.read_response()
                outstanding -= 1
        for _ in range(outstanding):
            connection.read_response()


@contextmanager
def _borrowed(client: redis.Redis) -> Iterator[tuple[Any, socket.socket]]:
    """A connection and its socket; whatever goes wrong, half an answer is never left for the next who borrows it."""
    connection = client.connection_pool.get_connection()
    try:
        wire = connection._sock
        assert wire is not None, "a borrowed connection is connected"
        yield connection, wire
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        client.connection_pool.release(connection)


def _expect(wire: socket.socket, expected: bytes) -> None:
    got = b""
    while len(got) < len(expected):
        part = wire.recv(len(expected) - len(got))
        _some(len(part))
        got += part
        if got.startswith(b"$") and not expected.startswith(got):
            raise Interrupted(f"expected {expected!r}, got {got!r}: the string is another one by now")
        if not expected.startswith(got):
            raise redis.ConnectionError(f"expected {expected!r}, got {got!r}")


def _some(count: int) -> int:
    if not count:
        raise redis.ConnectionError("the server closed the connection in the middle of a value")
    return count
