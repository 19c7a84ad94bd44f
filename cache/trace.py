"""An opt-in log of lookups: what was asked for, how large it is and what it cost, for replaying it through policies.

One line of JSON per lookup or store, appended by any number of processes. It stops at `max_mb`; nobody waits for it,
and what cannot be written is dropped.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.values import MB

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One lookup as it is replayed: the value's bytes and the seconds that making it takes."""

    key: str
    size_bytes: int
    cost_s: float


class TraceLog:
    """Give it to `TieredCache(trace=...)`."""

    def __init__(self, path: Path | str, *, max_mb: float = 256.0) -> None:
        self._path = Path(path)
        self._max_bytes = round(max_mb * MB)
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._closed = False

    def note(self, kind: Literal["lookup", "store"], key: str, size_bytes: int | None, cost_s: float) -> None:
        """Append one line; sizes that are not known at a lookup are known from another line of the key."""
        line = {"at": round(time.time(), 3), "kind": kind, "key": key, "size_bytes": size_bytes, "cost_s": cost_s}
        with self._lock:
            if self._closed:
                return
            try:
                self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            except OSError as error:
                log.warning("trace: given up: %s", error)
                self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _write(self, line: bytes) -> None:
        if self._handle is None:
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self._handle).st_size + len(line) > self._max_bytes:
            log.warning("trace: %s is full", self._path)
            self._close()
            return
        os.write(self._handle, line)  # one write of one line: lines of several processes do not mix

    def _close(self) -> None:
        self._closed = True
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_trace(path: Path | str) -> Iterator[Request]:
    """The lookups of a trace in order; those whose size no line tells (a miss that was never stored) are left out.

    Raises:
        ValueError: a line is not of a trace.
        OSError: the file cannot be read.
    """
    with Path(path).open(encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    sizes: dict[str, int] = {}
    costs: dict[str, float] = {}
    for line in read:
        if line["size_bytes"] is not None:
            sizes[line["key"]] = line["size_bytes"]
        costs[line["key"]] = max(costs.get(line["key"], 0.0), line["cost_s"])
    for line in read:
        if line["kind"] == "lookup" and line["key"] in sizes:
            yield Request(line["key"], sizes[line["key"]], costs[line["key"]])
