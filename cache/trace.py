"""An opt-in log of lookups: what was asked for, how large it is and what it cost, for replaying it through policies.

A folder with one file per hour, one line of JSON per lookup or store, appended by any number of processes. The oldest
hours go when they are too old or all are too large. Nobody waits for it, and what cannot be written is dropped.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.limits import positive
from cache.values import MB

log = logging.getLogger(__name__)

_PART_SHARE = 0.25  # of the limit, for one hour; older hours share what is left


@dataclass(frozen=True, slots=True)
class Request:
    """One lookup as it is replayed: the value's bytes and the seconds that making it takes."""

    key: str
    size_bytes: int
    cost_s: float


class TraceLog:
    """Give it to `TieredCache(trace=...)`. `max_mb` bounds the whole folder, `retention_s` the age of its files.

    Raises:
        ValueError: a limit is not above 0.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        max_mb: float = 256.0,
        retention_s: float = 30 * 86400,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = Path(folder)
        self._max_bytes = round(positive("max_mb", max_mb) * MB)
        self._retention_s = positive("retention_s", retention_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._hour = ""
        self._handle: int | None = None

    def note(self, kind: Literal["lookup", "store"], key: str, size_bytes: int | None, cost_s: float) -> None:
        """Append one line; sizes that are not known at a lookup are known from another line of the key."""
        at = self._clock()
        line = {"at": round(at, 3), "kind": kind, "key": key, "size_bytes": size_bytes, "cost_s": cost_s}
        with self._lock:
            try:
                self._begin(time.strftime("%Y-%m-%dT%H", time.gmtime(at)))
                self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            except OSError as error:
                log.warning("trace: nothing more is written this hour: %s", error)
                self._end()

    def close(self) -> None:
        """Close the file; a note after it opens it again."""
        with self._lock:
            self._end()
            self._hour = ""

    def _begin(self, hour: str) -> None:
        """At the first line of an hour: make room, open its file."""
        if hour == self._hour:
            return
        self._end()
        self._hour = hour
        self._folder.mkdir(parents=True, exist_ok=True)
        self._trim()
        self._handle = os.open(self._folder / f"{hour}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _trim(self) -> None:
        left = (1 - _PART_SHARE) * self._max_bytes
        for part in reversed(parts(self._folder)):
            told = part.stat()
            left -= told.st_size
            if left < 0 or told.st_mtime < self._clock() - self._retention_s:
                part.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        if self._handle is None:
            return
        if os.fstat(self._handle).st_size + len(line) > _PART_SHARE * self._max_bytes:
            log.warning("trace: %s is full for this hour", self._folder)
            self._end()
            return
        os.write(self._handle, line)  # one write of one line: lines of several processes do not mix

    def _end(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def parts(folder: Path) -> list[Path]:
    """The files of a trace, the oldest first."""
    return sorted(folder.glob("*.jsonl"))


def read_trace(path: Path | str) -> Iterator[Request]:
    """The lookups of a folder (or of one of its files) in order; those whose size no line tells (a miss that was never
    stored) are left out.

    Raises:
        ValueError: a line is not of a trace.
        OSError: the file cannot be read.
    """
    files = parts(Path(path)) if Path(path).is_dir() else [Path(path)]
    read = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    sizes: dict[str, int] = {}
    costs: dict[str, float] = {}
    for line in read:
        if line["size_bytes"] is not None:
            sizes[line["key"]] = line["size_bytes"]
        costs[line["key"]] = max(costs.get(line["key"], 0.0), line["cost_s"])
    for line in read:
        if line["kind"] == "lookup" and line["key"] in sizes:
            yield Request(line["key"], sizes[line["key"]], costs[line["key"]])
