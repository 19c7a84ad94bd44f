"""Keys and values for the tests of the cache."""

from __future__ import annotations

from cache import content_key


def key(name: object) -> str:
    return content_key({"test": name})


KEYS = [key(number) for number in range(40)]
