"""How values travel to and from the shared tier: in windows just under 1 MiB, so that the server is never held long.

A value is written under a name of its own that expires, and becomes visible in one step when it is whole. Policy,
limits and counting are the scripts' business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import TimeoutError as RedisTimeout

from cache.codec import Corrupt, checksum, pack, unpack
from cache.missing import MISSING, Missing
from cache.record import Record
from cache.redis_health import Health
from cache.redis_link import Command, RedisLink
from cache.values import Entry, Meta

WINDOW_BYTES = (1 << 20) - 1024  # a window and its framing fit one socket read and one allocation class
STAGE_TTL_S = 60


@dataclass(frozen=True, slots=True)
class Offer:
    """What is stored beside the bytes; `seen_version`, as of before reading, makes it a copy from another tier."""

    key: str
    meta_json: bytes
    cost_ms: int
    ttl_ms: int | None
    seen_version: int | None


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
        return Record.parse(touched[3]).meta if touched[0] == b"hit" else MISSING

    def read(self, key: str, saves_work: bool) -> Entry | Missing:
        """The value; the first window rides on the answer that finds it, and is all there is for most."""
        deadline = self._clock() + self._limit_s
        epoch = self._link.epoch
        touched, window = self._link.run("touch", key, int(saves_work), also=[self._window(epoch, key, 0)])
        if touched[0] != b"hit":
            return MISSING
        record = Record.parse(touched[3])
        if int(touched[2]) != epoch:
            epoch = int(touched[2])
            (window,) = self._link.round_trip(self._window(epoch, key, 0))
        windows = [window]
        for offset in range(WINDOW_BYTES, record.length_bytes, WINDOW_BYTES):
            self._keep(deadline)
            windows += self._link.round_trip(self._window(epoch, key, offset))
        payload = windows[0] if len(windows) == 1 else b"".join(windows)
        try:
            return Entry(unpack(payload, record.checksum, record.encoding), record.meta)
        except Corrupt:  # or evicted while it was read: the script finds out which
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
        version, max_bytes = self._open(stage, payload)
        if len(payload) > max_bytes:
            self._link.round_trip(("UNLINK", stage), ("HINCRBY", self._link.state_key, "refused", 1))
            return False
        for offset in range(WINDOW_BYTES, len(payload), WINDOW_BYTES):
            self._keep(deadline)
            window = memoryview(payload)[offset : offset + WINDOW_BYTES]
            # EXPIRE each time: had the stage expired meanwhile, APPEND would begin one that never does
            self._link.round_trip(("APPEND", stage, window), ("EXPIRE", stage, STAGE_TTL_S))
        fence = (version, 0) if offer.seen_version is None else (offer.seen_version, 1)
        room, ttl = self.health.room_bytes(), offer.ttl_ms
        form = (stage, len(payload), checksum(payload), encoding)
        terms = (offer.cost_ms, "" if ttl is None else ttl, "" if room is None else room, offer.meta_json)
        while (answer := self._link.run("commit", offer.key, *fence, *form, *terms)[0][0]) == b"again":
            self._keep(deadline)
        return bool(answer == b"stored")

    def refresh_health(self) -> None:
        if self.health.stale():
            (info,) = self._link.round_trip(("INFO", "memory"))
            self.health.note(info)

    def _open(self, stage: str, payload: bytes) -> tuple[int, int]:
        """Send the first window; answers the present version and the limit on bytes."""
        self._link.ensure_seed()
        commands = (
            ("HMGET", self._link.state_key, "version", "max_bytes"),
            ("SET", stage, payload[:WINDOW_BYTES], "EX", STAGE_TTL_S),
        )
        (version, max_bytes), _ = self._link.round_trip(*commands)
        if version is None:  # the server was emptied under us
            self._link.plant_seed()
            (version, max_bytes), _ = self._link.round_trip(*commands)
        return int(version), int(max_bytes)

    def _window(self, epoch: int, key: str, offset: int) -> Command:
        return ("GETRANGE", f"{self._link.tag}:blob:{epoch}:{key}", offset, offset + WINDOW_BYTES - 1)

    def _keep(self, deadline: float) -> None:
        if self._clock() > deadline:
            raise RedisTimeout(f"the transfer took longer than {self._limit_s} s (transfer_timeout_s)")
