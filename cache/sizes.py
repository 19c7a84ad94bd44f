"""What a value weighs in memory, near enough to keep a limit; it neither imports numpy, torch or trimesh nor copies."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any

_SAMPLE = 500  # of a large container; the rest is taken to be like it
_DEPTH = 20


def size_bytes(value: object) -> int:
    """Bytes of a value with all that it holds, each part once.

    Exact for bytes, numpy arrays and torch tensors; the arrays of a trimesh object are found among its parts. Large
    containers are measured by a sample.
    """
    return _weigh(value, set(), _DEPTH)


def _weigh(value: object, seen: set[int], depth: int) -> int:
    if id(value) in seen or isinstance(value, type | ModuleType | FunctionType):
        return 0
    seen.add(id(value))
    buffer = _buffer_bytes(value)
    if buffer is not None:
        return buffer
    own = sys.getsizeof(value, 64)
    if depth == 0 or isinstance(value, str | bytes | bytearray | int | float | complex | bool | None):
        return own
    if isinstance(value, Mapping):
        return own + _weigh_all((part for item in value.items() for part in item), 2 * len(value), seen, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return own + _weigh_all(value, len(value), seen, depth)
    return own + sum(_weigh(part, seen, depth - 1) for part in _attributes(value))


def _weigh_all(parts: Iterable[object], number: int, seen: set[int], depth: int) -> int:
    if number <= _SAMPLE:
        return sum(_weigh(part, seen, depth - 1) for part in parts)
    sample = sum(_weigh(part, seen, depth - 1) for part in islice(parts, _SAMPLE))
    return sample * number // _SAMPLE


def _buffer_bytes(value: Any) -> int | None:
    """`nbytes` of arrays, tensors and views; a class that happens to have the name is not taken for one."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int) and (hasattr(value, "dtype") or isinstance(value, memoryview)):
        return nbytes + 128
    return None


def _attributes(value: object) -> list[object]:
    found = list(getattr(value, "__dict__", {}).values())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        found += [getattr(value, name, None) for name in ((slots,) if isinstance(slots, str) else slots)]
    return found
