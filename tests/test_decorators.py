from __future__ import annotations

import asyncio
import dataclasses
import enum
import threading
import time
from collections.abc import Callable, Hashable

import numpy as np
import pytest
import torch
import trimesh

from cache import MISSING, LRUCache, cached_result, cached_result_sync, get_cache
from cache.argument_keys import CallKeys, NoKey
from cache.singleflight import SingleFlight
from cache.sizes import size_bytes
from tests.servers import wait_until


@pytest.fixture
def cache() -> LRUCache:
    return LRUCache()


class Calls:
    """A function that counts its calls."""

    def __init__(self, answer: Callable[..., object] = lambda *args: args) -> None:
        self.number = 0
        self.answer = answer

    def __call__(self, *args: object) -> object:
        self.number += 1
        return self.answer(*args)


def remembered(cache: LRUCache, calls: Calls, **options: object) -> Callable[..., object]:
    @cached_result_sync(cache=cache, **options)
    def function(*args: object) -> object:
        return calls(*args)

    return function


def test_the_second_call_is_answered_from_the_cache(cache: LRUCache) -> None:
    calls = Calls()
    function = remembered(cache, calls)
    assert function(1, "a") is function(1, "a")
    assert calls.number == 1
    assert cache.get_stats()["hits"] == 1
    assert cache.get_stats()["misses"] == 1


def test_a_remembered_none_is_a_hit(cache: LRUCache) -> None:
    calls = Calls(lambda: None)
    function = remembered(cache, calls)
    assert function() is None
    assert function() is None
    assert calls.number == 1


class Shade(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Options:
    size: int
    name: str = "x"


class Named(str):
    label = ""


DIFFERENT = [
    1, "1", True, 1.0, b"1", None, 0, False, "", b"", (), [], {}, set(), frozenset(), (1,), [1], (1, 2), ((1,), 2),
    ("ab", "c"), ("a", "bc"), {"a": 1}, {"a": "1"}, {1, 2}, {"1", 2}, bytearray(b"1"), 1 + 0j, -0.0, 0.0, 10**40,
    -(10**40), "\ud800", Shade.RED, Shade.BLUE, Options(1), Options(2), Options(1, "y"), Named("1"),
    np.arange(6), np.arange(6).reshape(2, 3), np.arange(6, dtype=np.int32), np.float64(1), np.float32(1), np.zeros(3),
    np.zeros((0, 3)), np.zeros(1, dtype=[("a", "<f8")]), np.zeros(1, dtype=[("b", "<f8")]), np.zeros(3, dtype=bool),
    np.array([1, "a"], dtype=object), np.datetime64("2020-01-01"), np.datetime64("2020-01-01T00"),
    torch.arange(6), torch.arange(6).reshape(2, 3), torch.zeros(3), torch.zeros(3, dtype=torch.bfloat16),
    torch.tensor(1.0), torch.zeros(0, 3),
]  # fmt: skip


def test_no_two_different_values_share_a_key() -> None:
    def function(value: object) -> None: ...

    keys = CallKeys(function)
    made = [keys.key((value,), {}) for value in DIFFERENT]
    assert len(set(made)) == len(made)
    assert made == [keys.key((value,), {}) for value in DIFFERENT]


def test_equal_content_has_one_key_wherever_it_lies() -> None:
    def function(value: object) -> None: ...

    keys = CallKeys(function)
    grid = np.arange(12).reshape(3, 4)
    for one, other in [
        (grid[:, ::2], np.ascontiguousarray(grid[:, ::2])),
        (torch.arange(12).reshape(3, 4).T, torch.arange(12).reshape(3, 4).T.contiguous()),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2, 3}, {3, 2, 1}),
        (bytes(10**6), bytes(10**6)),
        (Options(1), Options(1)),
    ]:
        assert keys.key((one,), {}) == keys.key((other,), {})


def test_defaults_and_keywords_take_their_places() -> None:
    def function(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> None: ...

    keys = CallKeys(function)
    assert keys.key((1,), {}) == keys.key((1, 2), {"c": 3}) == keys.key((), {"b": 2, "a": 1})
    different = [((1, 3), {}), ((1, 2, 3), {}), ((1,), {"c": 4}), ((1,), {"d": 3})]
    assert len({keys.key(*call) for call in different} | {keys.key((1,), {})}) == 5


def test_two_functions_of_one_name_do_not_share_results(cache: LRUCache) -> None:
    def make(factor: int) -> Callable[[int], int]:
        @cached_result_sync(cache=cache)
        def scale(value: int) -> int:
            return factor * value

        return scale

    double, triple = make(2), make(3)
    assert (double(5), triple(5), double(5)) == (10, 15, 10)


def test_a_value_without_comparable_content_has_no_key() -> None:
    keys = CallKeys(lambda value: None)
    loop: list[object] = []
    loop.append(loop)
    for value in (lambda: 1, threading.Lock(), loop):
        with pytest.raises(NoKey):
            keys.key((value,), {})


def test_a_call_without_a_key_is_computed_each_time(cache: LRUCache) -> None:
    calls = Calls(lambda value: 7)
    function = remembered(cache, calls)
    assert function(threading.Lock()) == 7
    assert function(threading.Lock()) == 7
    assert calls.number == 2
    assert len(cache) == 0


def test_a_custom_key_is_used_as_it_is() -> None:
    @cached_result_sync(cache_key_fn=lambda name, size: f"decorators:{name}")
    def function(name: str, size: int) -> int:
        return size

    assert (function("a", 1), function("a", 2)) == (1, 1)
    assert get_cache().get("decorators:a") == 1
    assert function.cache_key("a", 5) == "decorators:a"


def test_an_own_life_span_and_a_switch(cache: LRUCache) -> None:
    on = True
    calls = Calls()
    function = remembered(cache, calls, ttl_seconds=500, enabled=lambda: on)
    function(1)
    (row,) = cache.get_entries_summary()
    assert row["expires_at"] == pytest.approx(time.time() + 500, abs=5)
    on = False
    function(1)
    assert calls.number == 2
    assert remembered(cache, calls, enabled=False)(1) == (1,)
    assert calls.number == 3
    with pytest.raises(ValueError, match="ttl_seconds"):
        cached_result_sync(ttl_seconds=-1)


class BrokenCache(LRUCache):
    def lookup(self, key: object) -> object:
        raise OSError("lookup is broken")

    def set(self, *args: object, **kwargs: object) -> bool:
        raise OSError("set is broken")


def test_a_fault_of_the_cache_never_breaks_the_call() -> None:
    function = remembered(BrokenCache(), Calls())
    assert function(1) == (1,)
    assert remembered(LRUCache(), Calls(), cache_key_fn=lambda value: 1 / 0)(1) == (1,)
    assert remembered(LRUCache(), Calls(), cache_key_fn=lambda value: [value])(1) == (1,)


@pytest.mark.parametrize("number", [10, 100, 1000])
def test_threads_that_ask_together_share_one_computation(cache: LRUCache, number: int) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(value: int) -> int:
        begun.set()
        assert go_on.wait(30)
        return value

    calls, answers = Calls(slow), []
    function = remembered(cache, calls)
    threads = [threading.Thread(target=lambda: answers.append(function(5))) for _ in range(number)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    wait_until(lambda: cache.get_stats()["misses"] >= number, 30)
    go_on.set()
    for thread in threads:
        thread.join()
    assert answers == [5] * number
    assert calls.number == 1


def test_threads_that_ask_together_share_the_exception() -> None:
    flights: SingleFlight[None] = SingleFlight()
    failure, errors, begun = LookupError("no such mesh"), [], []

    def fail() -> None:
        begun.append(1)
        wait_until(lambda: flights.waiting("key") == 9)
        raise failure

    def call() -> None:
        try:
            flights.run("key", fail)
        except LookupError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun == [1]
    assert errors == [failure] * 10
    assert flights.waiting("key") == 0


class LandsMeanwhile(LRUCache):
    """Between the first look at a key and what follows it, another caller asks and is done."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__()
        self._ask = ask
        self._asked = False

    def lookup(self, key: Hashable) -> object:
        found = super().lookup(key)
        if not self._asked:
            self._asked = True
            other = threading.Thread(target=self._ask)
            other.start()
            other.join()
        return found


@pytest.mark.parametrize("answer", [7, None], ids=["a value", "None"])
def test_a_call_whose_flight_landed_between_look_and_take_off_computes_nothing(answer: object) -> None:
    calls = Calls(lambda number: answer)
    cache = LandsMeanwhile(lambda: function(1))
    function = remembered(cache, calls)
    assert function(1) == answer
    assert calls.number == 1


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [7, None], ids=["a value", "None"])
async def test_a_coroutine_whose_flight_landed_between_look_and_take_off_computes_nothing(answer: object) -> None:
    calls = Calls(lambda number: answer)
    cache = LandsMeanwhile(lambda: asyncio.run(function(1)))

    @cached_result(cache=cache)
    async def function(number: int) -> object:
        return calls(number)

    assert await function(1) == answer
    assert calls.number == 1


def test_an_exception_is_not_remembered(cache: LRUCache) -> None:
    calls = Calls(lambda value: 1 / value)
    function = remembered(cache, calls)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            function(0)
    assert calls.number == 2
    assert len(cache) == 0


def test_a_function_that_calls_itself_with_its_own_arguments_does_not_wait_for_itself(cache: LRUCache) -> None:
    depth = []

    @cached_result_sync(cache=cache)
    def function(value: int) -> int:
        depth.append(1)
        return function(value) if len(depth) < 3 else value

    assert function(1) == 1


@pytest.mark.anyio
async def test_a_coroutine_is_remembered(cache: LRUCache) -> None:
    calls = Calls()

    @cached_result(cache=cache)
    async def function(value: int) -> object:
        return calls(value)

    assert await function(1) == await function(1) == (1,)
    assert calls.number == 1


@pytest.mark.anyio
@pytest.mark.parametrize("number", [10, 100, 1000])
async def test_coroutines_that_ask_together_share_one_computation(cache: LRUCache, number: int) -> None:
    calls = Calls()

    @cached_result(cache=cache)
    async def function(value: int) -> object:
        await asyncio.sleep(0)
        return calls(value)

    assert await asyncio.gather(*(function(5) for _ in range(number))) == [(5,)] * number
    assert calls.number == 1


@pytest.mark.anyio
async def test_coroutines_that_ask_together_share_the_exception(cache: LRUCache) -> None:
    calls = Calls(lambda value: 1 / value)

    @cached_result(cache=cache)
    async def function(value: int) -> object:
        await asyncio.sleep(0)
        return calls(value)

    answers = await asyncio.gather(*(function(0) for _ in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {ZeroDivisionError}
    assert calls.number == 1
    with pytest.raises(ZeroDivisionError):
        await function(0)
    assert calls.number == 2


@pytest.mark.anyio
async def test_a_caller_that_is_cancelled_leaves_the_others_waiting(cache: LRUCache) -> None:
    go_on = asyncio.Event()

    @cached_result(cache=cache)
    async def function() -> str:
        await go_on.wait()
        return "done"

    first, second = asyncio.create_task(function()), asyncio.create_task(function())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    assert await second == "done"


@pytest.mark.anyio
async def test_a_computation_that_nobody_waits_for_is_cancelled_and_can_be_begun_again(cache: LRUCache) -> None:
    begun, cancelled = 0, []

    @cached_result(cache=cache)
    async def function() -> str:
        nonlocal begun
        begun += 1
        if begun > 1:
            return "done"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return "never"

    caller = asyncio.create_task(function())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await function() == "done"
    assert cancelled == [True]


@pytest.mark.anyio
async def test_a_coroutine_that_calls_itself_with_its_own_arguments_does_not_wait_for_itself(cache: LRUCache) -> None:
    depth = []

    @cached_result(cache=cache)
    async def function(value: int) -> int:
        depth.append(1)
        return await function(value) if len(depth) < 3 else value

    assert await asyncio.wait_for(function(1), 10) == 1


def test_the_wrong_decorator_is_refused_when_it_is_applied() -> None:
    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="cached_result"):
        cached_result_sync(coroutine)
    with pytest.raises(TypeError, match="cached_result_sync"):
        cached_result(lambda: None)


def test_sizes_are_those_of_the_content() -> None:
    box = trimesh.creation.icosphere(subdivisions=5)
    arrays = box.vertices.nbytes + box.faces.nbytes
    for value, expected in [
        (bytes(10**6), 10**6),
        (bytearray(10**6), 10**6),
        (memoryview(bytes(10**6)), 10**6),
        (np.zeros((500, 500)), 2_000_000),
        (torch.zeros(500, 500), 1_000_000),
        ({"mesh": [bytes(10**6)]}, 10**6),
        (Options(1, "x" * 10**6), 10**6),
        ([bytes(1000) for _ in range(10_000)], 10_330_000),
    ]:
        assert size_bytes(value) == pytest.approx(expected, rel=0.02)
    assert arrays <= size_bytes(box) < 20 * arrays
    shared = bytes(10**6)
    assert size_bytes([shared] * 10) == pytest.approx(10**6, rel=0.01)
    assert size_bytes(None) < 100


def test_a_result_is_charged_with_its_size(cache: LRUCache) -> None:
    remembered(cache, Calls(lambda: bytes(2**20)))()
    assert cache.get_stats()["current_memory_mb"] == pytest.approx(1, rel=0.01)
    tiny = LRUCache(max_memory_mb=0.5)
    assert remembered(tiny, Calls(lambda: bytes(2**20)))() == bytes(2**20)
    assert tiny.lookup("anything") is MISSING
    assert len(tiny) == 0
