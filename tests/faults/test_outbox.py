"""A process dies between accepting a job and sending its message: whoever keeps watch sends it."""

from __future__ import annotations

import hashlib
import time

from jobs.requests import GenerationRequest, RenditionOptions
from jobs.store import Submission
from tests.e2e.fleet import PICTURE, Fleet

NOTICED_S = 30.0


def test_an_api_killed_between_claim_and_enqueue_loses_nothing(fleet: Fleet) -> None:
    """Its process does the first half of a submission, and no more."""
    known = fleet.submit("known")
    fleet.succeeded(known)
    job = fleet.store.job(known)
    assert job is not None
    first_half = Submission(
        owner=job.owner,
        generation=GenerationRequest(
            image_sha256=hashlib.sha256(PICTURE).hexdigest(), generator="lab", revision="1", params=job.params, seed=7
        ),
        options=RenditionOptions(format="stl"),
    )
    outcome, job_id, to_send = fleet.store.submit(first_half)
    assert (outcome, bool(to_send)) == ("new", True)
    begun = time.monotonic()
    fleet.succeeded(job_id, NOTICED_S)
    print(f"measured: sent by the watch and done {time.monotonic() - begun:.1f} s after the API was killed")
    assert fleet.runs("known") == {"begun": 2, "finished": 2}
