"""A small fleet for tests of the job store: requests, submissions and workers with defaults that do not matter."""

from __future__ import annotations

from typing import Any

from jobs.fleet import WorkerInfo
from jobs.records import Work
from jobs.requests import GenerationRequest, RenditionOptions
from jobs.store import JobStore
from jobs.submission import Submission


def a_request(picture: str = "a", **params: Any) -> GenerationRequest:
    return GenerationRequest(image_sha256=(picture * 64)[:64], generator="inflate", revision="1", params=params)


def a_submission(picture: str = "a", *, format: str = "glb", owner: str = "local", **more: Any) -> Submission:
    return Submission(owner=owner, generation=a_request(picture), options=RenditionOptions(format=format), **more)


def a_worker(name: str = "w1", *, slot: str = "", queue: str = "generate") -> WorkerInfo:
    return WorkerInfo(id=name, slot=slot or f"slot-{name}", host="host", pid=1, queue=queue)


def submitted(store: JobStore, picture: str = "a", **more: Any) -> str:
    """Id of a job that was just accepted."""
    return store.submit(a_submission(picture, **more))[1]


def claimed(store: JobStore, picture: str = "a", worker: str = "w1") -> Work:
    """The picture's generation, claimed; fails the test when it cannot be."""
    work = store.claim(a_request(picture).key, worker)
    assert work is not None
    return work


def finish(store: JobStore, work: Work) -> None:
    """Takes a claimed generation and its renditions to the end."""
    handed = store.complete_generation(work, "MISS", generate_s=1.0, timings={"generate_s": 1.0})
    for part in handed or ():
        assert store.complete_rendition(part, {"format": "glb"}, "MISS", timings={}) is not None
