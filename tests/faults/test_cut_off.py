"""A worker is alive but cut off: frozen, taken for dead, replaced, and then it wakes up and goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.processes import Running
from tests.servers import wait_until


@pytest.mark.parametrize(("goes", "frozen_s"), [("well", 30.0), ("deaf", 0.0)])
def test_a_frozen_worker_that_wakes_up_late_changes_nothing(fleet: Fleet, goes: str, frozen_s: float) -> None:
    """At the earliest once another one has finished its work, and after `frozen_s`."""
    name = f"frozen-{goes}"
    job_id = fleet.submit(name, pause_at="generate", seconds=0.5, goes=goes)
    child = fleet.paused(name, "generate")
    victim = fleet.whose(child)
    before = dropped(victim)
    victim.signal_group(signal.SIGSTOP)
    frozen_at = time.monotonic()
    try:
        job = fleet.succeeded(job_id)
        print(f"measured: frozen in generate, done by another {time.monotonic() - frozen_at:.1f} s later")
        assert job["attempts"] == 2
        mesh = fleet.http.get(f"/api/jobs/{job_id}/model.glb").content
        fleet.let_go(name)
        wait_until(lambda: time.monotonic() - frozen_at > frozen_s, frozen_s + 5)
    finally:
        victim.signal_group(signal.SIGCONT)
    wait_until(lambda: dropped(victim) > before, 20, "the late worker to be refused")
    assert fleet.job(job_id) == job, "its late result changed nothing"
    assert fleet.http.get(f"/api/jobs/{job_id}/model.glb").content == mesh
    assert fleet.runs(name)["finished"] == (1 if goes == "well" else 2), "one that listens stops at its next step"
    awake_at = time.monotonic()
    wait_until(lambda: fleet.process_of(victim.name), 20, "the late worker to register again")
    took_s = time.monotonic() - awake_at
    print(f"measured: frozen for {awake_at - frozen_at:.0f} s, back in the fleet {took_s:.1f} s later")
    fleet.succeeded(fleet.submit(f"{name}-after"))
    fleet.assert_nothing_left()


def test_work_that_never_listens_again_is_ended_when_its_claim_is_lost(fleet: Fleet) -> None:
    """It would burn its GPU for nothing until the time limit."""
    job_id = fleet.submit("frozen-hung", pause_at="generate")
    child = fleet.paused("frozen-hung", "generate")
    victim = fleet.whose(child)
    victim.signal_group(signal.SIGSTOP)
    fleet.succeeded(job_id)
    victim.signal_group(signal.SIGCONT)
    wait_until(lambda: child not in {one.pid for one in victim.children()}, 15, "the deaf process to end")
    fleet.wait_for(victim.name)


def dropped(worker: Running) -> int:
    """How many results of lost claims it has dropped."""
    return worker.log.read_text().count("was lost; its result is dropped")
