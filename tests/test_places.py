"""Who waits holds a thread; nobody is let to hold them all, and who finds no place hears at once how things stand."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.house import House, picture
from tests.servers import wait_until

THREADS = 16
SHARE = 7  # half of seven eighths
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADA, BOB = {"Authorization": "Bearer ada"}, {"Authorization": "Bearer bob"}


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, api_threads=THREADS, api_keys=("ada", "bob"), rate_limit="0").open()
    yield house
    house.close()


def submit(house: House, who: dict[str, str]) -> dict[str, Any]:
    image = {"image": (io.BytesIO(picture()), "a.png")}
    return house.http.post("/api/jobs", data=image, headers=who).json


def waited_s(house: House, job: dict[str, Any], who: dict[str, str], wait_s: float) -> float:
    begun = time.monotonic()
    answer = house.app.test_client().get(f"{job['urls']['self']}?wait={wait_s}", headers=who)
    assert answer.status_code == 200 and answer.json["status"] == "queued"
    return time.monotonic() - begun


def test_one_callers_streams_leave_places_for_others(house: House) -> None:
    mine, others = submit(house, ADA), submit(house, BOB)
    streams = [house.http.get(mine["urls"]["events"], headers=ADA, buffered=False) for _ in range(SHARE)]
    refused = house.http.get(mine["urls"]["events"], headers=ADA)
    assert refused.status_code == 503 and refused.json["code"] == "streams_full"
    anothers = house.http.get(others["urls"]["events"], headers=BOB, buffered=False)
    assert anothers.status_code == 200
    for stream in (*streams, anothers):
        stream.close()
    assert house.app.extensions["orfeas-gate"].open == 0


def test_one_callers_long_polls_leave_places_for_others(house: House) -> None:
    """Beyond its share a caller is answered at once, as if it had not asked to wait."""
    mine, others = submit(house, ADA), submit(house, BOB)
    threads = [threading.Thread(target=waited_s, args=(house, mine, ADA, 3)) for _ in range(SHARE)]
    for thread in threads:
        thread.start()
    wait_until(lambda: house.app.extensions["orfeas-gate"].open == SHARE)
    assert waited_s(house, mine, ADA, 30) < 1
    assert waited_s(house, others, BOB, 0.5) >= 0.5
    for thread in threads:
        thread.join()
    assert house.app.extensions["orfeas-gate"].open == 0


def test_tests_of_webhooks_take_places_too(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """Their receivers may take their time."""
    house = House(
        text_redis, redis_url, tmp_path, api_threads=3, api_keys=("ada",), webhook_secret=(SECRET,),
        webhook_allow_private=True,
    ).open()  # fmt: skip
    stream = house.http.get(submit(house, ADA)["urls"]["events"], headers=ADA, buffered=False)
    refused = house.http.post("/api/webhooks/test", json={"url": "http://127.0.0.1:9/"}, headers=ADA)
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    stream.close()
    assert house.http.post("/api/webhooks/test", json={"url": "http://127.0.0.1:9/"}, headers=ADA).status_code == 200
    house.close()


def test_without_keys_one_caller_has_all_the_places(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_threads=THREADS).open()
    job = submit(house, {})
    streams = [house.http.get(job["urls"]["events"], buffered=False) for _ in range(2 * SHARE)]
    assert {stream.status_code for stream in streams} == {200}
    for stream in streams:
        stream.close()
    house.close()
