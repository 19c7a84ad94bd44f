"""The parts of a large value on one connection, around redis-py's parser, which would copy every byte three times.

A large value is a list of parts. A string would have to be moved as it grows and be freed in one go, which holds the
server for tens of milliseconds at 50 MB; a list grows by itself and is freed in the background. What is expected is
known to the byte, so an answer that differs by one ends the connection: nothing is guessed.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

import redis

from cache.redis_link import Command, borrowed

PART_BYTES = (1 << 18) - 64  # with what surrounds it, one allocation class; more than 64 parts are freed in background
WINDOW_PARTS = 4  # in one command: just under 1 MiB, which holds the server for a fraction of a millisecond
WINDOW_BYTES = WINDOW_PARTS * PART_BYTES  # up to here a value is a plain string, sent and read in one go
STAGE_TTL_S = 60


class Interrupted(Exception):
    """The server sent something else than the bytes that were asked for: they are gone."""


def parts_of(length: int) -> int:
    """The number of parts of a value; 0 for one that is a plain string."""
    return -(-length // PART_BYTES) if length > WINDOW_BYTES else 0


def open_stage(stage: str, payload: bytes) -> list[Command]:
    """The commands that begin a list with its first window: at once, so that none ever lacks a life span, and such
    that they may be sent twice."""
    return [
        ("MULTI",),
        ("UNLINK", stage),
        ("RPUSH", stage, *_window(payload, 0)),
        ("EXPIRE", stage, STAGE_TTL_S),
        ("EXEC",),
    ]


def send(client: redis.Redis, stage: str, payload: bytes, in_time: Callable[[], None]) -> None:
    """Append what follows the first window; the server takes one window while the next is on its way.

    Raises:
        redis.RedisError, OSError: the server failed or refused.
    """
    with borrowed(client) as connection:
        for start in range(WINDOW_BYTES, len(payload), WINDOW_BYTES):
            in_time()
            # RPUSHX: should the stage have expired meanwhile, RPUSH would begin one that never does
            connection.send_command("RPUSHX", stage, *_window(payload, start))
            if start > WINDOW_BYTES:
                connection.read_response()
        connection.read_response()


def _window(payload: bytes, start: int) -> list[memoryview]:
    window = memoryview(payload)[start : start + WINDOW_BYTES]
    return [window[part : part + PART_BYTES] for part in range(0, len(window), PART_BYTES)]


def receive(client: redis.Redis, name: str, length: int, in_time: Callable[[], None]) -> bytes:
    """The `length` bytes of a list, received into their final place.

    Raises:
        Interrupted: the value is another by now.
        redis.RedisError, OSError: the server failed.
    """
    whole = io.BytesIO()
    whole.seek(length - 1)
    whole.write(b"\0")  # BytesIO gives its memory away without a copy, when it is asked for in the end
    with whole.getbuffer() as view, borrowed(client) as connection:
        wire = _wire(connection)
        for first in range(0, parts_of(length), WINDOW_PARTS):
            in_time()
            last = min(first + WINDOW_PARTS, parts_of(length)) - 1
            connection.send_command("LRANGE", name, first, last)
            _receive_window(wire, view, first, last)
    return whole.getvalue()


def _receive_window(wire: socket.socket, view: memoryview, first: int, last: int) -> None:
    frame = b"*%d\r\n" % (last - first + 1)
    for part in range(first, last + 1):
        start, end = part * PART_BYTES, min((part + 1) * PART_BYTES, len(view))
        _expect(wire, frame + b"$%d\r\n" % (end - start))
        while start < end:
            start += _some(wire.recv_into(view[start:end]))
        frame = b"\r\n"
    _expect(wire, frame)


def _wire(connection: Any) -> socket.socket:
    """The connection's socket, which redis-py keeps to itself: there is no other way to receive without copies."""
    wire: socket.socket = connection._sock
    return wire


def _expect(wire: socket.socket, expected: bytes) -> None:
    got = b""
    while len(got) < len(expected):
        part = wire.recv(len(expected) - len(got))
        _some(len(part))
        got += part
    if got == expected:
        return
    if got.startswith((b"*", b"$", b"\r\n")):
        raise Interrupted(f"expected {expected!r}, got {got!r}: the value is another one by now")
    raise redis.ConnectionError(f"expected {expected!r}, got {got!r}")


def _some(count: int) -> int:
    if not count:
        raise redis.ConnectionError("the server closed the connection in the middle of a value")
    return count
