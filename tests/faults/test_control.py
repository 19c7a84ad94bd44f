"""Cancel, priorities, limits and the end of a worker, as a caller and an operator see them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.e2e.fleet import Fleet, ended
from tests.servers import wait_until

CANCEL_S = 5.0


def cancel(fleet: Fleet, job_id: str) -> int:
    return fleet.http.delete(f"/api/jobs/{job_id}").status_code


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """With the heartbeats that are the defaults, since the bound on a cancel depends on them."""
    with Fleet(
        tmp_path_factory.mktemp("fleet"),
        heartbeat_s=2.0,
        heartbeat_timeout_s=10.0,
    ) as fleet:
        yield fleet.start("api", "generate1")


def test_cancel_of_a_queued_job_is_immediate(one_worker: Fleet) -> None:
    fleet = one_worker
    running = fleet.submit("holds", pause_at="generate")
    fleet.paused("holds", "generate")
    queued = fleet.submit("waits")
    begun = time.monotonic()
    assert cancel(fleet, queued) == 200
    assert fleet.job(queued)["status"] == "canceled"
    print(f"measured: cancel of a queued job: told so after {time.monotonic() - begun:.2f} s")
    assert fleet.http.get("/health").json()["queues"]["generate"] == 0
    assert cancel(fleet, queued) == 409
    fleet.let_go("holds")
    fleet.succeeded(running)
    assert fleet.runs("waits") == {}


@pytest.mark.parametrize("goes", ["well", "deaf"])
def test_cancel_of_a_running_job_frees_its_worker(one_worker: Fleet, goes: str) -> None:
    fleet, name = one_worker, f"cancel-{goes}"
    job_id = fleet.submit(name, seconds=60, goes=goes)
    fleet.wait_until_begun(name)
    process = fleet.process_of("generate1")
    assert process is not None
    begun = time.monotonic()
    assert cancel(fleet, job_id) == 200
    assert fleet.job(job_id)["status"] == "canceled"
    free = (lambda: not fleet.busy()) if goes == "well" else (lambda: not alive(process.pid))
    wait_until(free, CANCEL_S, "the worker to be free")
    print(f"measured: cancel of one that goes {goes}: the worker was free after {time.monotonic() - begun:.1f} s")
    fleet.succeeded(fleet.submit(f"{name}-next"))
    assert fleet.runs(name) == {"begun": 1}
    fleet.assert_nothing_left()


def test_a_canceled_generation_goes_on_for_others_who_wait(one_worker: Fleet) -> None:
    fleet = one_worker
    first = fleet.submit("shared", seconds=2)
    fleet.wait_until_begun("shared")
    second = fleet.submit("shared", seconds=2)
    assert cancel(fleet, first) == 200
    assert fleet.succeeded(second)["cache"] == "COALESCED"
    assert fleet.job(first)["status"] == "canceled"
    assert fleet.runs("shared") == {"begun": 1, "finished": 1}


def test_cancel_racing_with_completion_has_one_winner(one_worker: Fleet) -> None:
    fleet = one_worker
    outcomes = set()
    for number in range(12):
        name = f"race-{number}"
        job_id = fleet.submit(name)
        time.sleep(number * 0.004)  # from before the claim to after the end
        code = cancel(fleet, job_id)
        wait_until(lambda job_id=job_id: ended(fleet.job(job_id)), 10)
        status = fleet.job(job_id)["status"]
        assert (code, status) in {(200, "canceled"), (409, "succeeded")}
        outcomes.add(status)
        wait_until(lambda: not fleet.busy(), 10)
    fleet.assert_nothing_left()


def test_high_priority_goes_first_and_low_priority_does_not_starve(own_fleet: Callable[..., Fleet]) -> None:
    fleet = own_fleet(priority_aging_s=2.0).start("api", "generate1")
    holder = fleet.submit("door", pause_at="generate")
    fleet.paused("door", "generate")
    low = fleet.submit("low", priority="low", seconds=0.1)
    normal = fleet.submit("normal", priority="normal", seconds=0.1)
    high = fleet.submit("high", priority="high", seconds=0.1)
    fleet.let_go("door")
    for job_id in (holder, low, normal, high):
        fleet.succeeded(job_id)
    order = begun_in_order(fleet)
    assert order.index("high") < order.index("normal") < order.index("low")

    stop = threading.Event()
    stream = threading.Thread(target=keep_busy, args=(fleet, stop))
    stream.start()
    try:
        wait_until(lambda: fleet.store.depths()["generate"] > 3, 20, "more than one worker can do")
        starved = fleet.submit("starved", priority="low")
        fleet.succeeded(starved, limit_s=40)
    finally:
        stop.set()
        stream.join()
    assert fleet.store.depths()["generate"] > 0, "the stream of important jobs never ended"


def test_a_full_queue_refuses_more_work_but_not_what_costs_nothing(own_fleet: Callable[..., Fleet]) -> None:
    fleet = own_fleet(queue_limit=5).start("api", "generate1")
    done = fleet.submit("cheap")
    fleet.succeeded(done)
    holder = fleet.submit("stopper", pause_at="generate")
    fleet.paused("stopper", "generate")
    queued = [fleet.submit(f"filler-{number}") for number in range(fleet.settings.queue_limit)]
    refused = fleet.post("one-too-many")
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
    assert int(refused.headers["Retry-After"]) > 0
    assert "QUEUE_LIMIT" in refused.json()["detail"]
    assert fleet.post("cheap").status_code == 200, "what exists needs no queue"
    assert fleet.post("filler-0").status_code == 202, "who joins a waiting generation adds no work"
    assert cancel(fleet, queued[-1]) == 200
    accepted = fleet.submit("one-too-many")
    fleet.let_go("stopper")
    for job_id in (holder, *queued[:-1], accepted):
        fleet.succeeded(job_id)


@pytest.mark.parametrize("goes", ["well", "deaf"])
def test_a_worker_that_is_told_to_stop_hands_its_job_over_in_time(fleet: Fleet, goes: str) -> None:
    name = f"drain-{goes}"
    job_id = fleet.submit(name, seconds=60, goes=goes)
    fleet.wait_until_begun(name)
    worker = fleet.runner_of(name)
    begun = time.monotonic()
    worker.signal(signal.SIGTERM)
    worker.wait(fleet.settings.stop_grace_s)
    print(f"measured: told to stop while its work goes {goes}, ended after {time.monotonic() - begun:.1f} s")
    wait_until(lambda: fleet.runs(name)["begun"] == 2, 3, "another worker to begin at once")
    assert fleet.job(job_id)["attempts"] == 1, "an upgrade is nobody's fault"
    assert cancel(fleet, job_id) == 200
    fleet.launch(worker.name)
    wait_until(lambda: fleet.process_of("generate1") and fleet.process_of("generate2"), 30)
    fleet.assert_nothing_left()


def test_a_worker_that_is_told_to_stop_finishes_a_job_that_fits_into_its_grace(own_fleet: Callable[..., Fleet]) -> None:
    fleet = own_fleet(stop_grace_s=15.0).start("api", "generate1")
    job_id = fleet.submit("fits", seconds=3)
    fleet.wait_until_begun("fits")
    worker = fleet.running["generate1"]
    worker.signal(signal.SIGTERM)
    worker.wait(15)
    assert fleet.succeeded(job_id)["attempts"] == 1
    assert fleet.runs("fits") == {"begun": 1, "finished": 1}
    assert fleet.register.workers() == [], "it said good-bye"


def test_a_signal_to_everybody_at_once_loses_no_job(fleet: Fleet) -> None:
    """Some service managers tell each process of a service to stop, not only the first."""
    job_id = fleet.submit("everybody", seconds=60)
    fleet.wait_until_begun("everybody")
    worker = fleet.runner_of("everybody")
    worker.signal_group(signal.SIGTERM)
    worker.wait(fleet.settings.stop_grace_s)
    wait_until(lambda: fleet.runs("everybody")["begun"] == 2, 3, "another worker to begin at once")
    assert fleet.job(job_id)["attempts"] == 1
    cancel(fleet, job_id)
    fleet.launch(worker.name)
    fleet.wait_for(worker.name)


def begun_in_order(fleet: Fleet) -> list[str]:
    return [line.split()[0] for line in (fleet.lab / "runs").read_text().splitlines() if line.split()[1] == "begun"]


def keep_busy(fleet: Fleet, stop: threading.Event) -> None:
    """More important jobs than one worker can do."""
    number = 0
    while not stop.is_set():
        fleet.post(f"important-{number}", priority="high", seconds=0.3)
        number += 1
        stop.wait(0.1)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
