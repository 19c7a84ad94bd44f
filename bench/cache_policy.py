"""Which eviction policy saves how much: `python -m bench.cache_policy [trace …]` prints a table per workload.

Replays lookups through LRU, GDSF (both as the shared tier has them) and two that know the future: one evicts what is
used latest, which is optimal for equal sizes; the other also weighs seconds against bytes, as GDSF does unknowing.
Without a trace it replays generated workloads.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bench.cache.tables import print_table
from cache.trace import Request, read_trace
from cache.values import MB

NEVER = math.inf


@dataclass
class Result:
    """Shares from 0 to 1: of lookups answered, of bytes answered, of seconds that hits saved."""

    hits: float
    bytes: float
    seconds: float


class Policy:
    """Entries within a limit of bytes; a subclass says what an entry is worth, and the least worth leaves first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes, self.floor = max_bytes, 0, 0.0
        self.entries: dict[str, tuple[Request, int, float]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._ticks = 0

    def worth(self, request: Request, uses: int, next_use: float) -> float:
        raise NotImplementedError

    def lookup(self, request: Request, next_use: float) -> bool:
        """Whether it was there; it is afterwards, if it fits at all."""
        known = self.entries.get(request.key)
        uses = known[1] + 1 if known else 1
        if known is None:
            if request.size_bytes > self.max_bytes:
                return False
            while self.bytes + request.size_bytes > self.max_bytes:
                self._evict()
            self.bytes += request.size_bytes
        self._ticks += 1
        worth = self.worth(request, uses, next_use)
        self.entries[request.key] = (request, uses, worth)
        heapq.heappush(self._heap, (worth, self._ticks, request.key))
        return known is not None

    def _evict(self) -> None:
        while True:
            worth, _, key = heapq.heappop(self._heap)
            entry = self.entries.get(key)
            if entry is not None and entry[2] == worth:  # else a record of before its last use
                del self.entries[key]
                self.bytes -= entry[0].size_bytes
                self.floor = worth
                return


class LRU(Policy):
    """Worth as much as it was used late."""

    def worth(self, request: Request, uses: int, next_use: float) -> float:
        return self._ticks


class GDSF(Policy):
    """Uses × milliseconds ÷ bytes, above what the last evicted was worth; see `score` in cache/scripts/common.lua."""

    def worth(self, request: Request, uses: int, next_use: float) -> float:
        return self.floor + uses * max(1000 * request.cost_s, 1) / request.size_bytes


class Clairvoyant(Policy):
    """Worth as much as it will be used soon (Belady 1966)."""

    def worth(self, request: Request, uses: int, next_use: float) -> float:
        return -next_use


class ClairvoyantCost(Policy):
    """Seconds ÷ (bytes × lookups until it is used again)."""

    def worth(self, request: Request, uses: int, next_use: float) -> float:
        return request.cost_s / (request.size_bytes * (next_use - self._ticks + 1))


POLICIES: dict[str, Callable[[int], Policy]] = {
    "LRU": LRU, "GDSF": GDSF, "clairvoyant": Clairvoyant, "clairvoyant, cost": ClairvoyantCost,
}  # fmt: skip


def next_uses(requests: Sequence[Request]) -> list[float]:
    """For each lookup the position of the next one of its key."""
    following, found = {}, [NEVER] * len(requests)
    for position in range(len(requests) - 1, -1, -1):
        found[position] = following.get(requests[position].key, NEVER)
        following[requests[position].key] = position
    return found


def replay(requests: Sequence[Request], policy: Policy) -> Result:
    hits = hit_bytes = 0
    saved = 0.0
    for request, next_use in zip(requests, next_uses(requests), strict=True):
        if policy.lookup(request, next_use):
            hits += 1
            hit_bytes += request.size_bytes
            saved += request.cost_s
    total_bytes = sum(request.size_bytes for request in requests)
    total_s = sum(request.cost_s for request in requests)
    return Result(hits / len(requests), hit_bytes / total_bytes, saved / total_s if total_s else 0.0)


@dataclass(frozen=True)
class Workload:
    """Pictures asked for by Zipf's law; with each 1 000 lookups a share of them gives way to new ones.

    Sizes and seconds are log-normal about their medians and independent of each other.
    """

    pictures: int = 2_000
    zipf: float = 1.0
    replaced: float = 0.01
    lookups: int = 40_000
    median_mb: float = 1.5
    median_s: float = 30.0
    spread: float = 1.0

    def requests(self, seed: int = 0) -> Iterator[Request]:
        dice = random.Random(seed)
        names = [f"{rank}" for rank in range(self.pictures)]
        weights = list(accumulate((rank + 1) ** -self.zipf for rank in range(self.pictures)))
        made: dict[str, Request] = {}
        for number in range(self.lookups):
            if number and number % 1000 == 0:
                for rank in dice.sample(range(self.pictures), round(self.replaced * self.pictures)):
                    names[rank] = f"{rank} since {number}"
            name = dice.choices(names, cum_weights=weights)[0]
            if name not in made:
                size = round(self.median_mb * MB * math.exp(dice.gauss(0, self.spread)))
                made[name] = Request(name, size, self.median_s * math.exp(dice.gauss(0, self.spread)))
            yield made[name]


TYPICAL = Workload()
WORKLOADS = {
    "typical: 2 000 pictures, Zipf 1.0, 1 % new per 1 000 lookups": TYPICAL,
    "wide: 20 000 pictures, Zipf 0.8, no drift": Workload(pictures=20_000, zipf=0.8, replaced=0),
    "drift: 2 000 pictures, Zipf 1.0, 10 % new per 1 000 lookups": Workload(replaced=0.1),
    "one generator: seconds and bytes vary little": Workload(spread=0.3),
}


def table(title: str, requests: Sequence[Request], sizes_mb: Sequence[int]) -> None:
    rows = []
    for size_mb in sizes_mb:
        for name, make in POLICIES.items():
            result = replay(requests, make(size_mb * MB))
            shares = [f"{100 * share:.1f} %" for share in (result.hits, result.bytes, result.seconds)]
            rows.append([f"{size_mb} MB", name, *shares])
    distinct = {request.key: request.size_bytes for request in requests}
    what = f"{len(requests):,} lookups, {len(distinct):,} values, {sum(distinct.values()) / MB:,.0f} MB"
    print_table(f"{title} ({what})", ["cache", "policy", "hits", "bytes", "GPU seconds saved"], rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("traces", nargs="*", help="folders written by cache.trace.TraceLog, or files of them")
    arguments.add_argument("--mb", nargs="+", type=int, default=[256, 1024], help="sizes of the cache")
    given = arguments.parse_args()
    for path in given.traces:
        table(path, list(read_trace(path)), given.mb)
    if not given.traces:
        for title, workload in WORKLOADS.items():
            table(title, list(workload.requests()), given.mb)


if __name__ == "__main__":
    main()
