"""One maker per key in the whole fleet: the right to make a value, kept alive by its maker and gone soon after it.

Those who wait ask a few times a second whether it is gone. Without Redis everybody has the right, and makes their own.
"""

from __future__ import annotations

import secrets
import time
from types import TracebackType

from cache.loops import Loop
from cache.redis_link import RedisLink

LEASE_S = 2.0
POLL_S = 0.2


class Lease:
    """Try `acquire`; when it answers `True`, make the value inside `with lease:`."""

    def __init__(self, link: RedisLink, key: str) -> None:
        self._link = link
        self._name = f"{link.tag}:lease:{key}"
        self._token = secrets.token_hex(8)
        self._keeper = Loop("cache-lease", self._keep, every_s=LEASE_S / 4, waits_first=True)

    def acquire(self) -> bool:
        """Take the lease unless somebody has it; without Redis there is nobody to ask, so it is taken."""
        taken = ("SET", self._name, self._token, "NX", "PX", round(LEASE_S * 1000))
        return self._link.attempt("lease", lambda: bool(self._link.round_trip(taken)[0]), True)

    def wait_until_gone(self) -> None:
        """Return when nobody has it: its maker is done, or has been silent for `LEASE_S`."""
        while self._link.attempt("lease", lambda: self._link.round_trip(("EXISTS", self._name))[0], 0):
            time.sleep(POLL_S)

    def __enter__(self) -> None:
        self._keeper.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._keeper.close(LEASE_S)
        self._link.attempt("lease", lambda: self._link.run("lease", self._name, self._token, 0), None)

    def _keep(self) -> None:
        self._link.attempt("lease", self._renew, None)

    def _renew(self) -> None:
        self._link.run("lease", self._name, self._token, round(LEASE_S * 1000))
