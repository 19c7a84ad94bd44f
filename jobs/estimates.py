"""When a job will be done, as far as the time of its like tells; None rather than a guess.

It knows what a work of the same generator and parameters took, how far this one is, and who else waits and works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cache.keys import content_key
from jobs.requests import GenerationRequest

# Before that, how far a work is says little about how long it takes: stages are of unequal length.
_TELLING_PROGRESS = 0.2
_TELLING_ELAPSED_S = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """A queue from one of its works: how many stand before it, workers of the queue and those of them at work, and
    what a work of this queue takes lately; None before the first."""

    ahead: int
    workers: int
    busy: int
    pace_s: float | None


def pace_name(request: GenerationRequest) -> str:
    """Generations of this name take about the same time: same generator, revision and parameters."""
    return content_key({"generator": request.generator, "revision": request.revision, "params": request.params})[:16]


def eta_s(work: Mapping[str, str], now_ms: int, usual_s: float | None, line: Line) -> float | None:
    """Seconds to go until this work is done. `usual_s` is what works of its pace's name take lately.

    Renditions are not estimated: they take a moment, and nothing is known of the file's size beforehand.
    """
    if work.get("kind") != "generation":
        return None
    if work.get("status") == "ending":
        return None
    if work.get("status") == "running":
        elapsed_s = max(0, now_ms - int(work["started_at"])) / 1000
        left = running_left_s(elapsed_s, int(work.get("progress", "0")) / 100, usual_s)
    else:
        wait = wait_s(line)
        left = None if wait is None or usual_s is None else wait + usual_s
    return None if left is None else round(left, 1)


def wait_s(line: Line) -> float | None:
    """Seconds until a worker takes it up: all who must end before share the busy workers."""
    if line.workers == 0:
        return None
    ends_first = line.ahead + 1 - max(0, line.workers - line.busy)
    if ends_first <= 0:
        return 0.0
    return None if line.pace_s is None else ends_first * line.pace_s / line.workers


def running_left_s(elapsed_s: float, progress: float, usual_s: float | None) -> float | None:
    """What is left by experience, by how far it is, or by both: the farther it is, the more that counts.

    `progress` is 0 to 1. What has taken longer than usual already is not done "now": experience tells nothing then.
    """
    by_usual = usual_s - elapsed_s if usual_s is not None and usual_s > elapsed_s else None
    telling = progress >= _TELLING_PROGRESS and elapsed_s >= _TELLING_ELAPSED_S
    by_progress = elapsed_s * (1 - progress) / progress if telling else None
    if by_usual is None or by_progress is None:
        return by_progress if by_usual is None else by_usual
    return (1 - progress) * by_usual + progress * by_progress
