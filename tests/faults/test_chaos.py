"""Random kills and freezes under load: every accepted job ends once, nothing is stuck, nothing is left behind.

A minute in CI; `ORFEAS_CHAOS_S=600` makes it the soak. The seed is printed, and `ORFEAS_CHAOS_SEED` sets it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.fleet import Fleet
from tests.servers import wait_until

CHAOS_S = float(os.environ.get("ORFEAS_CHAOS_S", "60"))
SEED = int(os.environ.get("ORFEAS_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
WORKERS = ("generate1", "generate2", "generate3", "render")
EVERY_S = (0.5, 3.0)
SETTLE_S = 90.0


class Load:
    """Submits without pause, each order under an idempotency key that it repeats until it has an answer."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.fleet = fleet
        self.chance = chance
        self.accepted: dict[str, str] = {}
        self.canceled: set[str] = set()
        self.refused = Counter[int]()

    def run(self, stop: threading.Event) -> None:
        number = 0
        while not stop.wait(self.chance.uniform(0.0, 0.12)):
            self.order(number)
            number += 1

    def order(self, number: int) -> None:
        again = self.chance.random() < 0.3
        name = f"load-{self.chance.randrange(number + 1) if again else number}"
        fields = {
            "seconds": self.chance.choice((0, 0.1, 0.4)),
            "format": self.chance.choice(("glb", "stl")),
            "priority": self.chance.choice(("high", "normal", "low")),
        }
        job_id = self.submit(f"key-{number}", name, fields)
        self.accepted[f"key-{number}"] = job_id
        if self.chance.random() < 0.05:
            with contextlib.suppress(httpx.TransportError):
                if self.fleet.http.delete(f"/api/jobs/{job_id}").status_code == 200:
                    self.canceled.add(job_id)

    def submit(self, key: str, name: str, fields: dict[str, object]) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                answer = self.fleet.post(name, headers={"Idempotency-Key": key}, **fields)
                if answer.status_code in (200, 202):
                    return answer.json()["id"]
                assert answer.status_code == 503, answer.text
                self.refused[answer.status_code] += 1
            time.sleep(0.05)
        raise AssertionError(f"{key} was not accepted for a minute")


class Chaos:
    """Kills and freezes at random; what is dead is started again, as a supervisor would."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.fleet = fleet
        self.chance = chance
        self.done = Counter[str]()

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self.chance.uniform(*EVERY_S)):
            blow = self.chance.choices(
                (self.kill_child, self.kill_host, self.stop_worker, self.freeze, self.kill_api), (5, 2, 2, 2, 2)
            )[0]
            blow()
            self.done[blow.__name__] += 1
            self.raise_the_dead()

    def kill_child(self) -> None:
        self.fleet.running[self.chance.choice(WORKERS)].signal_children(signal.SIGKILL)

    def kill_host(self) -> None:
        self.fleet.running[self.chance.choice(WORKERS)].kill_group()

    def stop_worker(self) -> None:
        worker = self.fleet.running[self.chance.choice(WORKERS)]
        worker.signal(signal.SIGTERM)
        with contextlib.suppress(Exception):
            worker.wait(self.fleet.settings.stop_grace_s)
        worker.kill_group()

    def freeze(self) -> None:
        worker = self.fleet.running[self.chance.choice(WORKERS)]
        worker.signal_group(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.5, self.fleet.settings.heartbeat_timeout_s + 2))
        worker.signal_group(signal.SIGCONT)

    def kill_api(self) -> None:
        """One of the two gunicorn processes; their parent starts another."""
        children = self.fleet.running["api"].children()
        if children:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.chance.choice(children).kill()

    def raise_the_dead(self) -> None:
        for name in WORKERS:
            if not self.fleet.running[name].alive:
                self.fleet.launch(name)


@pytest.mark.timeout(CHAOS_S + 300)
def test_random_kills_lose_no_job_and_double_none(tmp_path: Path) -> None:
    print(f"ORFEAS_CHAOS_SEED={SEED} ORFEAS_CHAOS_S={CHAOS_S:g}")
    with Fleet(tmp_path, api_processes=2, generate_workers=3, max_attempts=50) as fleet:
        fleet.start("api", *WORKERS)
        load, chaos = Load(fleet, random.Random(SEED)), Chaos(fleet, random.Random(SEED + 1))
        stop, failures = threading.Event(), []

        def guarded(run) -> None:
            try:
                run(stop)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(one.run,)) for one in (load, chaos)]
        for thread in threads:
            thread.start()
        stop.wait(CHAOS_S)
        stop.set()
        for thread in threads:
            thread.join(90)
        assert not failures, failures
        chaos.raise_the_dead()

        begun = time.monotonic()
        jobs = list(load.accepted.values())
        wait_until(lambda: not unended(fleet, jobs), SETTLE_S, f"all jobs to end; {len(unended(fleet, jobs))} have not")
        print(f"measured: {len(jobs)} jobs under {dict(chaos.done)}; all ended {time.monotonic() - begun:.1f} s later")
        assert len(set(jobs)) == len(jobs), "each idempotency key stands for one job"
        statuses = Counter(fleet.job(job_id)["status"] for job_id in jobs)
        print(statuses, load.refused)
        assert statuses["failed"] == 0
        # A cancel whose answer was lost may have counted as well.
        assert statuses["canceled"] >= len(load.canceled)
        counters = fleet.store.redis.hgetall(f"{fleet.store.prefix}:counters")
        assert int(counters["submitted"]) == len(jobs)
        assert int(counters["succeeded"]) == statuses["succeeded"], "no job ended twice"
        for job_id in jobs[:: max(1, len(jobs) // 50)]:
            if fleet.job(job_id)["status"] == "succeeded":
                fleet.succeeded(job_id)
        wait_until(lambda: not fleet.busy(), 20, "every claim to be given back")
        fleet.assert_nothing_left()


def unended(fleet: Fleet, jobs: list[str]) -> list[str]:
    found = fleet.store.jobs(jobs)
    assert all(job is not None for job in found), "a job is lost"
    return [job.id for job in found if job is not None and not job.ended]
