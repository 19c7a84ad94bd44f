"""Clocks jump by an hour while jobs run, Redis' own or those of all others: nobody is buried, nothing runs twice."""

from __future__ import annotations

import email.utils
import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache import CacheAgent, LRUCache, RedisCache, TieredCache
from jobs.webhooks import Outbox, Try
from tests.e2e.fleet import Fleet
from tests.faults.clocks import SEEN_S, Clock
from tests.house import House, picture
from tests.security.peak import bounded
from tests.servers import RedisServer, wait_until

HOUR_S = 3600
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECOVER_S = 15.0
PROGRAMS = ("api", "generate1", "generate2", "render")
WHO = {"redis": ("redis",), "all others": ("workers", "api")}


class Clocks:
    """One for each host of a fleet."""

    def __init__(self, folder: Path) -> None:
        self.of = {name: Clock(folder / name) for name in ("redis", "workers", "api")}

    def jump(self, fleet: Fleet, names: tuple[str, ...], by_s: int) -> None:
        """Returns when Redis and the API show it; workers read theirs as soon."""
        for name in names:
            self.of[name].jump(by_s)
        jumped_at = time.monotonic()
        shows = {"redis": lambda: redis_time(fleet), "api": lambda: api_time(fleet)}
        for name in set(names) & shows.keys():
            wait_until(lambda look=shows[name]: abs(look() - time.time() - by_s) < 60, 10, f"{name} to see its clock")
        wait_until(lambda: time.monotonic() - jumped_at > 2 * SEEN_S, 10)


def redis_time(fleet: Fleet) -> float:
    return float(fleet.redis.client().time()[0])


def api_time(fleet: Fleet) -> float:
    return email.utils.parsedate_to_datetime(fleet.http.get("/health").headers["Date"]).timestamp()


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    return Clocks(tmp_path_factory.mktemp("clocks"))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, clocks: Clocks) -> Iterator[Fleet]:
    redis = RedisServer(persist=True, environment=clocks.of["redis"].environment)
    # Beats so rare that the watch sees some that are an hour old, if it asks for that.
    with Fleet(tmp_path_factory.mktemp("fleet"), redis, heartbeat_s=2.0, heartbeat_timeout_s=5.0) as fleet:
        for name in PROGRAMS:
            fleet.launch(name, **clocks.of["api" if name == "api" else "workers"].environment)
        for name in PROGRAMS:
            fleet.wait_for(name)
        yield fleet


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
@pytest.mark.parametrize("who", WHO)
def test_a_clock_that_jumps_while_jobs_run_changes_nothing(fleet: Fleet, clocks: Clocks, who: str, by_s: int) -> None:
    name = f"{who.replace(' ', '-')}{by_s}"
    done = fleet.post(f"{name}-done", headers={"Idempotency-Key": name}).json()["id"]
    mesh_before = fleet.succeeded(done)["result"]["sha256"]
    running = [fleet.submit(f"{name}-{number}", pause_at="generate") for number in range(2)]
    for number in range(2):
        fleet.paused(f"{name}-{number}", "generate")
    queued = [fleet.submit(f"{name}-queued-{number}", priority="low") for number in range(3)]
    workers = alive(fleet)
    try:
        clocks.jump(fleet, WHO[who], by_s)
        # For longer than it takes to bury somebody.
        watched_from, silence_s = time.monotonic(), fleet.settings.heartbeat_timeout_s + 2
        while time.monotonic() - watched_from < silence_s:
            assert alive(fleet) == workers, "no live worker is taken for dead"
            time.sleep(0.1)
        for number in range(2):
            fleet.let_go(f"{name}-{number}")
        jumped_at = time.monotonic()
        new = fleet.submit(f"{name}-new")
        assert fleet.succeeded(new, RECOVER_S)["attempts"] == 1
        for job_id in running + queued:
            assert fleet.succeeded(job_id, RECOVER_S)["attempts"] == 1
        print(f"measured: clock of {who} by {by_s} s: all done {time.monotonic() - jumped_at:.1f} s later")
        for one in (*(f"{name}-{number}" for number in range(2)), *(f"{name}-queued-{number}" for number in range(3))):
            assert fleet.runs(one) == {"begun": 1, "finished": 1}
        if "workers" in WHO[who]:
            assert abs(noted_time(fleet, f"{name}-new") - time.time() - by_s) < 60, "the workers saw it too"
        assert fleet.succeeded(done)["result"]["sha256"] == mesh_before, "what is kept for a day is still there"
        again = fleet.post(f"{name}-done", headers={"Idempotency-Key": name})
        assert again.json()["id"] == done
        assert fleet.post(f"{name}-new").status_code == 200, "nothing is made twice"
        fleet.assert_nothing_left()
    finally:
        clocks.jump(fleet, WHO[who], 0)
    fleet.succeeded(fleet.submit(f"{name}-after"), RECOVER_S)
    assert alive(fleet) == workers


def test_a_webhook_that_was_due_before_the_clock_jumped_back_waits_no_hour(
    tmp_path: Path, clock: Clock, own_redis: Callable[..., RedisServer]
) -> None:
    server = own_redis(environment=clock.environment)
    house = House(
        server.client(decode_responses=True), server.url, tmp_path, webhook_secret=(SECRET,), webhook_allow_private=True
    ).open()
    order = {"webhook_url": "http://127.0.0.1:9/", "image": (io.BytesIO(picture()), "a.png")}
    job = house.http.post("/api/jobs", data=order).json
    house.work()
    outbox = Outbox(house.store)
    clock.jump(-HOUR_S)
    wait_until(lambda: server.client().time()[0] < time.time() - HOUR_S / 2)
    first = outbox.claim()
    assert first is not None and first.job_id == job["id"]
    outbox.settle(first, Try(datetime.now(UTC), 1, 500), again_s=60)
    assert outbox.claim() is None, "not before its time"
    clock.jump(-2 * HOUR_S)
    wait_until(outbox.claim, what="the second try, which was due an hour from now")
    house.close()


def test_a_redis_that_lost_everything_costs_its_processes_no_time_and_no_memory(
    clock: Clock, own_redis: Callable[..., RedisServer]
) -> None:
    """Its version counts on from its clock: a minute later it is sixty million ahead."""
    server = own_redis(environment=clock.environment)
    shared = RedisCache(server.url)
    agent = CacheAgent(TieredCache(LRUCache(), shared, None), shared, "worker")
    wait_until(agent.beat)
    clock.jump(60)
    wait_until(lambda: server.client().time()[0] > time.time() + 30)
    server.client().flushall()
    with bounded():
        wait_until(agent.beat)
    agent.close()


def alive(fleet: Fleet) -> set[tuple[str, int]]:
    """Who works, by ids that a process takes anew whenever it has to register again."""
    return {(worker.id, worker.pid) for worker in fleet.register.workers()}


def noted_time(fleet: Fleet, name: str) -> float:
    notes = [note.split() for note in (fleet.lab / "runs").read_text().splitlines()]
    return next(float(note[3]) for note in notes if note[0] == name)
