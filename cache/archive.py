"""The archive: finished values, durable, each written once under its key; a folder, or S3-compatible storage.

A value is there whole or not at all, and on the disk when `put` returns. It evicts nothing and counts no recency;
retention is `trim`, when somebody calls it. Unlike the shared tier it does raise: its callers depend on the write.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from obstore.exceptions import AlreadyExistsError, BaseError

from cache.archive_listing import Item, Usage, item_of, listed, newest, summary
from cache.archive_object import HEAD_BYTES, Corrupt, Head, decode, decode_head, encode
from cache.archive_store import faults_as_ours, free_mb, make_durable, open_store, remove_leftovers
from cache.archive_trim import trim
from cache.errors import ArchiveError
from cache.missing import MISSING, Missing
from cache.values import JSON, Entry, Meta, checked_key

log = logging.getLogger(__name__)


class Archive:
    """Values below one prefix of one store; open it with `Archive.open`."""

    def __init__(self, store: Any, prefix: str, *, url: str, folder: Path | None = None) -> None:
        self.url = url
        self.prefix = prefix
        self._store = store
        self._folder = folder
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, url: str, *, prefix: str = "results", timeout_s: float = 30.0) -> Archive:
        """The archive at a folder's path or `file://` URL, at `s3://bucket/prefix` (keys and endpoint from the usual
        `AWS_*` variables), or at `memory://`, which is new and empty with each call. `timeout_s` bounds one request.

        Raises:
            ArchiveUnavailable: the place cannot be used.
        """
        store, folder = open_store(url, timeout_s)
        return cls(store, prefix, url=url, folder=folder and folder / prefix)

    def get(self, key: str) -> Entry | Missing:
        """The value and its metadata; a damaged object is a miss, and counted.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the store did not answer.
        """
        path = self._path(key)
        try:
            with self._faults(f"read {key}"):
                content = bytes(self._store.get(path).bytes())
            entry = decode(content)
        except FileNotFoundError:
            return self._miss()
        except Corrupt as flaw:
            return self._damaged(key, flaw)
        self._count("hits")
        return entry

    def describe(self, key: str) -> Meta | Missing:
        """The metadata of an object of the right length; its data is not read.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the store did not answer.
        """
        try:
            meta = self._head(key).meta
        except FileNotFoundError:
            return self._miss()
        except Corrupt as flaw:
            return self._damaged(key, flaw)
        self._count("hits")
        return meta

    def sha256(self, key: str) -> str | Missing:
        """SHA-256 of the stored data, 64 hex digits, from the object's header; not counted as a lookup.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the store did not answer.
        """
        try:
            return self._head(key).sha256
        except (FileNotFoundError, Corrupt):
            return MISSING

    def put(self, key: str, data: bytes, meta: Mapping[str, JSON]) -> bool:
        """Write a value that is not there yet; `False` when it is. Durable when this returns.

        Raises:
            InvalidKey, BadEntry: the key or the metadata cannot be stored.
            ArchiveFull, ArchiveUnavailable: the store did not take it; nothing of it is visible.
        """
        path, content = self._path(key), encode(data, meta)
        try:
            self._write(path, content, "create")
        except AlreadyExistsError:
            if self.get(key) is not MISSING:
                return False
            self._write(path, content, "overwrite")  # what is there is damaged: a disk, or a power cut
        return True

    def replace(self, key: str, data: bytes, meta: Mapping[str, JSON]) -> None:
        """Write a value over whatever is there; a reader sees the old one or the new one, whole.

        Raises:
            InvalidKey, BadEntry: the key or the metadata cannot be stored.
            ArchiveFull, ArchiveUnavailable: the store did not take it; the old one is still there.
        """
        self._write(self._path(key), encode(data, meta), "overwrite")

    def delete(self, key: str) -> bool:
        """Delete a value; `False` when there is none.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the store did not do it.
        """
        path = self._path(key)
        try:
            with self._faults(f"delete {key}"):
                self._store.head(path)  # S3 deletes what is not there, and says nothing
                self._store.delete(path)
        except FileNotFoundError:
            return False
        return True

    def entries(self, limit: int = 100, cursor: str = "") -> tuple[list[dict[str, Any]], str]:
        """A page of entries, the latest written first, and the cursor of the next page ("" after the last).

        Each page lists all that there is, since no store lists by time.

        Raises:
            ArchiveUnavailable: the store did not answer.
            ValueError: the cursor is none of ours.
        """
        page, more = newest(self._items(), limit, cursor)
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self._summary, page)), more

    def entry(self, key: str) -> dict[str, Any] | Missing:
        """One entry as `entries` shows it; not counted as a lookup.

        Raises:
            InvalidKey: the key has not the form of one.
            ArchiveUnavailable: the store did not answer.
        """
        try:
            with self._faults(f"look at {key}"):
                return self._summary(item_of(self._store.head(self._path(key))))
        except FileNotFoundError:
            return MISSING

    def trim(
        self,
        *,
        max_age_s: float = math.inf,
        max_bytes: float = math.inf,
        spare: Callable[[Item], bool] = lambda item: False,
    ) -> Usage:
        """Delete what was written longer ago than `max_age_s`, then the oldest until the rest takes no more than
        `max_bytes`; what is to `spare` stays. Answers what is left; it takes as long as listing all there is.

        Raises:
            ArchiveUnavailable: the store did not do it; some may be gone.
        """
        if self._folder is not None:
            remove_leftovers(self._folder)
        return trim(self._items, self.delete, max_age_s=max_age_s, max_bytes=max_bytes, spare=spare)

    def clear(self) -> int:
        """Delete every value, and say how many.

        Raises:
            ArchiveUnavailable: the store did not do it; some may be gone.
        """
        return self.trim(max_age_s=-math.inf).deleted

    def stats(self) -> dict[str, Any]:
        """Counters of this process since its start, at once; `trim` counts what is stored."""
        with self._lock:
            counts = {name: self._counts[name] for name in ("hits", "misses", "writes", "corruptions", "faults")}
        return {"url": self.url, "free_mb": free_mb(self._folder.parent) if self._folder else None, **counts}

    # Helpers

    def _path(self, key: str) -> str:
        return f"{self.prefix}/{checked_key(key)[:2]}/{key}"  # 256 folders: no file system likes one with a million

    def _write(self, path: str, content: bytes, mode: str) -> None:
        with self._faults(f"write {path}"):
            self._store.put(path, content, mode=mode, use_multipart=False)
            if self._folder is not None:
                make_durable(self._folder.parent, path)
        self._count("writes")

    def _head(self, key: str) -> Head:
        path = self._path(key)
        with self._faults(f"read {key}"):
            try:
                found = self._store.get(path, options={"range": (0, HEAD_BYTES)})
            except BaseError as error:
                if self._store.head(path)["size"] == 0:  # no store gives the first bytes of nothing
                    raise Corrupt("it is empty") from error
                raise
            return decode_head(bytes(found.bytes()), found.meta["size"])

    def _items(self) -> Iterator[Item]:
        with self._faults("list what it holds"):
            yield from listed(self._store, self.prefix)

    def _summary(self, item: Item) -> dict[str, Any]:
        try:
            return summary(item, self._head(item.key).meta)
        except (FileNotFoundError, Corrupt):
            return summary(item, {})

    @contextmanager
    def _faults(self, action: str) -> Iterator[None]:
        try:
            with faults_as_ours(action):
                yield
        except ArchiveError:
            self._count("faults")
            raise

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _miss(self) -> Missing:
        self._count("misses")
        return MISSING

    def _damaged(self, key: str, flaw: Corrupt) -> Missing:
        log.error("archive: %s/%s is damaged and counts as missing: %s", self.prefix, key, flaw)
        self._count("corruptions")
        return self._miss()
