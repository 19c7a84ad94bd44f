"""Redis goes away in every way it can; callers hear so at once, nothing accepted is lost, and nobody is restarted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.fleet import Fleet, ended
from tests.servers import RedisServer, wait_until

ANSWER_S = 1.0  # a caller hears 503 within this, whatever Redis does
HANGS_S = 30.0
RECOVER_S = 15.0  # once Redis is back, a new job runs within this


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet.start("api", "generate1", "generate2", "render")


def assert_refuses_quickly(fleet: Fleet, *, also_reads: bool = True) -> None:
    calls = [lambda: fleet.post("refused")]
    if also_reads:
        calls += [lambda: fleet.http.get("/api/jobs/" + "0" * 32), lambda: fleet.http.get("/ready")]
    longest_s = 0.0
    for call in calls * 2:
        begun = time.monotonic()
        answer = call()
        longest_s = max(longest_s, time.monotonic() - begun)
        assert longest_s < ANSWER_S
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["retryable"] is True
    print(f"measured: 503 within {longest_s:.2f} s")


def assert_recovers(fleet: Fleet, name: str) -> None:
    """A new job is accepted and runs, on both workers, though no process was restarted."""
    pids = {one.name: one.pid for one in fleet.running.values()}
    begun = time.monotonic()
    wait_until(lambda: fleet.post(f"{name}-first").status_code in (200, 202), RECOVER_S, "a job to be accepted")
    fleet.succeeded(fleet.submit(f"{name}-first"), RECOVER_S)
    print(f"measured: {name}: a job was accepted and done {time.monotonic() - begun:.1f} s after Redis came back")
    jobs = [fleet.submit(f"{name}-{number}", seconds=0.5) for number in range(6)]
    for job in jobs:
        fleet.succeeded(job)
    workers = {worker.pid for worker in fleet.register.workers() if worker.queue == "generate"}
    assert len(workers) == 2
    done_by = {line.split()[2] for line in (fleet.lab / "runs").read_text().splitlines() if f"{name}-" in line}
    assert len(done_by) == 2, "both workers consume again"
    assert {one.name: one.pid for one in fleet.running.values() if one.alive} == pids
    fleet.assert_nothing_left()


def test_redis_restarted_with_its_data_loses_nothing(fleet: Fleet) -> None:
    running = [fleet.submit(f"aof-running-{number}", pause_at="generate") for number in range(2)]
    for number in range(2):
        fleet.paused(f"aof-running-{number}", "generate")
    queued = [fleet.submit(f"aof-queued-{number}") for number in range(3)]
    fleet.redis.kill()
    assert_refuses_quickly(fleet)
    fleet.redis.start()
    for number in range(2):
        fleet.let_go(f"aof-running-{number}")
    for job_id in running + queued:
        fleet.succeeded(job_id)
    assert [fleet.runs(f"aof-running-{number}") for number in range(2)] == [{"begun": 1, "finished": 1}] * 2
    assert_recovers(fleet, "aof")


def test_a_redis_that_hangs_is_answered_for_and_waited_out(fleet: Fleet) -> None:
    job_id = fleet.submit("hung-running", pause_at="generate")
    fleet.paused("hung-running", "generate")
    fleet.redis.freeze()
    try:
        assert_refuses_quickly(fleet)
        frozen_at = time.monotonic()
        # Far longer than HEARTBEAT_TIMEOUT_S: nobody could beat, yet nobody is buried for it.
        wait_until(lambda: time.monotonic() - frozen_at > HANGS_S, HANGS_S + 5)
    finally:
        fleet.redis.thaw()
    fleet.let_go("hung-running")
    job = fleet.succeeded(job_id)
    assert job["attempts"] == 1, "the worker lived all the time"
    assert fleet.runs("hung-running") == {"begun": 1, "finished": 1}
    assert_recovers(fleet, "hung")


def test_a_result_made_while_redis_is_away_is_not_made_again(fleet: Fleet) -> None:
    job_id = fleet.submit("away", pause_at="state")
    fleet.paused("away", "state")
    fleet.redis.kill()
    fleet.let_go("away")
    log = fleet.running["generate1"].log, fleet.running["generate2"].log
    wait_until(lambda: any("Redis failed in the middle" in one.read_text() for one in log), 20, "the worker to give up")
    fleet.redis.start()
    back_at = time.monotonic()
    assert fleet.succeeded(job_id)["cache"] in ("HIT-L1", "HIT-L2", "HIT-ARCHIVE")
    print(f"measured: away at the end: the job was done {time.monotonic() - back_at:.1f} s after Redis came back")
    assert fleet.runs("away") == {"begun": 1, "finished": 1}


def test_a_full_redis_refuses_new_jobs_and_finishes_accepted_ones(fleet: Fleet) -> None:
    running = [fleet.submit(f"oom-running-{number}", pause_at="generate") for number in range(2)]
    for number in range(2):
        fleet.paused(f"oom-running-{number}", "generate")
    queued = [fleet.submit(f"oom-queued-{number}") for number in range(3)]
    admin = fleet.redis.client()
    admin.config_set("maxmemory", 1)
    try:
        assert_refuses_quickly(fleet, also_reads=False)
        assert fleet.job(running[0])["status"] == "running", "reading goes on"
        for number in range(2):
            fleet.let_go(f"oom-running-{number}")
        wait_until(lambda: all(ended(fleet.job(job_id)) for job_id in running), 20, "the accepted ones to end")
    finally:
        admin.config_set("maxmemory", 0)
        for number in range(2):
            fleet.let_go(f"oom-running-{number}")
    for job_id in running + queued:
        assert fleet.succeeded(job_id)["attempts"] == 1
    assert_recovers(fleet, "oom")


def test_a_read_only_redis_refuses_new_jobs_and_is_waited_out(fleet: Fleet) -> None:
    job_id = fleet.submit("read-only", pause_at="generate")
    fleet.paused("read-only", "generate")
    admin = fleet.redis.client()
    admin.replicaof("127.0.0.1", 1)  # a failover that left us with a replica
    try:
        assert_refuses_quickly(fleet, also_reads=False)
        assert fleet.job(job_id)["status"] == "running"
    finally:
        admin.replicaof("NO", "ONE")
        fleet.let_go("read-only")
    fleet.succeeded(job_id)
    assert_recovers(fleet, "read-only")


def test_redis_restarted_empty_forgets_jobs_but_no_result(fleet: Fleet) -> None:
    done = fleet.submit("kept")
    fleet.succeeded(done)
    running = fleet.submit("forgotten", pause_at="generate")
    fleet.paused("forgotten", "generate")
    fleet.redis.kill()
    shutil.rmtree(fleet.redis.folder / "appendonlydir")
    fleet.redis.start()
    for job_id in (done, running):
        answer = fleet.http.get(f"/api/jobs/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    wait_until(fleet.ready, RECOVER_S, "the workers to announce their generators again")
    again = fleet.post("kept")
    assert again.status_code == 200
    assert again.headers["X-Cache"] == "HIT-ARCHIVE"
    assert fleet.runs("kept") == {"begun": 1, "finished": 1}
    fleet.let_go("forgotten")
    assert_recovers(fleet, "empty")


def test_everything_may_be_started_before_redis(tmp_path_factory: pytest.TempPathFactory) -> None:
    fleet = Fleet(tmp_path_factory.mktemp("early"), RedisServer(persist=True))
    try:
        for name in ("api", "generate1", "render"):
            fleet.launch(name)
        health = lambda: fleet.http.get("/health", timeout=2).json()  # noqa: E731
        wait_until(lambda: _answers(fleet), 30, "the API to live")
        assert health()["redis"] == "down"
        assert_refuses_quickly(fleet)
        wait_until(lambda: "Trying again" in fleet.running["generate1"].tail(), 30, "the worker to wait and say so")
        fleet.redis.start()
        started_at = time.monotonic()
        wait_until(fleet.ready, RECOVER_S, "the API to be ready")
        fleet.succeeded(fleet.submit("early"), RECOVER_S)
        print(f"measured: there at last: a job was accepted and done {time.monotonic() - started_at:.1f} s later")
    except BaseException:
        fleet.show_logs()
        raise
    finally:
        fleet.__exit__(None)


def _answers(fleet: Fleet) -> bool:
    try:
        return fleet.http.get("/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
