"""Wall clocks that a test can push while their processes run: libfaketime, preloaded, reads them from a file."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

import pytest

SEEN_S = 1.0  # a process reads the file again after as long


class Clock:
    """The wall clock of the processes that get its environment; their timers, which are monotonic, do not notice."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": f"{SEEN_S:g}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, by_s: int) -> None:
        """From now on it is as many seconds ahead of the true time, or behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by_s:+d}\n")
        new.rename(self._file)


def _library() -> Path:
    """What the `libfaketime` package brings, built for Linux on x86-64; another machine skips, but never CI."""
    found = importlib.util.find_spec("libfaketime")
    here = (platform.system(), platform.machine())
    if found is not None and found.origin is not None and here == ("Linux", "x86_64"):
        return Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    reason = "no libfaketime for this machine: pip install libfaketime, on Linux on x86-64"
    if os.environ.get("CI"):
        raise RuntimeError(reason)
    pytest.skip(reason)
