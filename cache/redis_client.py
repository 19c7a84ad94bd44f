"""Clients for Redis: one place that turns a URL into connections.

A pool is bounded, and who finds no free connection waits in order. That wait, and any other wait for this process
itself, is never counted as silence of the server.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from cache.redis_url import RedisAddress
from cache.turns import Silent, Turns

MOST_CONNECTIONS = 16  # of one client in one process; Redis serves one command at a time, so more gain nothing


class _Heard:
    """Mixed into a connection class: tells `turns` of every answer and of every time-out."""

    def __init__(self, *args: Any, turns: Turns, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turns = turns

    def read_response(self, *args: Any, disconnect_on_error: bool = True, **options: Any) -> Any:
        try:
            return self._answer(*args, **options)
        except ResponseError:
            self._turns.heard()
            raise
        except BaseException as error:
            if isinstance(error, RedisTimeout):
                self._turns.fell_silent()
            if disconnect_on_error:
                self.disconnect()  # type: ignore[attr-defined]
            raise

    def _answer(self, *args: Any, **options: Any) -> Any:
        while True:
            try:
                answer = super().read_response(*args, disconnect_on_error=False, **options)  # type: ignore[misc]
            except RedisTimeout:
                # With the answer there by now, this thread was late and not the server.
                if not self.can_read(0):  # type: ignore[attr-defined]
                    raise
            else:
                self._turns.heard()
                return answer


class _Tcp(_Heard, redis.Connection):
    pass


class _Tls(_Heard, redis.SSLConnection):
    pass


class _Unix(_Heard, redis.UnixDomainSocketConnection):
    pass


class OrderedPool(redis.ConnectionPool):
    """At most `max_connections`; callers beyond them wait in order, as long as the server answers others."""

    def __init__(self, *, max_connections: int, **options: Any) -> None:
        self._most = max_connections
        super().__init__(max_connections=max_connections, **options)

    def reset(self) -> None:
        """Also called in a child process after a fork, where nobody else holds a turn."""
        self._turns = Turns(self._most)
        self._lent: set[Any] = set()
        super().reset()

    def make_connection(self) -> Any:
        self.connection_kwargs["turns"] = self._turns
        return super().make_connection()

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Raises: redis.RedisError: the server refuses, or does not answer."""
        self._checkpid()
        try:
            self._turns.take()
        except Silent:
            raise RedisTimeout("the server has not answered other callers") from None
        try:
            connection = super().get_connection(*args, **options)
        except BaseException as error:
            if isinstance(error, RedisTimeout):
                self._turns.fell_silent()
            elif isinstance(error, redis.ConnectionError):
                self._turns.heard()
            self._turns.give_back()
            raise
        self._lent.add(connection)
        return connection

    def release(self, connection: Any) -> None:
        super().release(connection)
        if connection in self._lent:
            self._lent.discard(connection)
            self._turns.give_back()


def make_client(
    url: str,
    *,
    connect_timeout_s: float,
    timeout_s: float,
    most_connections: int = MOST_CONNECTIONS,
    **options: Any,
) -> redis.Redis:
    """A client that connects at its first command, tries nothing twice, and whose callers share few connections.

    Raises:
        ValueError: the URL is not supported; the message repeats no part of it.
    """
    timing = {"connect_timeout_s": connect_timeout_s, "timeout_s": timeout_s}
    return owned(make_pool(url, most_connections=most_connections, **timing, **options))


def make_pool(
    url: str, *, connect_timeout_s: float, timeout_s: float, most_connections: int = MOST_CONNECTIONS, **options: Any
) -> OrderedPool:
    """The pool of such a client, for a library that makes its own.

    Raises:
        ValueError: the URL is not supported; the message repeats no part of it.
    """
    return OrderedPool(
        max_connections=most_connections,
        **connection_arguments(url, _Tcp, _Tls, _Unix),
        **time_outs(connect_timeout_s, timeout_s),
        **({"retry": Retry(NoBackoff(), 0)} | options),
    )


def make_plain_client(url: str, *, connect_timeout_s: float, timeout_s: float, **options: Any) -> redis.Redis:
    """A client for few threads that may wait long; with redis-py's own pool.

    Raises:
        ValueError: the URL is not supported; the message repeats no part of it.
    """
    pool = redis.ConnectionPool(
        **connection_arguments(url, redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection),
        **time_outs(connect_timeout_s, timeout_s),
        **({"retry": Retry(NoBackoff(), 0)} | options),
    )
    return owned(pool)


def connection_arguments(url: str, tcp: type, tls: type, unix: type) -> dict[str, Any]:
    address = RedisAddress.parse(url)
    kind = unix if address.socket else tls if address.tls is not None else tcp
    # Without the names of library and version, which cost two round trips and a permission.
    known = {"connection_class": kind, "protocol": 2, "driver_info": None}
    return address.connection_options() | known | ({} if address.socket else {"socket_keepalive": True})


def time_outs(connect_timeout_s: float, timeout_s: float) -> dict[str, Any]:
    return {"socket_connect_timeout": connect_timeout_s, "socket_timeout": timeout_s}


def owned(pool: redis.ConnectionPool) -> redis.Redis:
    """A client that closes its pool with itself."""
    return redis.Redis.from_pool(pool)
