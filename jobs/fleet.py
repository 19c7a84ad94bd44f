"""Who works: worker processes, the places they sit in, their heartbeats, and the generators they offer.

It knows nothing of what a generator does; a card is what a worker says of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobs.errors import Poison
from jobs.store import JobStore

GENERATOR_WAIT_S = 120.0
CARD_KEPT_S = 86400


@dataclass(frozen=True)
class GeneratorCard:
    """One generator as a worker announces it; `schema` is the JSON schema of its parameters with defaults.

    It is available when `unavailable_because` is None.
    """

    name: str
    title: str
    revision: str
    schema: dict[str, Any]
    needs: tuple[str, ...] = ()
    default: bool = False
    unavailable_because: str | None = None


@dataclass(frozen=True)
class WorkerInfo:
    """One worker process; `slot` is its place in the fleet, which a successor takes over.

    Memory is that of its device in MB of 2²⁰ bytes, whoever uses it; 0 where the device does not tell. `consuming` is
    whether its parent process takes messages from the broker, `threads_gone` names background threads that ended.
    """

    id: str
    slot: str
    host: str
    pid: int
    queue: str
    device: str = "cpu"
    doing: str = ""
    offers: tuple[str, ...] = ()
    memory_used_mb: float = 0.0
    memory_total_mb: float = 0.0
    seen_s_ago: float = 0.0
    beats: str = field(default="", repr=False)
    consuming: bool = True
    threads_gone: tuple[str, ...] = ()

    def alive(self, timeout_s: float) -> bool:
        """Whether its last heartbeat is younger than `timeout_s`."""
        return self.seen_s_ago < timeout_s

    def ready(self, timeout_s: float) -> bool:
        """Whether it would begin a work that is queued now, or after the one that it has."""
        return self.alive(timeout_s) and self.consuming


@dataclass(frozen=True)
class Owned:
    """One claim as the store sees it, and whether nobody waits for it any more."""

    key: str
    token: str
    canceled: bool


class Fleet:
    """The register of workers, kept beside the jobs.

    Every method raises `redis.RedisError` when Redis does not answer.
    """

    def __init__(self, store: JobStore, *, max_attempts: int = 3, generator_wait_s: float = GENERATOR_WAIT_S) -> None:
        self._store = store
        self._redis = store.redis
        self._prefix = store.prefix
        self._wait_ms = int(generator_wait_s * 1000)
        self._verdict = {
            "max_attempts": max_attempts,
            "poison": json.dumps(
                Poison(f"{max_attempts} workers were lost while working on it (MAX_ATTEMPTS)").as_dict()
            ),
        }

    def register(self, worker: WorkerInfo, cards: list[GeneratorCard]) -> None:
        """Takes the worker's place; what the process before it had claimed goes back at once.

        What it can run is announced once it takes messages.
        """
        self._store.run("register", worker=worker.id, slot=worker.slot, fields=_fields(worker), **self._verdict)
        if worker.consuming:
            self.announce(cards, fresh=True)
        self._store.end_left_over()

    def announce(self, cards: list[GeneratorCard], *, fresh: bool = False) -> None:
        """Says what a worker that takes messages can run; to be repeated well within `generator_wait_s`."""
        if cards:
            told = [
                {"name": one.name, "revision": one.revision, "runs": one.unavailable_because is None,
                 "text": json.dumps(asdict(one))}
                for one in cards
            ]  # fmt: skip
            self._store.run("announce", cards=told, fresh=fresh, kept_ms=self._wait_ms)

    def beat(self, worker: WorkerInfo) -> list[Owned] | None:
        """One heartbeat; None when the fleet does not know this worker and it must register again."""
        fields = {
            "doing": worker.doing,
            "consuming": str(int(worker.consuming)),
            "threads_gone": json.dumps(worker.threads_gone),
            "memory_used_mb": f"{worker.memory_used_mb:.0f}",
            "memory_total_mb": f"{worker.memory_total_mb:.0f}",
        }
        answer = self._store.run("beat", worker=worker.id, slot=worker.slot, fields=fields)
        return None if answer == "unknown" else [Owned(key, token, bool(canceled)) for key, token, canceled in answer]

    def leave(self, worker_id: str) -> int:
        """Forgets a worker that says good-bye; answers how many works went back."""
        return self._forget(worker=worker_id)

    def forget(self, worker: WorkerInfo) -> int:
        """Forgets a worker that fell silent, unless it has shown a sign of life since it was read."""
        return self._forget(worker=worker.id, beats=worker.beats)

    def _forget(self, **which: str) -> int:
        taken: int = self._store.run("forget", **which, **self._verdict)
        self._store.end_left_over()
        return taken

    def mend(self, keys: list[str]) -> list[str]:
        """Puts works back whose place was lost; answers their keys."""
        return self._store.run("mend", keys=keys, **self._verdict)

    def workers(self) -> list[WorkerInfo]:
        """Every worker that the fleet has not forgotten, in one round trip after their names."""
        seen = self._redis.zrange(f"{self._prefix}:workers", 0, -1, withscores=True)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        for worker_id, _ in seen:
            pipeline.hgetall(f"{self._prefix}:worker:{worker_id}")
        (seconds, microseconds), *told = pipeline.execute()
        now_ms = seconds * 1000 + microseconds / 1000
        return [
            _worker(worker_id, fields, max(0.0, (now_ms - beat_ms) / 1000))
            for (worker_id, beat_ms), fields in zip(seen, told, strict=True)
            if fields
        ]

    def cards(self) -> dict[str, GeneratorCard]:
        """Every generator that the fleet knows, by name, and the one answer to whether each is available.

        It is while a worker that can run it has offered it within `generator_wait_s`, counted back from the newest
        offer of any: a fleet that is away as a whole, as for an upgrade, still takes orders.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(f"{self._prefix}:cards")
        pipeline.zrange(f"{self._prefix}:offered", 0, -1, withscores=True)
        told, offers = pipeline.execute()
        offered, newest = dict(offers), max((at for _, at in offers), default=0.0)
        cards = [_card(json.loads(text)) for text in told.values()]
        return {
            card.name: replace(card, unavailable_because=self._absence(card, offered, newest))
            for card in cards
        }  # fmt: skip

    def forget_cards(self) -> list[str]:
        """Forgets generators that no worker has announced for `CARD_KEPT_S`; answers their names."""
        return self._store.run("forget_cards", kept_ms=CARD_KEPT_S * 1000)

    def _absence(self, card: GeneratorCard, offered: Mapping[str, float], newest: float) -> str | None:
        silent_ms = newest - offered.get(f"{card.name} {card.revision}", newest)
        if card.unavailable_because is None and silent_ms >= self._wait_ms:
            return f"no worker has offered it for {silent_ms / 1000:.0f} s, though others are there"
        return card.unavailable_because


class Liveness:
    """Tells dead workers from live ones by watching their beats with a clock of its own.

    Nothing here compares clocks of two machines, so a clock that jumps kills nobody.
    """

    def __init__(self, timeout_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked_at: float | None = None

    def dead(self, workers: list[WorkerInfo]) -> list[WorkerInfo]:
        """Those whose beat has not changed for the whole time-out while this object watched."""
        now = self._clock()
        before, self._seen = self._seen, {}
        # Half the time-out at most is taken on trust from the server's clock, when this watch has just begun.
        trust_s = self._timeout_s / 2 if self._looked_at is None else 0.0
        if self._looked_at is not None and now - self._looked_at >= self._timeout_s / 2:
            # Whoever could not look saw no silence. When Redis was away nobody could beat, and the watch must not
            # be the first to come back and bury everybody.
            before = {}
        self._looked_at = now
        for worker in workers:
            trusted = min(worker.seen_s_ago, trust_s)
            beats, since = before.get(worker.id, (worker.beats, now - trusted))
            self._seen[worker.id] = (beats, since) if beats == worker.beats else (worker.beats, now)
        return [worker for worker in workers if now - self._seen[worker.id][1] >= self._timeout_s]


def _fields(worker: WorkerInfo) -> dict[str, str]:
    return {
        "slot": worker.slot, "host": worker.host, "pid": str(worker.pid), "queue": worker.queue,
        "device": worker.device, "doing": worker.doing, "offers": json.dumps(worker.offers), "beats": "0",
        "consuming": str(int(worker.consuming)),
    }  # fmt: skip


def _worker(worker_id: str, fields: Mapping[str, str], seen_s_ago: float) -> WorkerInfo:
    known = {name: fields.get(name, "") for name in ("slot", "host", "queue", "device", "doing", "beats")}
    offers = tuple(json.loads(fields.get("offers", "[]")))
    return WorkerInfo(
        id=worker_id, pid=int(fields.get("pid", 0)), offers=offers, seen_s_ago=seen_s_ago,
        memory_used_mb=float(fields.get("memory_used_mb", 0)), memory_total_mb=float(fields.get("memory_total_mb", 0)),
        consuming=fields.get("consuming") != "0", threads_gone=tuple(json.loads(fields.get("threads_gone") or "[]")),
        **known,
    )  # fmt: skip


def _card(document: dict[str, Any]) -> GeneratorCard:
    return GeneratorCard(**(document | {"needs": tuple(document["needs"])}))
