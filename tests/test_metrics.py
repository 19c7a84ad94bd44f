"""What /metrics tells: true figures, few labels, and an answer also when Redis gives none."""

from __future__ import annotations

import io
import os
import re
import runpy
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from api.services import connect
from jobs.figures import BOUNDS_S
from tests.house import House, picture
from tests.servers import RedisServer, free_port, wait_until

ROOT = Path(__file__).parent.parent


class Metrics:
    """One scrape, to be asked by name and labels."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        found = [
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, f"no {name}{labels}"
        return sum(found)

    def __contains__(self, name: str) -> bool:
        return any(sample.name == name for sample in self.samples)


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def scrape(house: House) -> Metrics:
    answer = house.http.get("/metrics")
    assert answer.status_code == 200
    return Metrics(answer.text)


def submit(house: House, colour: str = "red", **fields: Any) -> str:
    data = fields | {"image": (io.BytesIO(picture(colour)), "a.png")}
    return house.http.post("/api/jobs", data=data).json["urls"]["self"]


def test_jobs_are_counted_by_end_by_tier_and_by_error(house: House) -> None:
    for _ in range(2):
        submit(house)
    house.work()
    submit(house)
    submit(house, fail="true")
    house.work()
    house.http.delete(submit(house, "blue"))
    told = scrape(house)
    assert told("orfeas_jobs_submitted_total") == 5
    assert {end: told("orfeas_jobs_ended_total", status=end) for end in ("succeeded", "failed", "canceled")} == {
        "succeeded": 3, "failed": 1, "canceled": 1,
    }  # fmt: skip
    assert [told("orfeas_jobs_served_total", cache=word) for word in ("MISS", "COALESCED", "HIT-L2", "HIT-L1")] == [
        1, 1, 1, 0,
    ]  # fmt: skip
    assert [told("orfeas_jobs_admitted_total", outcome=word) for word in ("new", "joined", "done")] == [3, 1, 1]
    assert told("orfeas_job_failures_total", code="no_surface") == 1
    assert told("orfeas_generations_total", cache="MISS") == 1


def test_durations_are_histograms_per_generator_and_queue(house: House) -> None:
    submit(house)
    submit(house, "blue")
    house.work()
    told = scrape(house)
    assert told("orfeas_generation_seconds_count", generator="box") == 2
    assert told("orfeas_generation_seconds_bucket", generator="box", le="+Inf") == 2
    assert told("orfeas_generation_seconds_bucket", generator="box", le="1800.0") == 2
    assert told("orfeas_generation_seconds_sum", generator="box") > 0
    assert told("orfeas_queue_wait_seconds_count", queue="generate") == 2
    assert told("orfeas_queue_wait_seconds_count", queue="render") == 0


def test_histograms_in_redis_and_in_metrics_have_the_same_bounds() -> None:
    line = re.search(r"BOUNDS_S = \{([^}]*)\}", (ROOT / "jobs/lua/core.lua").read_text())
    assert line is not None and tuple(float(bound) for bound in line[1].split(",")) == BOUNDS_S


def test_queues_and_workers_are_as_they_are(house: House) -> None:
    submit(house)
    told = scrape(house)
    assert told("orfeas_queue_depth", queue="generate") == 1 and told("orfeas_queue_limit") == 10_000
    assert told("orfeas_workers_alive", queue="generate", device="cpu") == 1
    assert told("orfeas_workers_alive", queue="render") == 0, "a queue that nobody serves is told as 0, not left out"
    assert told("orfeas_workers_busy", queue="generate") == 0


def test_tiers_tell_hits_misses_bytes_and_what_they_saved(house: House) -> None:
    submit(house)
    house.work()
    submit(house)
    house.agent.beat()
    told = scrape(house)
    assert told("orfeas_cache_hits_total", tier="shared") >= 1 and told("orfeas_cache_misses_total", tier="shared") >= 1
    assert told("orfeas_cache_bytes", tier="shared") > 0 < told("orfeas_cache_bytes", tier="local")
    assert told("orfeas_cache_evictions_total", tier="local", reason="count") == 0
    assert told("orfeas_cache_bytes_limit", tier="shared") > told("orfeas_cache_bytes", tier="shared")
    assert told("orfeas_gpu_seconds_saved_total") > 0 and told("orfeas_cache_shared_up") == 1
    house.agent.note_archive_usage(house.archive.trim())
    told = scrape(house)
    assert told("orfeas_cache_entries", tier="archive") == 2 and told("orfeas_cache_bytes", tier="archive") > 1000


def test_requests_are_timed_by_route_and_class_of_status(house: House) -> None:
    url = submit(house)
    house.http.get(url)
    house.http.get(url + "?wait=0.01")
    house.http.get(f"/api/jobs/{'0' * 32}")
    house.http.get("/nowhere/at/all")
    house.http.open("/api/jobs", method="BREW")
    told = scrape(house)
    route = "/api/jobs/<job_id>"
    count = "orfeas_http_request_seconds_count"
    assert told(count, method="GET", route=route, status="2xx") == 1
    assert told(count, route=f"{route}?wait") == 1, "held answers do not spoil the figures of quick ones"
    assert told(count, method="GET", route=route, status="4xx") == 1
    assert told(count, method="GET", route="none", status="4xx") == 1
    assert told(count, method="other") == 1
    assert told(count, method="POST", route="/api/jobs", status="2xx") == 1


def test_nothing_that_callers_choose_becomes_a_label(house: House) -> None:
    def ask_for_much(numbers: range) -> int:
        for number in numbers:
            house.http.get(f"/api/jobs/{number:032x}")
            house.http.get(f"/made/up/{number}")
            submit(house, label=f"mine-{number}")
        house.work()
        return len(scrape(house).samples)

    ask_for_much(range(2))
    ask_for_much(range(2, 4))
    assert ask_for_much(range(4, 10)) == ask_for_much(range(10, 50))


def test_every_error_code_is_told_from_the_start(house: House) -> None:
    told = scrape(house)
    assert all(told("orfeas_job_failures_total", code=code) == 0 for code in ("poison", "timeout", "storage_failed"))


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_without_redis_it_answers_soon_and_says_so(
    own_redis: Callable[..., RedisServer], tmp_path: Path, fault: str
) -> None:
    server = own_redis()
    house = House(connect(server.url), server.url, tmp_path).open()
    getattr(server, fault)()
    began = time.monotonic()
    told = scrape(house)
    took_s = time.monotonic() - began
    if fault == "freeze":
        server.thaw()
    assert told("orfeas_redis_up") == 0 and "orfeas_queue_depth" not in told
    assert took_s < 5
    house.close()


def test_with_keys_set_a_scrape_needs_one(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("ada",)).open()
    assert house.http.get("/metrics").status_code == 401
    assert house.http.get("/metrics", headers={"Authorization": "Bearer ada"}).status_code == 200
    house.close()


def test_openmetrics_is_spoken_to_whoever_asks_for_it(house: House) -> None:
    answer = house.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text") and answer.text.endswith("# EOF\n")


def test_several_gunicorn_processes_tell_the_sum_of_all(redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    killed_before = tmp_path / "orfeas-metrics-999999999-abc"
    killed_before.mkdir()
    environment = {
        "PATH": "/usr/bin:/bin", "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path),
        "API_PROCESSES": "3", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-m", "gunicorn", "-w", "3", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "api.wsgi:app"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{url}/health"), 60, f"gunicorn; its log is {tmp_path / 'log'}")
        assert not killed_before.exists(), "what a killed server left behind is swept"
        for _ in range(30):
            urllib.request.urlopen(f"{url}/api/generators", timeout=10).read()
        seen = [Metrics(urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()) for _ in range(6)]
        counts = {one("orfeas_http_request_seconds_count", route="/api/generators") for one in seen}
        assert counts == {30.0}, "whichever process answers"
        assert {one("orfeas_redis_up") for one in seen} == {1.0}
    finally:
        server.terminate()
        server.wait(20)
    assert not list(tmp_path.glob("orfeas-metrics-*")), "nothing is left behind"


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).read()
    except (urllib.error.URLError, OSError):
        return False
    return True


def test_a_reload_of_gunicorn_keeps_the_folder_that_processes_write_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP reads the file again in the same process."""
    remembered = f"ORFEAS_METRICS_OF_{os.getpid()}"
    monkeypatch.setenv(remembered, "")  # so that it is put back
    first, second = (runpy.run_path(str(ROOT / "gunicorn.conf.py")) for _ in range(2))
    assert first["raw_env"] == second["raw_env"]
    second["on_exit"](None)
