"""The words for where a job stands, and the only steps between them."""

from __future__ import annotations

from typing import Literal

Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
Served = Literal["MISS", "HIT-L1", "HIT-L2", "HIT-ARCHIVE", "COALESCED"]

_SERVED_FROM: dict[str, Served] = {"L1": "HIT-L1", "L2": "HIT-L2", "ARCHIVE": "HIT-ARCHIVE"}

STATUSES: tuple[Status, ...] = ("queued", "running", "succeeded", "failed", "canceled")
ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "canceled"})

# A running job may go back: its worker was lost, or the try failed in a way that may pass.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"running", "succeeded", "failed", "canceled"}),
    "running": frozenset({"queued", "succeeded", "failed", "canceled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
}


def served_from(tier: str) -> Served:
    """The word for a job that this tier answered."""
    return _SERVED_FROM[tier]
