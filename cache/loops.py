"""Background threads that do not end by themselves: one `Loop` for all, and the register that says which are gone.

It stands in the lowest package, since every other one has such threads; it knows nothing of what they do.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable

from redis.exceptions import RedisError

from cache.errors import ArchiveError

log = logging.getLogger(__name__)

PAUSE_S = 1.0  # after a failure, before a step that does not wait by itself is called again


class Threads:
    """The loops of one process and their failures, by name."""

    def __init__(self) -> None:
        self._loops: list[Loop] = []
        self._failures = Counter[str]()
        self._lock = threading.Lock()

    def add(self, loop: Loop) -> None:
        with self._lock:
            self._loops.append(loop)

    def remove(self, loop: Loop) -> None:
        with self._lock:
            self._loops = [one for one in self._loops if one is not loop]

    def gone(self) -> list[str]:
        """Names of those that were started, not closed, and run no longer."""
        with self._lock:
            return sorted({loop.name for loop in self._loops if not loop.alive})

    def count(self, name: str) -> None:
        with self._lock:
            self._failures[name] += 1

    def take_failures(self) -> dict[str, int]:
        """Failures by name since the last call, for whoever adds them up; `put_back` when that went wrong."""
        with self._lock:
            taken, self._failures = self._failures, Counter()
            return dict(taken)

    def put_back(self, failures: dict[str, int]) -> None:
        with self._lock:
            self._failures.update(failures)

    def forget_all(self) -> None:
        """In a child after a fork: the parent's threads are not there."""
        self._loops, self._failures, self._lock = [], Counter(), threading.Lock()


THREADS = Threads()
os.register_at_fork(after_in_child=THREADS.forget_all)


class Loop:
    """Calls `step` every `every_s` seconds in a thread of its own until `close`, whatever `step` raises.

    `step` may answer how long to wait instead, a float of seconds. With `every_s` 0 it waits by itself. A failure is
    logged and counted, and the next step comes after the usual time.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        *,
        every_s: float = 0.0,
        waits_first: bool = False,
        stop: threading.Event | None = None,
        wait: Callable[[float], bool] | None = None,
        threads: Threads = THREADS,
    ) -> None:
        self.name = name
        self.stop = stop or threading.Event()
        self._step = step
        self._every_s = every_s
        self._waits_first = waits_first
        self._wait = wait or self.stop.wait
        self._threads = threads
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Loop:
        """Starts the thread, a daemon, which ends with the process."""
        self._threads.add(self)
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()
        return self

    def close(self, timeout_s: float = 0.0) -> None:
        """Lets the running step be the last one, and waits `timeout_s` for its end."""
        self._threads.remove(self)
        self.stop.set()
        if timeout_s and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """The loop itself, in the calling thread."""
        if self._waits_first and self._wait(self._every_s):
            return
        while not self.stop.is_set():
            wait_s = self._once()
            if wait_s and self._wait(wait_s):
                return

    def _once(self) -> float:
        """One step; answers how long to wait."""
        try:
            asked_s = self._step()
        except (RedisError, ArchiveError) as error:
            log.warning("%s has to wait: %s", self.name, error)
        except BaseException:  # also SystemExit of some library: nothing but `close` ends this thread
            log.exception("%s failed and goes on", self.name)
        else:
            return asked_s if isinstance(asked_s, float) else self._every_s
        self._threads.count(self.name)
        return self._every_s or PAUSE_S
