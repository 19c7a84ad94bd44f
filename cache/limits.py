"""Checks of limits, one message for all: what was given, what is allowed, and the field's name."""

from __future__ import annotations

import math

from cache.values import MB


def whole_number(name: str, value: int) -> int:
    """`value`, if it is a whole number of at least 1.

    Raises:
        ValueError: it is not; the message names the field.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1 ({name})")
    return value


def positive(name: str, value: float) -> float:
    """`value`, if it is a finite number above 0.

    Raises:
        ValueError: it is not; the message names the field.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name} is {value!r}; it must be a finite number above 0 ({name})")
    return value


def optional_positive(name: str, value: float | None) -> float | None:
    """`None`, or what `positive` allows."""
    return None if value is None else positive(name, value)


def bytes_of_mb(name: str, value: float) -> int:
    """Bytes of a size in MB (1024 × 1024 bytes), which may be 0.

    Raises:
        ValueError: it is negative, infinite or no number; the message names the field.
    """
    if type(value) is float and 0.0 <= value < math.inf:  # what every `set` comes with
        return round(value * MB)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; it must be a finite number of at least 0 ({name})")
    return round(value * MB)
