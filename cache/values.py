"""What the tiers hand to each other and to their callers: bytes and a little JSON about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cache.errors import BadEntry, InvalidKey
from cache.keys import canonical_json, is_key

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]
Meta = dict[str, JSON]
Tier = Literal["L1", "L2", "ARCHIVE"]

MAX_META_BYTES = 16 * 1024
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored value: its bytes, and the metadata that was stored with them."""

    data: bytes
    meta: Meta


@dataclass(frozen=True, slots=True)
class Found(Entry):
    """A hit, and the tier that answered."""

    tier: Tier


@dataclass(frozen=True, slots=True)
class Described:
    """Metadata of a value that stayed where it is, and the tier that holds it."""

    meta: Meta
    tier: Tier


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        InvalidKey: it is not 64 lower-case hex digits, so it may become neither a path nor a Redis name.
    """
    if not is_key(key):
        raise InvalidKey(f"key is {key!r:.80}; it must be 64 lower-case hex digits (cache.keys.content_key makes them)")
    return key


def encoded_meta(meta: Mapping[str, JSON]) -> bytes:
    """Canonical JSON of the metadata.

    Raises:
        BadEntry: the metadata is not JSON, or longer than MAX_META_BYTES.
    """
    try:
        text = canonical_json(dict(meta))
    except (TypeError, ValueError) as error:
        raise BadEntry(f"metadata is not JSON: {error}") from error
    if len(text) > MAX_META_BYTES:
        raise BadEntry(f"metadata is {len(text)} bytes of JSON; the limit is {MAX_META_BYTES} (MAX_META_BYTES)")
    return text


def cost_of(meta: Mapping[str, JSON]) -> float:
    """Seconds that making the value took, as remembered in `cost_s`; 0 when nobody noted it."""
    cost = meta.get("cost_s", 0.0)
    return float(cost) if isinstance(cost, int | float) else 0.0
