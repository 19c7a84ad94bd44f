"""`cached_result` for coroutine functions and `cached_result_sync` for plain ones: call once, then remember.

Calls with equal arguments that overlap share one run, its value or its exception. An exception is never remembered.
Whatever goes wrong in the cache itself, the function is called and answers; results must not be changed by callers,
because all of them get the same object.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine, Hashable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

from cache.argument_keys import CallKeys
from cache.limits import optional_positive
from cache.lru import LRUCache, get_cache
from cache.missing import MISSING, Missing
from cache.singleflight import AsyncSingleFlight, SingleFlight
from cache.sizes import size_bytes
from cache.values import MB

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
Plain = Callable[P, R]
Async = Callable[P, Coroutine[Any, Any, R]]
KeyFunction = Callable[..., Hashable]


@overload
def cached_result(function: Async[P, R]) -> Async[P, R]: ...
@overload
def cached_result(
    *,
    cache_key_fn: KeyFunction | None = None,
    ttl_seconds: float | None = None,
    enabled: bool | Callable[[], bool] = True,
    cache: LRUCache | None = None,
) -> Callable[[Async[P, R]], Async[P, R]]: ...
def cached_result(function: Any = None, **options: Any) -> Any:
    """Remember what a coroutine function answers.

    `cache_key_fn` gets the call's arguments and answers its key, which is used as it is; by default the key is made
    of the function and the content of its arguments. `ttl_seconds` is another life span than the cache's. `enabled`
    may be a function that is asked at each call. `cache` is the shared instance (`get_cache`) by default.

    Raises:
        TypeError: the function is not a coroutine function.
        ValueError: `ttl_seconds` is not above 0.
    """
    return _decorate(_remember_async, function, **options)


@overload
def cached_result_sync(function: Plain[P, R]) -> Plain[P, R]: ...
@overload
def cached_result_sync(
    *,
    cache_key_fn: KeyFunction | None = None,
    ttl_seconds: float | None = None,
    enabled: bool | Callable[[], bool] = True,
    cache: LRUCache | None = None,
) -> Callable[[Plain[P, R]], Plain[P, R]]: ...
def cached_result_sync(function: Any = None, **options: Any) -> Any:
    """Remember what a plain function answers; options and errors are those of `cached_result`."""
    return _decorate(_remember_sync, function, **options)


def _decorate(remember: Callable[..., Any], function: Any, **options: Any) -> Any:
    memory = _Memory(**options)
    return remember(function, memory) if function is not None else lambda later: remember(later, memory)


class _Memory:
    """The cache as the decorators see it: it answers or it does not, but it never raises."""

    def __init__(
        self,
        cache_key_fn: KeyFunction | None = None,
        ttl_seconds: float | None = None,
        enabled: bool | Callable[[], bool] = True,
        cache: LRUCache | None = None,
    ) -> None:
        self.key_function = cache_key_fn
        self._ttl = optional_positive("ttl_seconds", ttl_seconds)
        self._enabled = enabled
        self._cache = cache

    def key(self, make_key: KeyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable | Missing:
        """The call's key; `MISSING` when it is not to be remembered."""
        try:
            if not (self._enabled() if callable(self._enabled) else self._enabled):
                return MISSING
            key = make_key(*args, **kwargs)
            hash(key)
        except Exception as error:
            self._report("has no key", make_key, error)
            return MISSING
        return key

    def lookup(self, key: Hashable, *, counted: bool = True) -> Any | Missing:
        try:
            cache = self._cache if self._cache is not None else get_cache()
            return cache.lookup(key) if counted else cache.peek(key)
        except Exception as error:
            self._report("could not be looked up", key, error)
            return MISSING

    def store(self, key: Hashable, value: Any) -> None:
        try:
            cache = self._cache if self._cache is not None else get_cache()
            cache.set(key, value, size_bytes(value) / MB, self._ttl)
        except Exception as error:
            self._report("could not be stored", key, error)

    def _report(self, what: str, subject: object, error: Exception) -> None:
        log.warning("a result %s and is computed: %s: %s (%r)", what, type(error).__name__, error, subject)


def _key_function(function: Any, memory: _Memory) -> KeyFunction:
    if memory.key_function is not None:
        return memory.key_function
    keys = CallKeys(function)
    return lambda *args, **kwargs: keys.key(args, kwargs)


def _remember_sync(function: Plain[P, R], memory: _Memory) -> Plain[P, R]:
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} is a coroutine function; use cached_result")
    make_key = _key_function(function, memory)
    flights: SingleFlight[R] = SingleFlight()

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        key = memory.key(make_key, args, kwargs)
        if key is MISSING:
            return function(*args, **kwargs)
        value = memory.lookup(key)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]

        def compute() -> R:
            late = memory.lookup(key, counted=False)  # another flight may have landed since the first look
            if late is not MISSING:
                return late  # type: ignore[no-any-return]
            result = function(*args, **kwargs)
            memory.store(key, result)
            return result

        return flights.run(key, compute)

    remembered.cache_key = make_key  # type: ignore[attr-defined]
    return remembered


def _remember_async(function: Async[P, R], memory: _Memory) -> Async[P, R]:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} is no coroutine function; use cached_result_sync")
    make_key = _key_function(function, memory)
    flights: AsyncSingleFlight[R] = AsyncSingleFlight()

    @wraps(function)
    async def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        key = memory.key(make_key, args, kwargs)
        if key is MISSING:
            return await function(*args, **kwargs)
        value = memory.lookup(key)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]

        async def compute() -> R:
            late = memory.lookup(key, counted=False)
            if late is not MISSING:
                return late  # type: ignore[no-any-return]
            result = await function(*args, **kwargs)
            memory.store(key, result)
            return result

        return await flights.run(key, compute)

    remembered.cache_key = make_key  # type: ignore[attr-defined]
    return remembered
