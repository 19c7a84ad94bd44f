"""Timing and printing, shared by the tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Call = Callable[[], object]


def medians_s(calls: Mapping[str, Call], rounds: int) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, so that a busy moment of the machine hits all alike."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            answer = call()
            took[name].append(time.perf_counter() - begun)
            del answer  # freeing is not part of the next one's time
    return {name: statistics.median(times) for name, times in took.items()}


def loop_us(body: Callable[[int], object], times: int, repeats: int = 7) -> float:
    """Microseconds per call in the best of some loops; `body` gets the number of the call."""
    best = float("inf")
    for repeat in range(repeats):
        begun = time.perf_counter()
        for number in range(repeat * times, (repeat + 1) * times):
            body(number)
        best = min(best, time.perf_counter() - begun)
    return 1e6 * best / times


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join("---" for _ in head) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
