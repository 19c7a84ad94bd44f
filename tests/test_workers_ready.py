"""Ready means consuming: what health, metrics, doctor and the containers' check say of a worker that takes no work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from deploy import healthcheck
from deploy.doctor.fleet import worker_findings
from jobs.fleet import WorkerInfo
from tests.house import House

GENERATE = WorkerInfo(id="g", slot="g", host=socket.gethostname(), pid=1, queue="generate")
RENDER = WorkerInfo(id="r", slot="r", host=socket.gethostname(), pid=2, queue="render")


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path)
    yield house
    house.close()


def beats(house: House, *workers: WorkerInfo) -> None:
    for worker in workers:
        house.fleet.register(worker, [])
        house.fleet.beat(worker)


@pytest.mark.parametrize(
    ("workers", "status"),
    [
        ([GENERATE, RENDER], "ok"),
        ([replace(GENERATE, consuming=False), RENDER], "degraded"),
        ([replace(GENERATE, consuming=False), replace(GENERATE, id="g2", slot="g2"), RENDER], "ok"),
        ([GENERATE, replace(RENDER, consuming=False)], "degraded"),
        ([GENERATE, replace(RENDER, threads_gone=("watch",))], "degraded"),
        ([GENERATE], "degraded"),
    ],
)
def test_health_is_ok_only_when_each_queue_has_a_worker_that_takes_its_work(
    house: House, workers: list[WorkerInfo], status: str
) -> None:
    beats(house, *workers)
    told = house.http.get("/health").json
    assert told["status"] == status
    assert {one["id"]: (one["alive"], one["ready"], one["threads_gone"]) for one in told["workers"]} == {
        one.id: (True, one.consuming, list(one.threads_gone)) for one in workers
    }


@pytest.mark.parametrize("queue", ["generate", "render"])
def test_a_stall_is_shown_for_as_long_as_it_lasts(house: House, queue: str) -> None:
    beats(house, GENERATE, RENDER)
    house.store.note_stall(queue, 7)
    told, metrics = house.http.get("/health").json, house.http.get("/metrics").text
    assert (told["status"], told["stalled"][queue], sum(told["stalled"].values())) == ("degraded", 7, 7)
    assert f'orfeas_queue_stalled{{queue="{queue}"}} 7.0' in metrics
    assert f'orfeas_stalled_works_sent_again_total{{queue="{queue}"}} 7.0' in metrics
    assert 0 < house.store.redis.ttl(f"{house.store.prefix}:stalled:{queue}") <= 12
    house.store.redis.delete(f"{house.store.prefix}:stalled:{queue}")
    assert house.http.get("/health").json["status"] == "ok"


@pytest.mark.parametrize("consuming", [True, False])
def test_doctor_metrics_and_the_containers_check_agree(house: House, consuming: bool) -> None:
    beats(house, replace(GENERATE, consuming=consuming))
    (finding, _render) = worker_findings(house.store.redis, house.settings, runs=True)
    assert ("take no work" in finding.says) != consuming
    assert f'orfeas_workers_ready{{queue="generate"}} {float(consuming)}' in house.http.get("/metrics").text
    assert (healthcheck.worker(house.settings) is None) == consuming


def test_the_containers_check_lets_a_worker_finish_that_was_told_to_stop(house: House) -> None:
    beats(house, replace(GENERATE, consuming=False, doing="inflate 76afd304a39b"))
    assert healthcheck.worker(house.settings) is None


def test_a_worker_of_a_version_that_does_not_say_counts_as_ready(house: House) -> None:
    beats(house, GENERATE, RENDER)
    for name in ("g", "r"):
        house.store.redis.hdel(f"{house.store.prefix}:worker:{name}", "consuming", "threads_gone")
    assert house.http.get("/health").json["status"] == "ok"
