"""How values travel to and from the shared tier: in windows just under 1 MiB, so that the server is never held long.

A value is written under a name of its own that expires, and becomes visible in one step when it is whole. Policy,
limits and counting are the scripts' business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.exceptions import TimeoutError as RedisTimeout

from cache.codec import Corrupt, checksum, pack, unpack
from cache.missing import MISSING, Missing
from cache.record import Record
from cache.redis_health import Health
from cache.redis_link import Command, RedisLink
from cache.redis_rebuild import rebuild
from cache.redis_stream import STAGE_TTL_S, Interrupted, open_stage, parts_of, receive, send
from cache.values import Entry, Meta


@dataclass(frozen=True, slots=True)
class Offer:
    """What is stored beside the bytes; `seen_version`, as of before reading, makes it a copy from another tier.

    What `replaces` other bytes is announced to the local tiers.
    """

    key: str
    meta_json: bytes
    cost_ms: int
    ttl_ms: int | None
    seen_version: int | None
    replaces: bool


class Transfer:
    """Reads and writes whole values; a call takes at most `limit_s` seconds beside one answer's time-out."""

    def __init__(self, link: RedisLink, limit_s: float, *, compress: bool, clock: Callable[[], float]) -> None:
        self._link = link
        self._limit_s = limit_s
        self._compress = compress
        self._clock = clock
        self.health = Health(clock)

    def describe(self, key: str, saves_work: bool) -> Meta | Missing:
        touched = self._link.run("touch", key, int(saves_work))[0]
        return Record.parse(touched[2]).meta if touched[0] == b"hit" else MISSING

    def read(self, key: str, saves_work: bool) -> Entry | Missing:
        """The value; one of up to a window comes with the answer that finds it."""
        deadline = self._clock() + self._limit_s
        touched, payload = self._link.run("touch", key, int(saves_work), also=[("GET", f"{self._link.tag}:blob:{key}")])
        if touched[0] != b"hit":
            return MISSING
        record = Record.parse(touched[2])
        try:
            if record.parts:
                name, in_time = f"{self._link.tag}:parts:{key}", partial(self._keep, deadline)
                payload = receive(self._link.client, name, record.length_bytes, in_time)
            return Entry(unpack(payload or b"", record.checksum, record.encoding), record.meta)
        except (Corrupt, Interrupted):  # or evicted while it was read: the script finds out which
            self._link.run("forget", key, record.stored_us, int(saves_work))
            return MISSING

    def write(self, offer: Offer, data: bytes) -> bool:
        """Stage and commit; `False` when the tier does not want it."""
        deadline = self._clock() + self._limit_s
        payload, encoding = pack(data, compress=self._compress)
        self.refresh_health()
        if not self.health.takes(len(payload)):
            self._link.count("store: no head-room")
            return False
        stage = f"{self._link.tag}:stage:{secrets.token_hex(8)}"
        fence, in_time = offer.seen_version, partial(self._keep, deadline)
        before: list[Command] = []
        if parts_of(len(payload)):
            begun = self._send(stage, payload, in_time)
            if begun is None:
                return False
            fence = begun if fence is None else fence
        else:  # nothing lies between staging and committing, so there is nothing to fence off
            before = [("SET", stage, payload, "EX", STAGE_TTL_S)]
        sealed = (stage, len(payload), parts_of(len(payload)), checksum(payload), encoding)
        answer, version = self._commit(offer, fence, sealed, before)
        while answer == b"again":
            in_time()
            answer, version = self._commit(offer, version if fence is None else fence, sealed, [])
        return answer == b"stored"

    def _send(self, stage: str, payload: bytes, in_time: Callable[[], None]) -> int | None:
        """Stage a value of several windows; the version when that began, or `None` when it is over the limit."""
        self._link.ensure_seed()
        first = open_stage(stage, payload)
        look = ("HMGET", self._link.state_key, "version", "max_bytes")
        (version, max_bytes), *_ = self._link.round_trip(look, *first)
        if version is None or max_bytes is None:  # the server was emptied under us
            state, *_ = self._link.read_state(*first)
            version, max_bytes = state[b"version"], state[b"max_bytes"]
        if len(payload) > int(max_bytes):
            self._link.round_trip(("UNLINK", stage), ("HINCRBY", self._link.state_key, "refused", 1))
            return None
        send(self._link.client, stage, payload, in_time)
        return int(version)

    def _commit(
        self, offer: Offer, fence: int | None, sealed: Sequence[Any], before: Sequence[Command]
    ) -> tuple[bytes, int]:
        room, copied = self.health.room_bytes(), offer.seen_version is not None
        terms = [("" if term is None else term) for term in (offer.ttl_ms, room)]
        reply = self._link.run(
            "commit", offer.key, "" if fence is None else fence, int(copied), *sealed, offer.cost_ms, *terms,
            offer.meta_json, int(offer.replaces), before=before,
        )[len(before)]  # fmt: skip
        rebuild(self._link, reply[2], budget_s=0.0)  # one step, for processes that neither beat nor tidy
        return reply[0], int(reply[1])

    def refresh_health(self) -> None:
        if self.health.stale():
            (info,) = self._link.round_trip(("INFO", "memory"))
            self.health.note(info)

    def _keep(self, deadline: float) -> None:
        if self._clock() > deadline:
            raise RedisTimeout(f"the transfer took longer than {self._limit_s} s (transfer_timeout_s)")
