"""The words for where a job stands, and the only steps between them."""

from __future__ import annotations

from typing import Literal

Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
Served = Literal["MISS", "HIT-L1", "HIT-L2", "HIT-ARCHIVE", "COALESCED"]

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
