"""Which keys expire next, without looking at those that do not: a heap that forgets what was replaced by and by.

It holds no values and decides nothing; a deadline that comes up may belong to an entry that has another one by now.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable
from itertools import count


class Deadlines:
    """Constant work per call on average, as life spans are mostly alike: a late deadline stays at the heap's end."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._numbers = count()  # so that keys, which may not be comparable, are never compared

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, key: Hashable, deadline: float) -> None:
        heapq.heappush(self._heap, (deadline, next(self._numbers), key))

    def due(self, now: float) -> bool:
        """Whether a deadline has passed."""
        return bool(self._heap) and self._heap[0][0] <= now

    def pop(self) -> tuple[Hashable, float]:
        """The key with the earliest deadline, and that deadline."""
        deadline, _, key = heapq.heappop(self._heap)
        return key, deadline

    def keep(self, alive: Iterable[tuple[Hashable, float]]) -> None:
        """Forget all but these."""
        self._heap = [(deadline, next(self._numbers), key) for key, deadline in alive]
        heapq.heapify(self._heap)
