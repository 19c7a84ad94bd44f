"""How the fleet stands, looked up once per process for everybody who watches; nobody watching, nothing is asked."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from redis import RedisError

from cache.loops import Loop

log = logging.getLogger(__name__)

EVERY_S = 2.0


class FleetPulse:
    """Calls `look` every `every_s` while somebody watches, from one thread, and wakes them when the answer differs."""

    def __init__(self, look: Callable[[], Mapping[str, Any]], *, every_s: float = EVERY_S) -> None:
        self._look = look
        self._every_s = every_s
        self._watchers: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._loop: Loop | None = None
        self.latest: Mapping[str, Any] | None = None
        self.lost: RedisError | None = None  # why the fleet cannot be seen now

    @contextmanager
    def watching(self, changed: threading.Event) -> Iterator[None]:
        """Sets `changed` when `latest` has changed; the looking starts with the first watcher, so after any fork."""
        with self._lock:
            self._watchers.add(changed)
            self._left.clear()
            if self._loop is None:
                self._loop = Loop("fleet-pulse", self._round).start()
        try:
            yield
        finally:
            with self._lock:
                self._watchers.discard(changed)
                if not self._watchers:
                    self._left.set()

    def _round(self) -> None:
        with self._lock:
            if not self._watchers and self._loop is not None:
                self._loop.close()
                self._loop, self.latest, self.lost = None, None, None
                return
        self._beat()
        self._left.wait(self._every_s)

    def _beat(self) -> None:
        try:
            now = self._look()
        except RedisError as error:
            log.warning("the fleet cannot be seen: Redis does not answer: %s", error)
            with self._lock:
                self.lost = error
                self._wake()
            return
        with self._lock:
            self.lost = None
            if _text(now) == _text(self.latest):
                return
            self.latest = now
            self._wake()

    def _wake(self) -> None:
        for changed in self._watchers:
            changed.set()


class FleetLook:
    """Tells one watcher of the fleet, without the parts that are not for this caller."""

    def __init__(self, pulse: FleetPulse, *, hidden: frozenset[str], tell: Callable[[str], str]) -> None:
        self._pulse = pulse
        self._hidden = hidden
        self._tell = tell
        self._told = ""

    def __call__(self) -> Iterator[str]:
        """Raises: RedisError: the fleet cannot be seen any more; what was told of it is no longer true."""
        if self._pulse.lost is not None:
            raise self._pulse.lost
        latest = self._pulse.latest
        if latest is None:
            return
        text = _text({name: part for name, part in latest.items() if name not in self._hidden})
        if text != self._told:
            self._told = text
            yield self._tell(text)


def _text(document: Mapping[str, Any] | None) -> str:
    return json.dumps(document, sort_keys=True)
