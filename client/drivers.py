"""Performs flows over httpx: `Driver` blocks, `AsyncDriver` awaits. They move bytes and sleep, and decide nothing."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any, TypeVar

import httpx

from client.errors import BadSetting
from client.network import Route, route
from client.wire import (
    Answer,
    Call,
    Done,
    Effect,
    Emit,
    Flow,
    Open,
    Read,
    Request,
    Send,
    Sleep,
    TransportFailure,
    advance,
)

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 60.0
POOL_TIMEOUT_S = 60.0

_FAILURES = (httpx.RequestError, httpx.StreamError, httpx.InvalidURL)


class Driver:
    """Runs flows against one service."""

    def __init__(self, url: str, api_key: str | None, sleep: Callable[[float], None]) -> None:
        self._route = route(url)
        self._http = httpx.Client(
            base_url=url, headers=_default_headers(api_key), verify=self._route.tls, proxy=self._route.proxy,
            trust_env=False,
        )  # fmt: skip
        self._sleep = sleep

    def close(self) -> None:
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow to its end."""
        with closing(_Hands(self._http, self._route, self._sleep)) as hands, closing(flow):
            step = advance(flow)
            while not isinstance(step, Done):
                step = advance(flow, hands.perform(step))
            return step.value

    def iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Perform a flow as far as the caller asks for what it emits."""
        with closing(_Hands(self._http, self._route, self._sleep)) as hands, closing(flow):
            step = advance(flow)
            while not isinstance(step, Done):
                if isinstance(step, Emit):
                    yield step.value
                step = advance(flow, hands.perform(step))


class AsyncDriver:
    """Runs flows against one service on an event loop."""

    def __init__(self, url: str, api_key: str | None, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._route = route(url)
        self._http = httpx.AsyncClient(
            base_url=url, headers=_default_headers(api_key), verify=self._route.tls, proxy=self._route.proxy,
            trust_env=False,
        )  # fmt: skip
        self._sleep = sleep

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Perform a flow to its end."""
        async with aclosing(_AsyncHands(self._http, self._route, self._sleep)) as hands:
            with closing(flow):
                step = advance(flow)
                while not isinstance(step, Done):
                    step = advance(flow, await hands.perform(step))
                return step.value

    async def iterate(self, flow: Flow[None]) -> AsyncIterator[Any]:
        """Perform a flow as far as the caller asks for what it emits."""
        async with aclosing(_AsyncHands(self._http, self._route, self._sleep)) as hands:
            with closing(flow):
                step = advance(flow)
                while not isinstance(step, Done):
                    if isinstance(step, Emit):
                        yield step.value
                    step = advance(flow, await hands.perform(step))


class _Hands:
    """Performs the effects of one flow; holds its open stream."""

    def __init__(self, http: httpx.Client, way: Route, sleep: Callable[[float], None]) -> None:
        self._http = http
        self._route = way
        self._sleep = sleep
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def perform(self, effect: Effect) -> object:
        try:
            match effect:
                case Send(request):
                    response = self._http.send(_httpx_request(self._http, request))
                    return _answer(response, response.content)
                case Open(request):
                    return self._open(request)
                case Read():
                    return next(self._chunks, b"")
                case Sleep(seconds):
                    self._sleep(seconds)
                case Call(function, argument):
                    function(argument)
        except _FAILURES as error:
            return TransportFailure(self._route.explained(error))
        return None

    def _open(self, request: Request) -> Answer:
        self.close()
        self._response = response = self._http.send(_httpx_request(self._http, request), stream=True)
        self._chunks = response.iter_bytes()
        return _answer(response, response.read() if response.is_error else b"")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class _AsyncHands:
    """Performs the effects of one flow; holds its open stream."""

    def __init__(self, http: httpx.AsyncClient, way: Route, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._http = http
        self._route = way
        self._sleep = sleep
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def perform(self, effect: Effect) -> object:
        try:
            match effect:
                case Send(request):
                    response = await self._http.send(_httpx_request(self._http, request))
                    return _answer(response, response.content)
                case Open(request):
                    return await self._open(request)
                case Read() if self._chunks is not None:
                    return await anext(self._chunks, b"")
                case Sleep(seconds):
                    await self._sleep(seconds)
                case Call(function, argument):
                    returned = function(argument)
                    if inspect.isawaitable(returned):
                        await returned
        except _FAILURES as error:
            return TransportFailure(self._route.explained(error))
        return None

    async def _open(self, request: Request) -> Answer:
        await self.aclose()
        self._response = response = await self._http.send(_httpx_request(self._http, request), stream=True)
        self._chunks = response.aiter_bytes()
        return _answer(response, await response.aread() if response.is_error else b"")

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None


def _default_headers(api_key: str | None) -> dict[str, str]:
    """Raises: BadSetting: the key holds what no header can."""
    headers = {"User-Agent": "orfeas-client", "Accept": "application/json, */*;q=0.5"}
    key = (api_key or "").strip()  # files that keys are read from end in a newline
    if not (key.isascii() and key.isprintable()):
        raise BadSetting("the API key holds characters that no HTTP header can carry")
    return headers | {"Authorization": f"Bearer {key}"} if key else headers


def _httpx_request(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    timeout = httpx.Timeout(request.timeout_s, connect=CONNECT_TIMEOUT_S, write=WRITE_TIMEOUT_S, pool=POOL_TIMEOUT_S)
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        headers=dict(request.headers),
        content=request.content,
        timeout=timeout,
    )


def _answer(response: httpx.Response, content: bytes) -> Answer:
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)
