"""The three tiers as one cache: local, then shared, then archive; what is found below is copied up on the way back.

A value that a caller depends on is in the archive before `store` returns; the other two only make it fast, so what
goes wrong there is a miss. It does not decide what a key is, and nothing here is ever updated: same key, same bytes.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from cache.archive import Archive
from cache.errors import ArchiveError
from cache.lru import LRUCache
from cache.making import found_or_made
from cache.missing import MISSING, Missing
from cache.redis import RedisCache
from cache.singleflight import SingleFlight
from cache.sources import Sources, is_archived
from cache.trace import TraceLog
from cache.values import JSON, MB, Described, Entry, Found, Meta, Tier, checked_key, cost_of, encoded_meta

T = TypeVar("T")
log = logging.getLogger(__name__)
ENTRY_OVERHEAD_BYTES = 1024  # of an entry in the local tier beside its bytes: key, record, dictionaries


class TieredCache:
    """Any of the tiers may be `None`. With `enabled` false nothing is answered from any tier, and only the archive
    is written. A `trace` notes every lookup and store."""

    def __init__(
        self,
        local: LRUCache | None,
        shared: RedisCache | None,
        archive: Archive | None,
        *,
        enabled: bool = True,
        trace: TraceLog | None = None,
    ) -> None:
        self.local = local
        self.shared = shared
        self.archive = archive
        self._enabled = enabled
        self._trace = trace
        self._flights: SingleFlight[Found | Missing] = SingleFlight()
        self._reads: SingleFlight[Entry | Missing] = SingleFlight()  # of the archive, whatever a hit would save
        self._makers: SingleFlight[Entry] = SingleFlight()
        self._lock = threading.Lock()
        self._invalidations = 0  # of the local tier; a copy begun before one is not put into it after
        self._counts: Counter[str] = Counter()
        self._sources = Sources(self)
        self.in_touch: Callable[[], bool] = lambda: True  # whether the changes of other processes are being followed

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = enabled
        if not enabled:
            self.clear_local()

    def lookup(self, key: str, *, saves_work: bool = True) -> Found | Missing:
        """The value from the nearest tier that has it; callers that ask for one key at a time share one search.

        A hit counts its cost as saved unless `saves_work` is false.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        checked_key(key)
        if not self._enabled:
            return MISSING
        entry = self._from_local(key)
        if entry is not MISSING:
            found: Found | Missing = self._hit("L1", entry, saves_work)
        else:
            flight = (key, saves_work, self._invalidations)  # nobody joins a search begun before a change
            found = self._flights.run(flight, lambda: self._below(key, saves_work))
        if found is not MISSING and self._sources.outdated(found.meta):
            found = MISSING
        if saves_work:
            self._note("lookup", key, found)
        return found

    def fetch(self, key: str) -> Found | Missing:
        """A value that somebody was promised, such as a finished download: with the tiers disabled, from the archive.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        if self._enabled:
            return self.lookup(key, saves_work=False)
        entry = self._from_archive(lambda archive: archive.get(checked_key(key)))
        if entry is MISSING or self._sources.outdated(entry.meta):
            return MISSING
        return Found(entry.data, entry.meta, "ARCHIVE")

    def describe(self, key: str, *, saves_work: bool = True) -> Described | Missing:
        """The metadata of a value that is there, from the nearest tier; no value moves.

        Raises:
            InvalidKey: the key has not the form of one.
        """
        described = self._describe(checked_key(key), saves_work) if self._enabled else MISSING
        if described is not MISSING and self._sources.outdated(described.meta):
            described = MISSING
        if saves_work and self._enabled:
            self._note("lookup", key, described)
        return described

    def _describe(self, key: str, saves_work: bool) -> Described | Missing:
        entry = self._from_local(key)
        if entry is not MISSING:
            return Described(self._hit("L1", entry, saves_work).meta, "L1")
        meta = self.shared.describe(key, saves_work=saves_work) if self.shared is not None else MISSING
        if meta is not MISSING:
            return Described(meta, "L2")
        meta = self._from_archive(lambda archive: archive.describe(key))
        if meta is MISSING:
            return MISSING
        self._count_saved("ARCHIVE", meta, saves_work)
        return Described(meta, "ARCHIVE")

    def store(
        self,
        key: str,
        data: bytes,
        meta: Mapping[str, JSON],
        *,
        cost_s: float = 0.0,
        replace: bool = False,
    ) -> None:
        """Write the archive, then the shared and the local tier. `cost_s`, what making it took, goes into the metadata.

        A key that is archived already keeps its bytes, unless they are to be replaced or were made of a value that has
        been replaced. After a replacement every process forgets the old bytes; one that cannot be told because Redis
        does not answer is told as soon as it does.

        Raises:
            InvalidKey, BadEntry: the key or the metadata cannot be stored.
            ArchiveFull, ArchiveUnavailable: the archive did not take it, and no other tier has it.
        """
        meta = {**meta, "cost_s": round(cost_s, 3)} if cost_s else dict(meta)
        self._note("store", key, Entry(data, meta))
        if self.archive is not None:
            replace = replace or self._made_of_another(key, meta)
            if replace:
                self.archive.replace(key, data, meta)
            else:
                self.archive.put(key, data, meta)
        if replace:
            self.forget_local(key)
        stored = self._enabled and self.shared is not None and self.shared.store(key, data, meta, replaces=replace)
        if replace and not stored and self.shared is not None:
            self.shared.invalidate(key)
        if self._enabled:
            self._keep_local(key, Entry(data, meta), self._invalidations)

    def get_or_make(self, key: str, make: Callable[[], tuple[bytes, Meta]]) -> Entry:
        """The value, made and stored when no tier has it; one maker per key in the whole fleet.

        Callers of one process share its exception too. When a maker dies another takes over within two seconds.

        Raises:
            InvalidKey, BadEntry, ArchiveFull, ArchiveUnavailable: as `store`.
        """
        return self._makers.run(key, lambda: found_or_made(self, key, make))

    def delete(self, key: str) -> bool:
        """Forget a value in every tier here and in the local tiers of all processes; `False` when none had it.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the archive did not do it; the other tiers still have it.
            SharedUnavailable: Redis failed or refused; only the archive and this process have forgotten it.
        """
        checked_key(key)
        archived = self.archive.delete(key) if self.archive is not None else False
        try:
            shared = self.shared.delete_or_fail(key) if self.shared is not None else False
        finally:
            local = self.forget_local(key)
        return local or shared or archived

    def forget_local(self, key: str) -> bool:
        """Forget one value in the local tier alone, also one that is just being copied into it."""
        with self._lock:
            self._invalidations += 1
            return self.local.delete(key) if self.local is not None else False

    def clear_local(self) -> None:
        """Empty the local tier alone, also of what is just being copied into it."""
        with self._lock:
            self._invalidations += 1
            if self.local is not None:
                self.local.clear()

    def counts(self) -> dict[str, int]:
        """What no tier counts itself, since this process started; `saved_ms` by hits in the local tier and archive."""
        with self._lock:
            return {name: self._counts[name] for name in ("archive_hits", "archive_faults", "saved_ms")}

    def _made_of_another(self, key: str, meta: Meta) -> bool:
        """Whether what is archived under the key was made of other bytes than the value with this metadata."""
        if "made_of" not in meta:
            return False
        archived = self._from_archive(lambda archive: archive.describe(key))
        return archived is not MISSING and archived.get("made_of") != meta["made_of"]

    def _from_local(self, key: str) -> Entry | Missing:
        """The local tier's answer. While nobody tells what other processes replace, the archive has to confirm it."""
        entry = self.local.lookup(key) if self.local is not None else MISSING
        if entry is not MISSING and not self.in_touch() and not is_archived(self, key, entry):
            self.forget_local(key)
            return MISSING
        return entry

    def _below(self, key: str, saves_work: bool) -> Found | Missing:
        begun = self._invalidations
        if self.local is not None and self.local.peek(key) is not MISSING:  # another flight has landed since the look
            entry = self._from_local(key)
            if entry is not MISSING:
                return self._hit("L1", entry, saves_work)
        entry = self.shared.lookup(key, saves_work=saves_work) if self.shared is not None else MISSING
        if entry is not MISSING:
            self._keep_local(key, entry, begun)
            return Found(entry.data, entry.meta, "L2")
        version = self.shared.version if self.shared is not None else 0
        entry = self._reads.run((key, begun), lambda: self._copied_up(key, begun, version))
        return MISSING if entry is MISSING else self._hit("ARCHIVE", entry, saves_work)

    def _copied_up(self, key: str, begun: int, version: int) -> Entry | Missing:
        """The archive's answer, also kept in the tiers above."""
        entry = self._from_archive(lambda archive: archive.get(key))
        if entry is not MISSING:
            if self.shared is not None:
                self.shared.store(key, entry.data, entry.meta, unless_changed_since=version)
            self._keep_local(key, entry, begun)
        return entry

    def _from_archive(self, ask: Callable[[Archive], T | Missing]) -> T | Missing:
        """The archive's answer; one that cannot be read is a miss: the value can be made again."""
        if self.archive is None:
            return MISSING
        try:
            return ask(self.archive)
        except ArchiveError as error:
            log.warning("archive: done without: %s", error)
            with self._lock:
                self._counts["archive_faults"] += 1
            return MISSING

    def was_stored(self, key: str) -> bool:
        """Whether the shared tier or the archive has it; not counted as a lookup."""
        if not self._enabled:
            return False
        return (self.shared is not None and self.shared.entry(key) is not MISSING) or bool(
            self._from_archive(lambda archive: archive.entry(key))
        )

    def _note(self, kind: Literal["lookup", "store"], key: str, what: Entry | Described | Missing) -> None:
        if self._trace is not None:
            size_bytes = len(what.data) if isinstance(what, Entry) else None
            self._trace.note(kind, key, size_bytes, 0.0 if what is MISSING else cost_of(what.meta))

    def _keep_local(self, key: str, entry: Entry, begun: int) -> None:
        if self.local is None:
            return
        size_bytes = len(entry.data) + len(encoded_meta(entry.meta)) + ENTRY_OVERHEAD_BYTES
        with self._lock:
            if begun == self._invalidations and self._enabled:
                self.local.set(key, Entry(entry.data, entry.meta), size_bytes / MB)

    def _hit(self, tier: Tier, entry: Entry, saves_work: bool) -> Found:
        self._count_saved(tier, entry.meta, saves_work)
        return Found(entry.data, entry.meta, tier)

    def _count_saved(self, tier: Tier, meta: Meta, saves_work: bool) -> None:
        with self._lock:
            self._counts["archive_hits"] += tier == "ARCHIVE"
            self._counts["saved_ms"] += round(1000 * cost_of(meta)) if saves_work else 0
