"""How much memory this process took at most since a moment of one's choosing, and bounds on that and on its time."""

from __future__ import annotations

import re
import resource
import time
from contextlib import suppress
from pathlib import Path

_OURS = Path("/proc/self")
SOON_S = 1.0  # the parsers' own limits come after a tenth of it on an idle machine
MUCH_MEMORY_MB = 64.0


def forget_peak() -> None:
    """Where the kernel can (Linux, proc_pid_clear_refs(5)), the peak begins anew; elsewhere it is that of all time."""
    with suppress(OSError):
        (_OURS / "clear_refs").write_text("5")


def peak_mb() -> float:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", (_OURS / "status").read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class bounded:  # noqa: N801  # reads as a keyword
    """Fails when the block takes more of the processor than `s`, or over `mb` more memory than there was before."""

    def __init__(self, s: float = SOON_S, mb: float = MUCH_MEMORY_MB) -> None:
        self._s = s
        self._mb = mb

    def __enter__(self) -> None:
        forget_peak()
        self._began, self._before_mb = time.process_time(), peak_mb()

    def __exit__(self, *_: object) -> None:
        took_s, grown_mb = time.process_time() - self._began, peak_mb() - self._before_mb
        assert took_s < self._s, f"{took_s:.2f} s of processor"
        assert grown_mb < self._mb, f"{grown_mb:.0f} MB"
