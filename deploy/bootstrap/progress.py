"""Tells a waiting person on stderr what is being set up and for how long; stdout is for the command that follows."""

from __future__ import annotations

import shutil
import sys
import time


class Progress:
    """One line that is rewritten on a terminal; elsewhere whole lines, a detail at most every `REPEAT_S` seconds."""

    REPEAT_S = 15

    def __init__(self) -> None:
        self._started_s = self._written_s = time.monotonic()
        self._stage = ""

    def stage(self, text: str) -> None:
        self._stage = text
        self._write(text, end="\n")

    def detail(self, text: str) -> None:
        if sys.stderr.isatty():
            self._write(f"{self._stage}: {text}", end="\r")
        elif time.monotonic() - self._written_s > self.REPEAT_S:
            self._write(f"{self._stage}: {text}", end="\n")

    def _write(self, text: str, end: str) -> None:
        self._written_s = time.monotonic()
        line = f"orfeas [{self._written_s - self._started_s:3.0f} s] {text}"
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            line = line[:width].ljust(width)
        print(line, end=end, file=sys.stderr, flush=True)
