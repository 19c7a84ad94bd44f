"""Whether a value that was made of another one still belongs to it.

The metadata of such a value say so: `{"made_of": {"key": …, "sha256": …}}` name the other value, as it was. When that
one has been replaced since by different bytes, what was made of it is outdated, and no tier may answer with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from cache.errors import ArchiveError
from cache.lru import LRUCache
from cache.missing import MISSING
from cache.values import Entry, Meta

if TYPE_CHECKING:
    from cache.tiered import TieredCache

_REMEMBERED = 10_000


class Sources:
    """Looks at the values that others were made of, once per version of the shared state for each."""

    def __init__(self, tiers: TieredCache) -> None:
        self._tiers = tiers
        self._known = LRUCache(_REMEMBERED)

    def outdated(self, meta: Meta) -> bool:
        """Whether the value with this metadata was made of bytes that have been replaced; not when nobody knows."""
        source = meta.get("made_of")
        if not isinstance(source, dict):
            return False
        present = self._sha256(str(source.get("key")))
        return present is not None and present != source.get("sha256")

    def _sha256(self, key: str) -> str | None:
        """SHA-256 of the bytes that are under the key now; `None` when no tier has any."""
        shared = self._tiers.shared
        version = shared.version if shared is not None and self._tiers.in_touch() else 0
        known = self._known.lookup(key)
        if version and known is not MISSING and known[0] == version:
            return known[1]  # type: ignore[no-any-return]
        present = self._look(key)
        self._known.set(key, (version, present))
        return present

    def _look(self, key: str) -> str | None:
        for look in self._looks():
            present = look(key)
            if isinstance(present, str):
                return present
        return None

    def _looks(self) -> list[Callable[[str], object]]:
        """From the nearest tier to the farthest; the archive knows it of every value."""
        tiers = self._tiers
        looks: list[Callable[[str], object]] = []
        if tiers.local is not None and tiers.in_touch():
            looks.append(lambda key: _noted(tiers.local.peek(key)))  # type: ignore[union-attr]
        if tiers.shared is not None and tiers.enabled:
            looks.append(lambda key: _noted(tiers.shared.entry(key)))  # type: ignore[union-attr]
        if tiers.archive is not None:
            looks.append(lambda key: archived_sha256(tiers, key))
        return looks


def archived_sha256(tiers: TieredCache, key: str) -> str | None:
    """SHA-256 of the archived bytes; `None` without any, or when the archive does not answer."""
    try:
        found = tiers.archive.sha256(key) if tiers.archive is not None else MISSING
    except ArchiveError:
        return None
    return None if found is MISSING else found


def is_archived(tiers: TieredCache, key: str, entry: Entry) -> bool:
    """Whether the archive holds these very bytes; also when it cannot be asked: something is better than nothing."""
    if tiers.archive is None:
        return True
    try:
        found = tiers.archive.sha256(key)
    except ArchiveError:
        return True
    return found == hashlib.sha256(entry.data).hexdigest()


def _noted(found: object) -> object:
    """The checksum in the metadata of an entry, if whoever stored it noted one."""
    meta = found.meta if isinstance(found, Entry) else found.get("meta", {}) if isinstance(found, dict) else {}
    return meta.get("sha256")
