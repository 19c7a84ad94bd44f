"""One HTTP request to a stranger: to judged addresses only, bounded in time and bytes, no redirects, no proxies.

The name is resolved once and the connection goes to the very address that was judged, while TLS still verifies the
name; a DNS answer that changes in between (rebinding) changes nothing.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import certifi
import httpcore

from api.targets import ForbiddenTarget, Resolve, public_addresses, system_resolver
from settings import Settings

_ANSWER_LIMIT_BYTES = 65_536  # of the body, which nobody looks at; read so that the other side sees a clean end
_FAULTS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ForbiddenTarget, OSError)


class NoAnswer(Exception):
    """There was no HTTP answer; says why, in words for the log that callers see. `final`: nor will there ever be."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Outbound:
    """Posts to URLs that callers chose; `timeout_s` is the time of a whole request, beside the name's resolution."""

    def __init__(
        self,
        *,
        timeout_s: float,
        allow_private: bool = False,
        resolve: Resolve = system_resolver,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._resolve = resolve
        self._tls = tls or _verifying()
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings) -> Outbound:
        return cls(timeout_s=settings.webhook_timeout_s, allow_private=settings.webhook_allow_private)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """The answer's status and its `Retry-After`, or "".

        Raises: NoAnswer.
        """
        network = _JudgedNetwork(self._resolve, self._allow_private, self._timeout_s, self._clock)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
                pool.stream("POST", url, headers=list(headers.items()), content=body) as answer,
            ):
                _drain(answer)
                after = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
                return answer.status, after.decode("latin-1")
        except _FAULTS as error:
            reason = f"{_KINDS.get(type(error), 'no answer')}: {error}".rstrip(": ")
            raise NoAnswer(reason, final=isinstance(error, ForbiddenTarget)) from error


class _JudgedNetwork(httpcore.NetworkBackend):
    """Connects to the addresses that were judged, and nowhere else; all its waiting ends at one moment."""

    def __init__(self, resolve: Resolve, allow_private: bool, limit_s: float, clock: Callable[[], float]) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._limit_s = limit_s
        self._clock = clock
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = public_addresses(host, port, self._resolve, allow_private=self._allow_private)
        ends_at = self._clock() + self._limit_s

        def left_s() -> float:
            left = ends_at - self._clock()
            if left <= 0:
                raise httpcore.ReadTimeout(f"it took longer than {self._limit_s:g} s (WEBHOOK_TIMEOUT_S)")
            return left

        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return _Bounded(self._sockets.connect_tcp(address, port, timeout=left_s()), left_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait is cut to what is left of the whole."""

    def __init__(self, stream: httpcore.NetworkStream, left_s: Callable[[], float]) -> None:
        self._stream = stream
        self._left_s = left_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, self._left_s()), self._left_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _drain(answer: httpcore.Response) -> None:
    size_bytes = 0
    with contextlib.suppress(*_FAULTS):  # the status is known, and that is what counts
        for chunk in answer.iter_stream():
            size_bytes += len(chunk)
            if size_bytes > _ANSWER_LIMIT_BYTES:
                return


def _verifying() -> ssl.SSLContext:
    """Trusts what the host trusts, and the bundled roots where it has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


_KINDS: dict[type[Exception], str] = {
    httpcore.ConnectTimeout: "no connection in time",
    httpcore.ReadTimeout: "no answer in time",
    httpcore.WriteTimeout: "no answer in time",
    httpcore.ConnectError: "no connection",
    ForbiddenTarget: "refused",
}
