"""Jobs over REST: submit, follow, list, cancel, and what comes back."""

from __future__ import annotations

import base64
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from tests.house import House, picture
from tests.servers import wait_until


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def submit(
    house: House, image: bytes | None = None, headers: dict[str, str] | None = None, **fields: Any
) -> TestResponse:
    data = fields | {"image": (io.BytesIO(picture() if image is None else image), "picture.png")}
    return house.http.post("/api/jobs", data=data, headers=headers)


def test_a_picture_becomes_a_mesh(house: House) -> None:
    accepted = submit(house)
    assert accepted.status_code == 202 and accepted.headers["X-Cache"] == "MISS"
    assert accepted.json["status"] == "queued"
    house.work()
    job = house.http.get(accepted.headers["Location"]).json
    assert (job["status"], job["cache"], job["progress"]) == ("succeeded", "MISS", 100)
    assert job["result"]["faces"] == 12 and job["result"]["watertight"] is True
    assert max(job["result"]["size_mm"]) == pytest.approx(50)
    mesh = house.http.get(job["urls"]["model"])
    assert mesh.data[:4] == b"glTF" and mesh.content_type == "model/gltf-binary"


def test_json_with_base64_or_a_data_uri_is_taken_too(house: House) -> None:
    text = base64.b64encode(picture()).decode()
    first = house.http.post("/api/jobs", json={"image": text, "depth": 0.7})
    second = house.http.post("/api/jobs", json={"image": f"data:image/png;base64,{text}", "depth": 0.7})
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.headers["X-Cache"] == "COALESCED"
    assert first.json["params"]["depth"] == 0.7


def test_a_repeat_is_answered_at_once_without_any_queue(house: House) -> None:
    submit(house)
    house.work()
    again = submit(house)
    assert again.status_code == 200 and again.headers["X-Cache"] == "HIT-L2"
    assert again.json["status"] == "succeeded" and again.json["result"]["faces"] == 12
    assert house.inbox.messages == [] and house.workshop.box.runs == 1


def test_a_finished_result_survives_the_loss_of_both_caches(house: House) -> None:
    submit(house)
    house.work()
    house.local.clear()
    house.store.redis.flushall()
    house.open()
    again = submit(house)
    assert again.status_code == 200 and again.headers["X-Cache"] == "HIT-ARCHIVE"
    assert house.http.get(again.json["urls"]["model"]).status_code == 200
    assert house.workshop.box.runs == 1


@pytest.mark.parametrize(
    "other",
    [{"format": "stl"}, {"size_mm": 80}, {"target_faces": 8}, {"up_axis": "z"}],
    ids=lambda other: next(iter(other)),
)
def test_another_form_of_a_mesh_is_never_generated_again(house: House, other: dict[str, Any]) -> None:
    submit(house)
    house.work()
    again = submit(house, **other)
    assert again.status_code == 202
    assert [message.queue for message in house.inbox.messages] == ["render"]
    house.work()
    job = house.http.get(again.headers["Location"]).json
    assert (job["status"], job["cache"]) == ("succeeded", "HIT-L2")
    assert house.workshop.box.runs == 1


def test_identical_submissions_in_flight_are_made_once(house: House) -> None:
    answers = [submit(house) for _ in range(5)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS"] + ["COALESCED"] * 4
    assert house.work() == 1
    assert {house.http.get(answer.headers["Location"]).json["status"] for answer in answers} == {"succeeded"}
    assert house.workshop.box.runs == 1


def test_no_cache_makes_it_anew(house: House) -> None:
    submit(house)
    house.work()
    again = submit(house, headers={"Cache-Control": "no-cache"})
    assert again.status_code == 202
    house.work()
    assert house.workshop.box.runs == 2
    assert house.http.get(again.headers["Location"]).json["cache"] == "MISS"


def test_without_submit_lookup_the_workers_own_lookup_answers(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, submit_lookup=False).open()
    served = []
    for forget_local in (False, False, True):
        if forget_local:
            house.local.clear()
        accepted = submit(house)
        assert accepted.status_code == 202
        house.work()
        served.append(house.http.get(accepted.headers["Location"]).json["cache"])
    assert served == ["MISS", "HIT-L1", "HIT-L2"]
    assert house.workshop.box.runs == 1


def test_a_disabled_cache_serves_nobody_twice(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, disable_result_cache=True).open()
    for _ in range(2):
        accepted = submit(house)
        house.work()
        assert house.http.get(accepted.headers["Location"]).json["cache"] == "MISS"
    assert house.workshop.box.runs == 2


def test_a_failure_is_told_in_words(house: House) -> None:
    accepted = submit(house, fail="true")
    house.work()
    job = house.http.get(accepted.headers["Location"]).json
    assert job["status"] == "failed" and job["error"]["code"] == "no_surface" and job["error"]["retryable"] is False
    download = house.http.get(job["urls"]["model"])
    assert download.status_code == 409 and download.json["code"] == "job_failed"


def test_wait_holds_the_answer_until_the_job_ends(house: House) -> None:
    accepted = submit(house)
    worker = threading.Timer(0.2, house.work)
    worker.start()
    job = house.http.get(accepted.headers["Location"] + "?wait=30").json
    worker.join()
    assert job["status"] == "succeeded"


def test_wait_gives_up_after_its_seconds(house: House) -> None:
    accepted = submit(house)
    assert house.http.get(accepted.headers["Location"] + "?wait=0.1").json["status"] == "queued"


def test_cancel_ends_a_queued_job_and_a_second_cancel_is_a_conflict(house: House) -> None:
    url = submit(house).headers["Location"]
    assert house.http.delete(url).json["status"] == "canceled"
    assert house.http.delete(url).status_code == 409
    assert house.http.get(url).json["error"]["code"] == "canceled"
    house.work()
    assert house.workshop.box.runs == 0


@pytest.mark.parametrize("form", ["generation", "rendition"])
def test_a_worker_that_waits_for_the_archive_stops_when_its_job_is_canceled(
    house: House, tmp_path: Path, form: str
) -> None:
    if form == "rendition":
        submit(house)
        house.work()
    job = submit(house, format="ply").json
    results = tmp_path / "archive" / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.touch()  # nothing can be stored in a folder that is a file
    worker = threading.Thread(target=house.work)
    worker.start()
    wait_until(lambda: house.http.get(job["urls"]["self"]).json["stage"] == "store", what="it waits for the archive")
    assert house.http.delete(job["urls"]["self"]).status_code == 200
    worker.join(5.0)
    assert not worker.is_alive(), "without a look at the job it waits for 15 s"
    assert house.attending.held == {} and house.store.depths() == {"generate": 0, "render": 0}


def test_an_idempotency_key_answers_the_same_job_and_refuses_another_body(house: House) -> None:
    key = {"Idempotency-Key": "order-66"}
    first, again = submit(house, headers=key), submit(house, headers=key)
    assert first.json["id"] == again.json["id"]
    other = submit(house, headers=key, size_mm=80)
    assert other.status_code == 409 and other.json["code"] == "idempotency_conflict"


def test_listing_pages_from_the_newest_by_cursor_and_filters(house: House) -> None:
    ids = [
        submit(house, label="odd" if number % 2 else "even", depth=0.1 + number / 10).json["id"] for number in range(5)
    ]
    page = house.http.get("/api/jobs?limit=2").json
    assert [job["id"] for job in page["jobs"]] == ids[:2:-1]
    rest = house.http.get(f"/api/jobs?limit=10&cursor={page['next_cursor']}").json
    assert [job["id"] for job in rest["jobs"]] == ids[2::-1] and rest["next_cursor"] is None
    odd = house.http.get("/api/jobs?label=odd").json
    assert [job["id"] for job in odd["jobs"]] == [ids[3], ids[1]]
    house.work()
    assert house.http.get("/api/jobs?status=queued").json["jobs"] == []
    assert len(house.http.get("/api/jobs?status=succeeded&generator=box").json["jobs"]) == 5


def test_a_full_queue_answers_503_with_a_time_to_come_back(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, queue_limit=1).open()
    submit(house, picture("red"))
    refused = submit(house, picture("blue"))
    assert refused.status_code == 503 and refused.json["code"] == "queue_full"
    assert int(refused.headers["Retry-After"]) > 0


def test_a_request_id_is_taken_over_or_made(house: House) -> None:
    assert house.http.get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = house.http.get("/health", headers={"X-Request-ID": "no good\t"}).headers["X-Request-ID"]
    assert made and made != "no good\t"


def test_generators_are_listed_with_their_schema(house: House) -> None:
    (box,) = house.http.get("/api/generators").json["generators"]
    assert box["name"] == "box" and box["available"] and box["parameters"]["properties"]["depth"]["default"] == 0.5


def test_ready_only_once_a_worker_has_said_hello(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path)
    assert house.http.get("/ready").status_code == 503
    assert house.http.get("/health").status_code == 200
    assert submit(house).json["code"] == "no_generators"
    house.open()
    assert house.http.get("/ready").json == {"ready": True}
