"""Work that kills, hangs or starves its workers ends with a clear word, and the workers go on with the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest
from kombu import Connection

from tests.e2e.fleet import Fleet
from tests.servers import wait_until


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), job_time_limit_s=6.0) as fleet:
        yield fleet.start("api", "generate1", "generate2", "render")


def test_an_input_that_kills_every_worker_fails_as_poison_while_others_flow(fleet: Fleet) -> None:
    begun = time.monotonic()
    poison = fleet.submit("poison", goes="deadly")
    others = [fleet.submit(f"beside-{number}", seconds=0.2) for number in range(5)]
    for job_id in others:
        fleet.succeeded(job_id)
    job = fleet.ended(poison)
    print(f"measured: poison failed {time.monotonic() - begun:.1f} s after it was sent, with three workers' deaths")
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert (job["error"]["code"], job["error"]["retryable"]) == ("poison", False)
    assert "MAX_ATTEMPTS" in job["error"]["message"]
    assert fleet.runs("poison") == {"begun": 3}
    wait_until(lambda: fleet.process_of("generate1") and fleet.process_of("generate2"), 30, "both workers to be back")
    for number in range(4):
        fleet.succeeded(fleet.submit(f"after-poison-{number}"))
    assert fleet.runs("poison") == {"begun": 3}, "no crash loop"
    fleet.assert_nothing_left()


def test_a_hung_model_is_ended_by_the_limit_and_its_worker_is_usable_again(fleet: Fleet) -> None:
    hung, begun = fleet.submit("hung", goes="hung"), time.monotonic()
    job = fleet.ended(hung, limit_s=fleet.settings.job_time_limit_s + 10)
    print(
        f"measured: hung, limit of {fleet.settings.job_time_limit_s:g} s: ended after {time.monotonic() - begun:.1f} s"
    )
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "timeout", 1)
    assert "JOB_TIME_LIMIT_S" in job["error"]["message"]
    wait_until(lambda: fleet.process_of("generate1") and fleet.process_of("generate2"), 30, "both workers to be back")
    for number in range(4):
        fleet.succeeded(fleet.submit(f"after-hung-{number}"))
    fleet.assert_nothing_left()


def test_native_code_that_stands_still_costs_nobody_their_worker_for_long(fleet: Fleet) -> None:
    """No thread of such a process runs any more: no heartbeat, no time limit, no signal handler."""
    stuck, begun = fleet.submit("stuck", goes="frozen"), time.monotonic()
    job = fleet.ended(stuck, limit_s=90)
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "poison", 3)
    pids = {line.split()[2] for line in (fleet.lab / "runs").read_text().splitlines() if line.startswith("stuck ")}
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids), 40, "the stuck processes to be ended")
    print(f"measured: stands still: three processes were ended within {time.monotonic() - begun:.1f} s")
    wait_until(lambda: fleet.process_of("generate1") and fleet.process_of("generate2"), 30, "both workers to be back")
    for number in range(4):
        fleet.succeeded(fleet.submit(f"after-stuck-{number}"))


def test_out_of_memory_is_tried_again_and_says_so(fleet: Fleet) -> None:
    begun = time.monotonic()
    job = fleet.ended(fleet.submit("greedy", goes="out_of_memory"))
    print(f"measured: out of memory three times: failed after {time.monotonic() - begun:.1f} s")
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert (job["error"]["code"], job["error"]["retryable"]) == ("out_of_memory", True)
    assert fleet.runs("greedy") == {"begun": 3}


@pytest.mark.parametrize(("goes", "code"), [("refused", "no_surface"), ("wrong", "generation_failed")])
def test_what_trying_again_cannot_help_fails_at_once_for_everybody(fleet: Fleet, goes: str, code: str) -> None:
    jobs = [fleet.submit(f"never-{goes}", goes=goes) for _ in range(3)]
    for job_id in jobs:
        job = fleet.ended(job_id)
        assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", code, False)
    assert "Traceback" not in str(fleet.job(jobs[0]))


def test_a_generation_longer_than_the_brokers_redelivery_runs_once(fleet: Fleet) -> None:
    job_id = fleet.submit("long", seconds=4)
    fleet.wait_until_begun("long")
    task_id = fleet.job(job_id)["task_id"]
    # The smallest time-out set by any client of a broker wins, and here comes one with a second.
    with Connection(fleet.redis.url, transport_options={"visibility_timeout": 1}) as hasty:
        wait_until(lambda: redelivered(fleet, hasty, task_id), 10, "the message to be delivered again")
    assert fleet.job(job_id)["status"] == "running"
    assert fleet.succeeded(job_id)["attempts"] == 1
    assert fleet.runs("long") == {"begun": 1, "finished": 1}


def redelivered(fleet: Fleet, hasty: Connection, task_id: str) -> bool:
    hasty.default_channel.qos.restore_visible(interval=1)
    logs = (fleet.running[name].log.read_text() for name in ("generate1", "generate2"))
    return sum(log.count(f"[{task_id}] received") for log in logs) >= 2
