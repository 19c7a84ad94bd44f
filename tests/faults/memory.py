"""How much memory each program of a fleet takes while jobs pass through it, and whether it grows with them.

Counted is what a process has for itself (USS, proc_pid_smaps(5)): pages shared after a fork are nobody's growth.
Processes of one kind are added up, since a job leaves its trace in whichever of them it meets.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.e2e.fleet import Fleet

EVERY_S = 0.5
# What allocators keep or give back as they please, and what a job may leave; below both nothing is called growth. A
# Celery parent remembers its last thousand jobs, a kilobyte each.
NOISE_BYTES = 1_500_000
PER_JOB_BYTES = 1_000


@dataclass(frozen=True)
class Sample:
    """After so many jobs, all processes of one kind had so many bytes."""

    jobs: int
    size_bytes: int


@dataclass
class Memory:
    """Samples by kind of process: `generate`, `generate's parent`, `api`, …"""

    fleet: Fleet
    jobs: Callable[[], int]
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        sums: dict[str, int] = defaultdict(int)
        for name, running in self.fleet.running.items():
            kind = name.rstrip("0123456789")
            with contextlib.suppress(psutil.NoSuchProcess):
                sums[f"{kind}'s parent"] += size_bytes(psutil.Process(running.pid))
                sums[kind] += sum(size_bytes(child) for child in running.children())
        for kind, total in sums.items():
            self.samples[kind].append(Sample(self.jobs(), total))

    def growth(self) -> dict[str, Growth]:
        """By kind, once the first quarter has warmed it up."""
        return {kind: Growth.of(samples) for kind, samples in self.samples.items()}


@dataclass(frozen=True)
class Growth:
    """Medians of the second and of the last quarter, since one sample says nothing, and the jobs between the two."""

    before_bytes: int
    after_bytes: int
    jobs: int

    @classmethod
    def of(cls, samples: list[Sample]) -> Growth:
        part = len(samples) // 4
        second, last = samples[part : 2 * part], samples[-part:]
        return cls(
            int(statistics.median(one.size_bytes for one in second)),
            int(statistics.median(one.size_bytes for one in last)),
            last[part // 2].jobs - second[part // 2].jobs,
        )

    @property
    def flat(self) -> bool:
        return self.after_bytes - self.before_bytes <= NOISE_BYTES + PER_JOB_BYTES * self.jobs

    def __str__(self) -> str:
        more = (self.after_bytes - self.before_bytes) / max(1, self.jobs)
        before_mb, after_mb = self.before_bytes / 1e6, self.after_bytes / 1e6
        return f"{before_mb:.1f} MB, {self.jobs} jobs later {after_mb:.1f} MB: {more:+.0f} bytes a job"


def size_bytes(process: psutil.Process) -> int:
    return int(process.memory_full_info().uss)
