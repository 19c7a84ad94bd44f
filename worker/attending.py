"""What a worker process is busy with, told to the store as it goes, and how each try ends.

One `Attending` per process; the pulse reads it from its own thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import RedisError

import logs
from cache.errors import ArchiveError
from jobs.errors import (
    Canceled,
    GenerationFailed,
    GeneratorUnavailable,
    JobError,
    OutOfMemory,
    Poison,
    StorageFailed,
    Superseded,
)
from jobs.fleet import GENERATOR_WAIT_S
from jobs.records import Work
from jobs.store import Claim, JobStore

log = logging.getLogger(__name__)

_TELL_EVERY_S = 0.25
_RETRY_DELAY_S = 5.0


class HandOver(Exception):
    """This process is to stop: its work goes back into the queue, unfinished, and the attempt does not count."""


class NotHere(GeneratorUnavailable):
    """This process lacks what the work needs: it goes back for another worker, and the attempt does not count."""


class Attending:
    """The claims this process holds and when each last moved, by a monotonic clock.

    `unsettled` delivers, by the claim's token, the verdicts that Redis did not take; the pulse tries them again.
    """

    def __init__(
        self, store: JobStore, *, max_attempts: int = 3, generator_wait_s: float = GENERATOR_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store = store
        self._max_attempts = max_attempts
        self._generator_wait_s = generator_wait_s
        self._clock = clock
        self.unsettled: dict[str, Callable[[], str]] = {}
        self.held: dict[str, Work] = {}
        self.started: dict[str, float] = {}
        self.moved: dict[str, float] = {}
        self.stopping = False

    @property
    def doing(self) -> str:
        """For people: what this process works on."""
        return ", ".join(f"{work.generator} {key[:12]}" for key, work in list(self.held.items()))

    def reserve(self, work: Work) -> None:
        """Holds a claim whose turn comes later: no clock runs against it."""
        self.held[work.key] = work

    def begin(self, work: Work) -> None:
        self.held[work.key] = work
        self.started[work.key] = self.moved[work.key] = self._clock()

    def let_go(self, work: Work) -> None:
        for ledger in (self.held, self.started, self.moved):
            ledger.pop(work.key, None)

    @contextmanager
    def to(self, work: Work) -> Iterator[Reporter]:
        """Holds the claim for as long as the block runs, and turns whatever escapes it into the work's fate."""
        self.begin(work)
        logs.bind(work=work.key[:12], generator=work.generator, request_id=work.request_id or None)
        try:
            yield Reporter(self, work, self._store, self._clock)
        except Canceled:
            log.info("work %s was canceled", work.key)
            self._settle(work, lambda: self._store.release(work))
        except HandOver:
            log.info("this process is to stop; work %s goes back", work.key)
            self._settle(work, lambda: self._store.release(work))
        except Superseded:
            log.warning("the claim of work %s was lost; its result is dropped", work.key)
        except NotHere as reason:
            self._decline(work, str(reason))
        except RedisError as error:
            log.exception("Redis failed in the middle of work %s", work.key)
            # The pulse hands it back as soon as Redis answers again; what is archived is not made twice.
            self.unsettled[work.token] = self._interruption(
                work, StorageFailed(f"Redis failed in the middle of the work: {error}")
            )
        except Exception as error:
            self._fail(work, error)
        except BaseException as error:  # a signal, or a generator that calls sys.exit(): let others have it at once
            self._settle(work, self._interruption(work, Poison(f"the work ended its process: {type(error).__name__}")))
            raise
        finally:
            self.let_go(work)
            logs.forget()

    def _fail(self, work: Work, error: Exception) -> None:
        verdict = as_job_error(error)
        if not isinstance(error, JobError):
            log.exception("work %s failed", work.key)
        delay_s = _RETRY_DELAY_S * work.attempts
        log.warning("work %s: %s (%s)", work.key, verdict.code, verdict.message)
        self._settle(work, lambda: self._store.fail(work, verdict, max_attempts=self._max_attempts, delay_s=delay_s))

    def _interruption(self, work: Work, verdict: JobError) -> Callable[[], str]:
        return lambda: self._store.interrupted(work, verdict, max_attempts=self._max_attempts)

    def _settle(self, claim: Claim, verdict: Callable[[], str]) -> None:
        self.unsettled[claim.token] = verdict
        try:
            self.settle(claim)
        except RedisError as error:
            log.warning("what became of work %s is noted when Redis answers again: %s", claim.key, error)

    def settle(self, claim: Claim) -> bool:
        """Delivers the verdict on a claim that Redis did not take before; False when there is none.

        Raises: redis.RedisError.
        """
        verdict = self.unsettled.get(claim.token)
        if verdict is not None:
            log.warning("work %s: %s", claim.key, verdict())
            self.unsettled.pop(claim.token, None)
        return verdict is not None

    def return_lost(self, claim: Claim) -> str:
        """Gives back a claim of which this process knows nothing; answers what became of the work.

        Raises: redis.RedisError.
        """
        error = Poison(f"its claim was lost before the work began, {self._max_attempts} times (MAX_ATTEMPTS)")
        return self._store.interrupted(claim, error, max_attempts=self._max_attempts)

    def _decline(self, work: Work, reason: str) -> None:
        error = GeneratorUnavailable(
            f"no worker has offered {work.generator} for {self._generator_wait_s:g} s (GENERATOR_WAIT_S); {reason}"
        )
        log.warning("work %s is not for this worker: %s", work.key, reason)
        self._settle(work, lambda: self._store.decline(work, error, wait_s=self._generator_wait_s))


class Reporter:
    """Progress of one claim, in percent, told at most a few times a second."""

    def __init__(self, attending: Attending, work: Work, store: JobStore, clock: Callable[[], float]) -> None:
        self._attending = attending
        self._work = work
        self._store = store
        self._clock = clock
        self._told_at = float("-inf")
        self._stage = ""

    def __call__(self, percent: float, stage: str) -> None:
        """Raises: Canceled, Superseded, HandOver."""
        if self._attending.stopping:
            raise HandOver
        now = self._clock()
        self._attending.moved[self._work.key] = now
        if stage == self._stage and now - self._told_at < _TELL_EVERY_S:
            return
        self._told_at, self._stage = now, stage
        try:
            answer = self._store.progress(self._work, stage, int(percent))
        except RedisError as error:  # progress is for people; the work goes on without
            log.warning("progress of %s was not told: %s", self._work.key, error)
            return
        if answer == "canceled":
            raise Canceled("nobody waits for this any more")
        if answer == "stale":
            raise Superseded("another worker owns this work now")


def as_job_error(error: Exception) -> JobError:
    """Any exception as one of the tree, in words for the caller."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, ArchiveError):
        return StorageFailed(f"the result could not be kept: {error}")
    # torch's own class by name: this room does not import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory("the worker ran out of memory; a smaller picture or a lower resolution may pass")
    return GenerationFailed(f"{type(error).__name__}: {error}")
