"""Workers are killed at every stage of a job, in every way; another one finishes it, in time, exactly once.

Three at once, each in another way: the child alone (a segfault, the kernel's out-of-memory killer), the parent, whose
children go with it, and the whole host.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.processes import Running
from tests.servers import wait_until

# With the default HEARTBEAT_S=2 and HEARTBEAT_TIMEOUT_S=10: at most this long after the kill it goes on elsewhere.
TAKEOVER_S = 15.0
LOST = ("child", "parent", "group")
GENERATE = ("generate1", "generate2", "generate3", "generate4")  # one is left alone


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The heartbeats that are the defaults, since the bound stands in the documents."""
    with Fleet(tmp_path_factory.mktemp("fleet"), heartbeat_s=2.0, heartbeat_timeout_s=10.0) as fleet:
        yield fleet.start("api", *GENERATE, "render")


@pytest.fixture(autouse=True)
def _restored(fleet: Fleet) -> Iterator[None]:
    """What a supervisor does; each test has seen before that others do not need it."""
    for name in GENERATE:
        fleet.wait_for(name)
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


def kill_at(fleet: Fleet, stage: str) -> dict[str, str]:
    """Three jobs on three workers come to the stage, and the workers die; answers the ids by what was killed."""
    jobs = {how: fleet.submit(f"{stage}-{how}", pause_at=stage) for how in LOST}
    victims = {how: fleet.whose(fleet.paused(f"{stage}-{how}", stage)) for how in LOST}
    for how, victim in victims.items():
        kill(victim, how)
    return jobs


def all_in_time(stage: str, done: dict[str, Callable[[], object]]) -> None:
    """Each comes true within the bound, and prints when."""
    killed_at, took_s = time.monotonic(), {}

    def look() -> bool:
        for how in done.keys() - took_s.keys():
            if done[how]():
                took_s[how] = time.monotonic() - killed_at
        return took_s.keys() == done.keys()

    wait_until(look, TAKEOVER_S, f"all to be taken over that were killed {stage}; {took_s}")
    print(f"measured: killed {stage}: " + ", ".join(f"{how} {took_s[how]:.1f} s" for how in LOST))


def finish_in_time(fleet: Fleet, stage: str, jobs: dict[str, str]) -> dict[str, dict[str, object]]:
    statuses = ("succeeded", "failed")
    done = {how: lambda job_id=job_id: fleet.job(job_id)["status"] in statuses for how, job_id in jobs.items()}
    all_in_time(stage, done)
    return {how: fleet.succeeded(job_id) for how, job_id in jobs.items()}


def test_workers_killed_in_generate_are_taken_over(fleet: Fleet) -> None:
    jobs = kill_at(fleet, "generate")
    all_in_time("in generate", {how: lambda how=how: fleet.runs(f"generate-{how}")["begun"] == 2 for how in jobs})
    for how, job_id in jobs.items():
        job = fleet.succeeded(job_id)
        assert (job["attempts"], job["cache"]) == (2, "MISS"), how
        assert fleet.runs(f"generate-{how}") == {"begun": 2, "finished": 1}


def test_workers_killed_between_archive_and_state_are_taken_over_without_a_second_run(fleet: Fleet) -> None:
    jobs = kill_at(fleet, "state")
    for how, job in finish_in_time(fleet, "between archive and state", jobs).items():
        assert job["attempts"] == 2, how
        assert job["cache"] in ("HIT-L2", "HIT-ARCHIVE"), "the mesh was kept already"
        assert fleet.runs(f"state-{how}") == {"begun": 1, "finished": 1}


def test_workers_killed_in_rendition_are_taken_over_by_the_render_queue(fleet: Fleet) -> None:
    jobs = kill_at(fleet, "render")
    for how, job in finish_in_time(fleet, "in a rendition", jobs).items():
        assert job["attempts"] == 2, how
        assert fleet.runs(f"render-{how}") == {"begun": 1, "finished": 1}


def test_workers_killed_before_they_began_lose_only_a_message(fleet: Fleet) -> None:
    """Each message is with a worker that has not claimed anything yet: nobody owns the work."""
    workers = [fleet.running[name] for name in GENERATE]
    for worker in workers:
        worker.signal_children(signal.SIGSTOP)
    jobs = {how: fleet.submit(f"before-{how}") for how in LOST}
    tasks = {how: fleet.job(job_id)["task_id"] for how, job_id in jobs.items()}
    wait_until(lambda: all(taken_by(workers, task) for task in tasks.values()), 10, "workers to take the messages")
    for how, task in tasks.items():
        kill(taken_by(workers, task)[0], how)
    for worker in workers:
        worker.signal_children(signal.SIGCONT)
    for how, job in finish_in_time(fleet, "before they began", jobs).items():
        assert job["attempts"] == 1, how
        assert fleet.runs(f"before-{how}") == {"begun": 1, "finished": 1}


def taken_by(workers: list[Running], task_id: str) -> list[Running]:
    return [worker for worker in workers if task_id in worker.tail()]
