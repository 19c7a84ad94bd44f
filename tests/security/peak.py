"""How much memory this process took at most since a moment of one's choosing."""

from __future__ import annotations

import re
import resource
from contextlib import suppress
from pathlib import Path

_OURS = Path("/proc/self")


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
