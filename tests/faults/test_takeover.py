"""Workers are killed at every stage of a job, in every way; another one finishes it, in time, exactly once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.processes import Running
from tests.servers import wait_until

# With the default HEARTBEAT_S=2 and HEARTBEAT_TIMEOUT_S=10: at most this long after the kill it goes on elsewhere.
TAKEOVER_S = 15.0
# The child alone (a segfault, the kernel's out-of-memory killer), the parent, whose children go with it, or the host.
LOST = ["child", "parent", "group"]
GENERATE = ("generate1", "generate2", "generate3")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The heartbeats that are the defaults, since the bound stands in the documents."""
    with Fleet(tmp_path_factory.mktemp("fleet"), heartbeat_s=2.0, heartbeat_timeout_s=10.0) as fleet:
        yield fleet.start("api", *GENERATE, "render")


@pytest.fixture(autouse=True)
def _restored(fleet: Fleet) -> Iterator[None]:
    """What a supervisor does; each test has seen before that others do not need it."""
    wait_until(lambda: sum(fleet.process_of(name) is not None for name in GENERATE) >= 2, 60, "two workers to be there")
    yield
    for name in GENERATE:
        if not fleet.running[name].alive:
            fleet.launch(name)
    fleet.assert_nothing_left()


def kill(victim: Running, how: str) -> None:
    if how == "child":
        victim.signal_children(signal.SIGKILL)
    elif how == "parent":
        victim.signal(signal.SIGKILL)
        victim.wait(5)
    else:
        victim.kill_group()


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """The block must take no longer than the bound, and prints what it took."""
    killed_at = time.monotonic()
    yield
    took_s = time.monotonic() - killed_at
    print(f"measured: {what}: {took_s:.1f} s")
    assert took_s < TAKEOVER_S


@pytest.mark.parametrize("how", LOST)
def test_worker_killed_in_generate_is_taken_over(fleet: Fleet, how: str) -> None:
    name = f"generate-{how}"
    job_id = fleet.submit(name, pause_at="generate")
    victim = fleet.whose(fleet.paused(name, "generate"))
    kill(victim, how)
    with in_time(f"{how} killed in generate, until it ran elsewhere"):
        wait_until(lambda: fleet.runs(name)["begun"] == 2, TAKEOVER_S, "another worker to begin")
    job = fleet.succeeded(job_id)
    assert (job["attempts"], job["cache"]) == (2, "MISS")
    assert fleet.runs(name) == {"begun": 2, "finished": 1}


@pytest.mark.parametrize("how", LOST)
def test_worker_killed_between_archive_and_state_is_taken_over_without_a_second_run(fleet: Fleet, how: str) -> None:
    name = f"state-{how}"
    job_id = fleet.submit(name, pause_at="state")
    victim = fleet.whose(fleet.paused(name, "state"))
    kill(victim, how)
    with in_time(f"{how} killed between archive and state, until the job was done"):
        job = fleet.succeeded(job_id, TAKEOVER_S)
    assert job["attempts"] == 2
    assert job["cache"] in ("HIT-L2", "HIT-ARCHIVE"), "the mesh was kept already"
    assert fleet.runs(name) == {"begun": 1, "finished": 1}


@pytest.mark.parametrize("how", LOST)
def test_worker_killed_in_rendition_is_taken_over_by_the_render_queue(fleet: Fleet, how: str) -> None:
    name = f"render-{how}"
    job_id = fleet.submit(name, pause_at="render")
    victim = fleet.whose(fleet.paused(name, "render"))
    kill(victim, how)
    with in_time(f"{how} killed in a rendition, until the job was done"):
        job = fleet.succeeded(job_id, TAKEOVER_S)
    assert job["attempts"] == 2
    assert fleet.runs(name) == {"begun": 1, "finished": 1}


@pytest.mark.parametrize("how", LOST)
def test_worker_killed_before_it_began_loses_only_a_message(fleet: Fleet, how: str) -> None:
    """The message is with a worker that has not claimed anything yet: nobody owns the work."""
    name = f"before-{how}"
    workers = [fleet.running[one] for one in GENERATE if fleet.running[one].alive]
    for worker in workers:
        worker.signal_children(signal.SIGSTOP)
    job_id = fleet.submit(name)
    task_id = fleet.job(job_id)["task_id"]
    wait_until(lambda: any(task_id in one.tail() for one in workers), 10, "a worker to take the message")
    victim = next(one for one in workers if task_id in one.tail())
    kill(victim, how)
    for worker in workers:
        worker.signal_children(signal.SIGCONT)
    with in_time(f"{how} killed before it began, until the job was done"):
        job = fleet.succeeded(job_id, TAKEOVER_S)
    assert job["attempts"] == 1
    assert fleet.runs(name) == {"begun": 1, "finished": 1}
