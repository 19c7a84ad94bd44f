"""Every ordinary tool of Celery and Flower, used on a worker or a task: the job runs, fails in words or is canceled."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from jobs.broker import broker_settings
from tests.e2e.fleet import Fleet
from tests.e2e.processes import ROOT
from tests.proxy import Proxy
from tests.servers import wait_until

ENDS_S = 40.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), max_attempts=2) as fleet:
        yield fleet.start("api", "generate1", "render")


@pytest.fixture(scope="module")
def celery(fleet: Fleet) -> Iterator[Celery]:
    """What `celery -A worker.app` and Flower use."""
    app = Celery("operator", set_as_current=False)
    app.conf.update(broker_settings(fleet.redis.url, longest_job_s=60))
    yield app
    app.close()


@pytest.fixture(scope="module")
def firewall(fleet: Fleet) -> Iterator[Proxy]:
    """Between Redis, which knows it as the user `guest`, and a second generate worker."""
    proxy = Proxy(fleet.redis.port)
    fleet.redis.client().execute_command("ACL", "SETUSER", "guest", "on", ">secret", "+@all", "&*", "allkeys")
    fleet.launch("generate2", REDIS_URL=proxy.url.replace("redis://", "redis://guest:secret@"))
    wait_until(lambda: generating(fleet, 1).get("ready"), 60, "the worker behind the firewall to be ready")
    yield proxy
    fleet.running["generate2"].close()
    proxy.close()


def order(celery: Celery, command: str, **arguments: Any) -> dict[str, Any]:
    """What the generate worker answers."""
    name = next(name for name in celery.control.inspect().stats() if name.startswith("generate1"))
    (answer,) = celery.control.broadcast(command, arguments=arguments, destination=[name], reply=True, timeout=5)
    return answer[name]


def occupied(fleet: Fleet, name: str) -> str:
    """Id of a job that holds the only generate worker until the test lets it go."""
    job_id = fleet.submit(name, pause_at="generate")
    fleet.paused(name, "generate")
    return job_id


def occupied_by_the_first(fleet: Fleet, name: str) -> str:
    """The same where there are two: the second one works on until the first has it."""
    for number in range(20):
        job_id = fleet.submit(f"{name}-{number}", pause_at="generate")
        fleet.paused(f"{name}-{number}", "generate")
        if fleet.runner_of(f"{name}-{number}").name == "generate1":
            return job_id
        fleet.let_go(f"{name}-{number}")
        fleet.succeeded(job_id)
    raise AssertionError("the first worker takes nothing")


def health(fleet: Fleet) -> dict[str, Any]:
    return fleet.http.get("/health").json()


def generating(fleet: Fleet, number: int = 0) -> dict[str, Any]:
    """What /health says of the generate worker that came first, or of another one."""
    process = fleet.process_of(f"generate{number + 1}")
    return next((one for one in health(fleet)["workers"] if process and one["id"] == process.id), {})


def test_a_task_revoked_while_it_waits_is_canceled_and_holds_up_nobody(fleet: Fleet, celery: Celery) -> None:
    holder = occupied(fleet, "revoke-holder")
    waits, joined = fleet.submit("revoked"), fleet.submit("revoked")
    task_id = fleet.job(waits)["task_id"]
    celery.control.revoke(task_id, reply=True)
    fleet.let_go("revoke-holder")
    fleet.succeeded(holder)
    for job_id in (waits, joined):
        job = fleet.ended(job_id, ENDS_S)
        assert (job["status"], job["task_id"]) == ("canceled", task_id)
        assert "revoked" in job["error"]["message"]
    fleet.succeeded(fleet.submit("revoked"))
    assert fleet.runs("revoked") == {"begun": 1, "finished": 1}


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
def test_a_task_terminated_while_it_runs_is_canceled(fleet: Fleet, celery: Celery, number: str) -> None:
    name = f"terminated-{number}"
    job_id = fleet.submit(name, seconds=60)
    fleet.wait_until_begun(name)
    celery.control.revoke(fleet.job(job_id)["task_id"], terminate=True, signal=number, reply=True)
    assert fleet.ended(job_id, ENDS_S)["status"] == "canceled"
    fleet.succeeded(fleet.submit(f"{name}-next"))
    assert fleet.runs(name) == {"begun": 1}


def test_a_task_that_was_sent_again_goes_by_its_new_name(fleet: Fleet, celery: Celery) -> None:
    """A worker that was killed gives its work back; by the old id every worker would discard it."""
    job_id = occupied(fleet, "renamed")
    before = fleet.job(job_id)["task_id"]
    celery.control.revoke(before, reply=True)
    fleet.running["generate1"].signal_children(signal.SIGKILL)
    wait_until(lambda: fleet.runs("renamed")["begun"] == 2, ENDS_S, "the work to begin again")
    job = fleet.succeeded(job_id)
    assert job["task_id"] != before
    assert job["task_id"] in fleet.running["generate1"].log.read_text()


def test_a_purged_queue_runs_all_the_same(fleet: Fleet, celery: Celery) -> None:
    holder = occupied(fleet, "purge-holder")
    waiting = [fleet.submit(f"purged-{number}") for number in range(3)]
    assert celery.control.purge() >= 0
    with celery.connection_for_write() as connection:
        for queue in ("generate", "render"):
            connection.default_channel.queue_purge(queue)
            connection.default_channel.queue_delete(queue)
    fleet.let_go("purge-holder")
    for job_id in (holder, *waiting):
        fleet.succeeded(job_id, ENDS_S)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("pool_grow", {"n": 1}), ("pool_shrink", {"n": 1}), ("autoscale", {"max": 3, "min": 0}), ("pool_restart", {}),
        ("rate_limit", {"task_name": "orfeas.generate", "rate_limit": "1/h"}),
    ],
)  # fmt: skip
def test_what_would_leave_work_waiting_is_refused_in_words(
    fleet: Fleet, celery: Celery, command: str, arguments: dict[str, Any]
) -> None:
    assert len(str(order(celery, command, **arguments)["error"])) > 10
    jobs = [fleet.submit(f"{command}-{number}") for number in range(2)]
    for job_id in jobs:
        fleet.succeeded(job_id, ENDS_S)


def test_time_limits_leave_nothing_waiting(fleet: Fleet, celery: Celery) -> None:
    """Celery heeds a new limit only once its consumer has connected again."""
    order(celery, "time_limit", task_name="orfeas.generate", soft=0.5, hard=1.0)
    job = fleet.ended(fleet.submit("limited", seconds=2), ENDS_S)
    order(celery, "time_limit", task_name="orfeas.generate", soft=None, hard=None)
    assert job["status"] == "succeeded" or len(job["error"]["message"]) > 10


def test_a_worker_that_no_longer_consumes_is_not_ready_and_comes_back_for_work(fleet: Fleet, celery: Celery) -> None:
    order(celery, "cancel_consumer", queue="generate")
    wait_until(lambda: not generating(fleet)["ready"], 10)
    assert generating(fleet)["alive"] and health(fleet)["status"] == "degraded"
    fleet.succeeded(fleet.submit("canceled-consumer"), ENDS_S)
    wait_until(lambda: health(fleet)["status"] == "ok", 15)


def test_a_render_worker_that_gets_generations_gives_them_to_others(fleet: Fleet, celery: Celery) -> None:
    name = next(name for name in celery.control.inspect().stats() if name.startswith("render"))
    holder = occupied(fleet, "add-holder")
    celery.control.add_consumer("generate", destination=[name], reply=True)
    waiting = fleet.submit("not-for-render")
    log = fleet.running["render"].log
    wait_until(lambda: "is not for this worker" in log.read_text(), 20, "the render worker to hand it on")
    fleet.let_go("add-holder")
    celery.control.cancel_consumer("generate", destination=[name], reply=True)
    for job_id in (holder, waiting):
        assert fleet.succeeded(job_id, ENDS_S)["attempts"] == 1


def test_a_shutdown_lets_the_running_job_end_and_keeps_what_waits(fleet: Fleet, celery: Celery) -> None:
    running, waiting = occupied(fleet, "shutdown"), fleet.submit("after-shutdown")
    name = next(name for name in celery.control.inspect().stats() if name.startswith("generate1"))
    celery.control.shutdown(destination=[name])
    fleet.let_go("shutdown")
    fleet.running["generate1"].wait(30)
    fleet.start("generate1")
    for job_id in (running, waiting):
        fleet.succeeded(job_id, ENDS_S)
    fleet.assert_nothing_left()


def test_a_worker_without_the_generator_leaves_its_jobs_to_one_that_has_it(fleet: Fleet) -> None:
    holder = occupied(fleet, "lack-holder")
    fleet.launch("generate2", PYTHONPATH=str(ROOT))
    try:
        wait_until(lambda: generating(fleet, 1).get("ready"), 60, "the worker without the lab to be ready")
        waiting = [fleet.submit(f"lack-{number}") for number in range(2)]
        log = fleet.running["generate2"].log
        wait_until(lambda: "has no generator 'lab'" in log.read_text(), 20, "it to hand them on")
        assert {one["name"]: one for one in fleet.http.get("/api/generators").json()["generators"]}["lab"]["available"]
        fleet.let_go("lack-holder")
        for job_id in (holder, *waiting):
            assert fleet.succeeded(job_id, ENDS_S)["attempts"] == 1
    finally:
        fleet.running["generate2"].close()


def test_a_worker_whose_queue_redis_refuses_is_not_ready(fleet: Fleet, firewall: Proxy) -> None:
    """An ACL user with all but the keys of the queue; the fleet's other worker does the work."""
    admin = fleet.redis.client()
    keys = ("~{*", "~_kombu*", "~unacked*", "~*pidbox*", "~*celeryev*")
    admin.execute_command("ACL", "SETUSER", "guest", "resetkeys", *keys)
    try:
        wait_until(lambda: not generating(fleet, 1)["ready"], 15, "the refused worker to be not ready")
        seen = [generating(fleet, 1) for _ in range(10)]
        assert all(one["alive"] and not one["ready"] for one in seen)
        assert generating(fleet)["ready"]
        fleet.succeeded(fleet.submit("beside-the-refused"), ENDS_S)
    finally:
        admin.execute_command("ACL", "SETUSER", "guest", "allkeys")
    wait_until(lambda: generating(fleet, 1)["ready"], 30, "it to be ready once it may")


def test_a_worker_whose_connection_was_lost_without_a_word_is_noticed_and_connects_again(
    fleet: Fleet, firewall: Proxy
) -> None:
    """A firewall that forgets a connection: the consumer waits for an answer that never comes, and nothing fails."""
    holder = occupied_by_the_first(fleet, "firewall-holder")
    firewall.strike(b"BRPOP", lambda client, request: None)
    assert firewall.struck.wait(10)
    job_id = fleet.submit("not-coming-through")
    wait_until(lambda: health(fleet)["stalled"]["generate"] == 1, 30, "the stall to be shown")
    assert health(fleet)["status"] == "degraded"
    fleet.succeeded(job_id, ENDS_S)
    fleet.let_go(str(fleet.job(holder)["params"]["name"]))
    fleet.succeeded(holder)
