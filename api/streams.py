"""Event streams as the WHATWG HTML standard §9.2 has them: what is written when.

It knows no routes. A stream that can no longer read the state ends; the caller comes back and resumes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from redis import RedisError

from api.schemas import JobBody
from jobs.feed import ChangeFeed
from jobs.store import JobStore

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0  # proxies commonly close what is silent for 30 or 60 seconds
LOOK_AGAIN_S = 5.0  # for a change whose event was lost
RECONNECT_MS = 2000

Look = Callable[[], Iterator[str]]


class JobLook:
    """Asks for jobs and tells of those that differ from what was told before; `seen` is the last told `rev` of each.

    `links_from` stands before the path of each link.
    """

    def __init__(
        self, store: JobStore, ids: Sequence[str], *, seen: dict[str, str], name: str = "", links_from: str = ""
    ) -> None:
        self._store = store
        self._open = list(ids)
        self._seen = seen
        self._name = name
        self._links_from = links_from

    @property
    def done(self) -> bool:
        """Whether every job has ended, or is forgotten."""
        return not self._open

    def __call__(self) -> Iterator[str]:
        asked = self._open
        for job_id, job in zip(asked, self._store.jobs(asked), strict=True):
            if job is not None and self._seen.get(job_id) != job.rev:
                self._seen[job_id] = job.rev
                yield event(JobBody.of(job, self._links_from).model_dump_json(), name=self._name, event_id=job.rev)
            if job is None or job.ended:
                self._open = [one for one in self._open if one != job_id]


def event(data: str, *, name: str = "", event_id: str = "") -> str:
    """One event; `data` is one line, as JSON is."""
    lines = [f"event: {name}"] if name else []
    lines += [f"id: {event_id}"] if event_id else []
    return "\n".join([*lines, f"data: {data}", "", ""])


def follow(
    changed: threading.Event,
    look: Look,
    done: Callable[[], bool],
    *,
    heartbeat_s: float = HEARTBEAT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """What `look` tells, each time `changed` is set, until `done`; a comment when there is nothing to tell for long."""
    yield f"retry: {RECONNECT_MS}\n\n"
    wrote_at = clock()
    while True:
        changed.clear()
        try:
            for text in look():
                yield text
                wrote_at = clock()
        except RedisError as error:
            log.warning("an event stream ends: Redis does not answer: %s", error)
            return
        if done():
            return
        if clock() - wrote_at >= heartbeat_s:
            yield ": alive\n\n"
            wrote_at = clock()
        changed.wait(min(LOOK_AGAIN_S, heartbeat_s))


@contextmanager
def watched(feed: ChangeFeed, ids: Sequence[str]) -> Iterator[threading.Event]:
    """An event that is set when one of the jobs has changed; with no jobs it is never set by the feed."""
    if not ids:
        yield threading.Event()
        return
    with feed.watching(*ids) as changed:
        yield changed
