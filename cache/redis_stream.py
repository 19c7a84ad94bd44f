"""The parts of a large value on one connection, around redis-py's parser, which would copy every byte three times.

A large value is a list of parts. A string would have to be moved as it grows and be freed in one go, which holds the
server for tens of milliseconds at 50 MB; a list grows by itself and is freed in the background. What is expected is
known to the byte, so an answer that differs by one ends the connection: nothing is guessed.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import redis

from cache.redis_link import Command, borrowed

PART_BYTES = (1 << 18) - 64  # with what surrounds it, one allocation class; more than 64 parts are freed in background
WINDOW_PARTS = 4  # in one command: just under 1 MiB, which holds the server for a fraction of a millisecond
WINDOW_BYTES = WINDOW_PARTS * PART_BYTES  # up to here a value is a plain string, sent and read in one go
STAGE_TTL_S = 60
_FRAME_BYTES = 256  # more than what surrounds the parts of a window


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
    """The `length` bytes of a list, in windows; the server fills one while the one before is on its way.

    Raises:
        Interrupted: the value is another by now.
        redis.RedisError, OSError: the server failed.
    """
    sizes = [min(PART_BYTES, length - start) for start in range(0, length, PART_BYTES)]
    windows = range(0, len(sizes), WINDOW_PARTS)
    # As long as it will be, so that it is not moved as it grows; in the end BytesIO gives its memory away uncopied.
    whole, room = io.BytesIO(bytes(length)), memoryview(bytearray(WINDOW_BYTES + _FRAME_BYTES))
    with borrowed(client) as connection:
        for window, following in pairwise([None, *windows, None]):
            in_time()
            if following is not None:
                connection.send_command("LRANGE", name, following, following + WINDOW_PARTS - 1)
            if window is not None:
                for part in _received(_wire(connection), sizes[window : window + WINDOW_PARTS], room):
                    whole.write(part)
    return whole.getvalue()


def _received(wire: socket.socket, sizes: Sequence[int], room: memoryview) -> Iterator[memoryview]:
    """The parts of one answer, which lie in `room` until the next is received there."""
    heads = [b"\r\n$%d\r\n" % size for size in sizes]
    heads[0] = b"*%d" % len(sizes) + heads[0]
    total = sum(map(len, heads)) + sum(sizes) + len(b"\r\n")
    at = filled = 0
    for head, size in [*zip(heads, sizes, strict=True), (b"\r\n", 0)]:
        _expect(head[: filled - at], room[at:])
        while filled < at + len(head) + size:
            filled += _some(wire.recv_into(room[filled:total]))
            _expect(head[: filled - at], room[at:])  # at once: of a shorter answer the rest would never come
        at += len(head) + size
        yield room[at - size : at]


def _wire(connection: Any) -> socket.socket:
    """The connection's socket, which redis-py keeps to itself: there is no other way to receive without copies."""
    wire: socket.socket = connection._sock
    return wire


def _expect(expected: bytes, room: memoryview) -> None:
    got = bytes(room[: len(expected)])
    if got == expected:
        return
    if got.startswith((b"*", b"\r\n")):  # another number of parts, or parts of another size
        raise Interrupted(f"expected {expected!r}, got {got!r}: the value is another one by now")
    raise redis.ConnectionError(f"expected {expected!r}, got {got!r}")


def _some(count: int) -> int:
    if not count:
        raise redis.ConnectionError("the server closed the connection in the middle of a value")
    return count
