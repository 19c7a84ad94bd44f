"""The record that the scripts keep of each entry of the shared tier; `scripts/commit.lua` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cache.values import MB, Meta


@dataclass(frozen=True)
class Record:
    """`length_bytes` on the wire, in `parts`; `charge_bytes` is what Redis spends on it; times in µs.

    An entry of another `epoch` than the tier's was cleared.
    """

    stored_us: int
    length_bytes: int
    parts: int
    charge_bytes: int
    cost_ms: int
    expires_us: int
    epoch: int
    checksum: str
    encoding: str
    meta_json: bytes

    @classmethod
    def parse(cls, text: bytes) -> Record:
        """Read a record as `commit.lua` wrote it.

        Raises:
            ValueError: it is not one.
        """
        stored, length, parts, charge, cost, expires, epoch, checksum, encoding, meta = text.split(b" ", 9)
        return cls(
            int(stored), int(length), int(parts), int(charge), int(cost), int(expires), int(epoch),
            checksum.decode(), encoding.decode(), meta,
        )  # fmt: skip

    @cached_property
    def meta(self) -> Meta:
        meta: Meta = json.loads(self.meta_json)
        return meta

    def summary(self, key: str, hits: int, now_us: int) -> dict[str, Any]:
        """The entry as the administration shows it; sizes are what Redis spends, times wall-clock seconds."""
        return {
            "key": key,
            "size_mb": self.charge_bytes / MB,
            "timestamp": self.stored_us / 1e6,
            "age_seconds": max(0.0, (now_us - self.stored_us) / 1e6),
            "access_count": hits,
            "expires_at": self.expires_us / 1e6 if self.expires_us else None,
            "expired": bool(self.expires_us) and self.expires_us <= now_us,
            "cost_s": self.cost_ms / 1000,
            "meta": self.meta,
        }
