"""A key for one call of one function, such that two calls share it only if they cannot differ in their result.

Every value is written down with its type and its length, so that `1`, `"1"`, `True` and `1.0` are four values, and
`("ab", "c")` is not `("a", "bc")`. Arrays, tensors and bytes count by content. What is not known here counts by its
pickle. It never falls back on `repr`, which may show an address or half of the truth.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import inspect
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

_decorations = count(1)


class NoKey(Exception):
    """An argument has no content that could be compared."""


class CallKeys:
    """Makes the keys of one decorated function; defaults are filled in and keywords take their places.

    The function counts as itself, not as its name: closures made by one `def` have one name and different results.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = inspect.signature(function)
        self._identity = f"{function.__module__}.{function.__qualname__}#{next(_decorations)}"

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """64 hex digits.

        Raises:
            NoKey: an argument cannot be compared by content.
            TypeError: the arguments do not fit the function.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return hashlib.sha256(_digest((self._identity, dict(bound.arguments)))).hexdigest()


def _digest(value: Any) -> bytes:
    """SHA-256 of type, length and content."""
    kind = type(value)
    try:
        content = _content(value)
    except RecursionError as error:
        raise NoKey(f"a {kind.__qualname__} holds itself, or is nested too deeply") from error
    name = f"{kind.__module__}.{kind.__qualname__}".encode()
    state = hashlib.sha256(struct.pack("<QQ", len(name), len(content)))
    state.update(name)
    state.update(content)
    return state.digest()


# By exact type: a subclass may carry more than its base shows.
_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"",
    bool: lambda value: b"%d" % value,
    int: lambda value: b"%x" % value,
    float: lambda value: struct.pack("<d", value),
    complex: lambda value: struct.pack("<dd", value.real, value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
    bytearray: bytes,
    tuple: lambda value: b"".join(map(_digest, value)),
    list: lambda value: b"".join(map(_digest, value)),
    dict: lambda value: b"".join(sorted(_digest(name) + _digest(item) for name, item in value.items())),
    set: lambda value: b"".join(sorted(map(_digest, value))),
    frozenset: lambda value: b"".join(sorted(map(_digest, value))),
}


def _content(value: Any) -> bytes:
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value)
    if isinstance(value, enum.Enum):
        return _digest((value.name, value.value))
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _digest(fields | getattr(value, "__dict__", {}))
    if hasattr(value, "untyped_storage") and "torch" in sys.modules:
        return _tensor_content(value)
    if hasattr(value, "__array_interface__") and not value.dtype.hasobject:
        content: bytes = value.tobytes()
        return f"{value.dtype.descr} {value.shape} ".encode() + content
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise NoKey(f"a {type(value).__qualname__} cannot be compared by content: {error}") from error


def _tensor_content(tensor: Any) -> bytes:
    """numpy lacks some of torch's types, so the elements are read as bytes."""
    plain = tensor.detach().resolve_conj().cpu().contiguous()
    raw = plain.reshape(-1).view(sys.modules["torch"].uint8).numpy()
    return f"{tensor.dtype} {tuple(tensor.shape)} ".encode() + bytes(raw.tobytes())
