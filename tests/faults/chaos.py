"""Load that never ends and blows at random, for the tests that let both loose on a fleet."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter

import httpx
import psutil

from tests.e2e.fleet import Fleet

WORKERS = ("generate1", "generate2", "generate3", "render")
EVERY_S = (0.5, 3.0)
DEEP_ENOUGH = 20  # works that wait; more of them would measure the queue and not the fleet


class Load:
    """Submits without pause, each order under an idempotency key that it repeats until it has an answer."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.fleet = fleet
        self.chance = chance
        self.accepted: dict[str, str] = {}
        self.canceled: set[str] = set()
        self.refused = Counter[int]()

    def run(self, stop: threading.Event) -> None:
        """At random, as long as things break: some work takes a moment, and has to be taken over."""
        while not stop.wait(self.chance.uniform(0.0, 0.12)):
            self.order(seconds=self.chance.choice((0, 0.1, 0.4)))

    def run_fast(self, stop: threading.Event) -> None:
        """As many as the fleet can do, each as short as it can be."""
        while not stop.wait(0.0 if self.fleet.store.depths()["generate"] < DEEP_ENOUGH else 0.05):
            self.order(seconds=0)

    def order(self, *, seconds: float) -> None:
        number = len(self.accepted)
        again = self.chance.random() < 0.3
        name = f"load-{self.chance.randrange(number + 1) if again else number}"
        fields = {
            "seconds": seconds,
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
        self.blows = {
            self.kill_child: 5, self.kill_host: 2, self.stop_worker: 2, self.freeze: 2, self.kill_api: 2,
            self.restart_redis: 1, self.freeze_redis: 1,
        }  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self.chance.uniform(*EVERY_S)):
            blow = self.chance.choices(list(self.blows), list(self.blows.values()))[0]
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

    def restart_redis(self) -> None:
        self.fleet.redis.kill()
        time.sleep(self.chance.uniform(0.0, 2.0))
        self.fleet.redis.start()

    def freeze_redis(self) -> None:
        self.fleet.redis.freeze()
        time.sleep(self.chance.uniform(0.5, self.fleet.settings.heartbeat_timeout_s + 2))
        self.fleet.redis.thaw()

    def raise_the_dead(self) -> None:
        for name in WORKERS:
            if not self.fleet.running[name].alive:
                self.fleet.launch(name)
