"""Many pictures in one call, through HTTP and through our own client."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from api.batch import Picture, taken
from api.ordering import order_from
from client import Client
from client.models import Job, Refusal
from tests.house import House, picture
from tests.servers import RedisServer

COLOURS = ("red", "blue", "green")


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, max_upload_mb=0.1, max_batch_mb=0.5).open()
    yield house
    house.close()


def submit(house: House, images: list[bytes], headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    files = [(io.BytesIO(image), f"{number}.png") for number, image in enumerate(images)]
    data = fields | {"images": files}
    return house.http.post("/api/jobs/batch", data=data, headers=headers, content_type="multipart/form-data")


def refusals(answer: TestResponse) -> list[str | None]:
    return [None if "id" in row else row["error"]["code"] for row in answer.json["jobs"]]


def pictures() -> list[bytes]:
    return [picture(colour) for colour in COLOURS]


def test_each_picture_becomes_a_job_of_its_own_with_the_fields_of_all(house: House) -> None:
    answer = submit(house, pictures(), label="all", depth="0.7")
    assert answer.status_code == 202
    assert [(job["status"], job["label"], job["params"]["depth"]) for job in answer.json["jobs"]] == [
        ("queued", "all", 0.7)
    ] * 3
    house.work()
    assert house.workshop.box.runs == 3
    for job in answer.json["jobs"]:
        assert house.http.get(job["urls"]["self"]).json["status"] == "succeeded"


def test_a_fault_of_ours_with_one_picture_takes_no_job_away_from_the_others(house: House) -> None:
    def fails() -> bytes:
        raise UnicodeError("nobody thought of it")

    reads = [lambda: picture("red"), fails, lambda: picture("blue")]
    with house.app.test_request_context("/api/jobs/batch", method="POST"):
        house.app.preprocess_request()
        rows = list(taken(house.services, [Picture(read) for read in reads], order_from({}, {})))
    assert [row.get("status") for row in rows] == ["queued", None, "queued"]
    problem = rows[1]["error"]
    assert (problem["status"], problem["code"]) == (500, "internal_error") and "nobody" not in problem["detail"]


def test_a_broken_picture_spoils_none_of_the_others(house: House) -> None:
    answer = submit(house, [picture("red"), b"no picture", picture("blue")])
    assert answer.status_code == 202
    first, broken, last = answer.json["jobs"]
    assert first["status"] == last["status"] == "queued"
    assert broken["error"]["code"] == "bad_image" and broken["error"]["status"] == 400


def test_one_too_large_among_small_ones_is_refused_alone(house: House) -> None:
    answer = submit(house, [picture(), picture() + b"0" * 200_000])
    assert answer.status_code == 202
    assert answer.json["jobs"][1]["error"]["code"] == "image_too_large"


def test_all_there_already_is_200(house: House) -> None:
    submit(house, pictures())
    house.work()
    again = submit(house, pictures())
    assert again.status_code == 200
    assert {job["cache"] for job in again.json["jobs"]} == {"HIT-L2"}


def test_the_same_picture_twice_is_made_once(house: House) -> None:
    first, second = submit(house, [picture(), picture()]).json["jobs"]
    assert first["id"] != second["id"] and second["cache"] == "COALESCED"


def test_json_takes_a_list(house: House) -> None:
    text = base64.b64encode(picture()).decode()
    images = [text, f"data:image/png;base64,{text}", "%%%"]
    answer = house.http.post("/api/jobs/batch", json={"images": images, "format": "stl"})
    good, joined, bad = answer.json["jobs"]
    assert good["options"]["format"] == "stl" and joined["cache"] == "COALESCED"
    assert bad["error"]["errors"][0]["field"] == "images"


@pytest.mark.parametrize(
    ("count", "fields", "field"),
    [
        (0, {}, "images"),
        (101, {}, "images"),
        (1, {"size_mm": "-1"}, "size_mm"),
        (1, {"webhook_url": "x"}, "webhook_url"),
    ],
)
def test_what_concerns_all_of_them_refuses_the_call(
    house: House, count: int, fields: dict[str, str], field: str
) -> None:
    answer = submit(house, [picture()] * count, **fields)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field
    assert house.http.get("/api/jobs").json["jobs"] == []


@pytest.mark.parametrize("body", [[], "text", {"images": "text"}, {"images": [1]}, {}], ids=str)
def test_json_of_another_shape_is_refused(house: House, body: object) -> None:
    assert house.http.post("/api/jobs/batch", json=body).status_code in (400, 422)


def test_other_media_types_and_strange_files_are_refused(house: House) -> None:
    assert house.http.post("/api/jobs/batch", data=b"x", content_type="image/png").status_code == 415
    strange = {"images": (io.BytesIO(picture()), "a.png"), "image": (io.BytesIO(picture()), "a.png")}
    assert house.http.post("/api/jobs/batch", data=strange).json["errors"][0]["field"] == "image"


def test_the_whole_upload_has_its_own_limit(house: House) -> None:
    fits = submit(house, [picture() + b"0" * 90_000] * 4)
    assert fits.status_code == 202, "more than one upload may have"
    too_much = submit(house, [picture() + b"0" * 90_000] * 7)
    assert too_much.status_code == 413 and "MAX_BATCH_MB" in too_much.json["detail"]


def test_an_idempotency_key_answers_the_same_jobs(house: House) -> None:
    key = {"Idempotency-Key": "order-66"}
    first, again = submit(house, pictures(), headers=key), submit(house, pictures(), headers=key)
    assert [job["id"] for job in first.json["jobs"]] == [job["id"] for job in again.json["jobs"]]
    other = submit(house, [*pictures()[:2], picture("white")], headers=key)
    assert refusals(other) == [None, None, "idempotency_conflict"]


def test_a_queue_that_fills_up_refuses_the_rest(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, queue_limit=2).open()
    answer = submit(house, pictures())
    assert answer.status_code == 202
    assert refusals(answer) == [None, None, "queue_full"]
    nothing = submit(house, [picture("white")])
    assert nothing.status_code == 503 and int(nothing.headers["Retry-After"]) > 0
    house.close()


def test_a_redis_that_is_away_is_asked_once_and_the_call_may_be_repeated(
    own_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = own_redis()
    house = House(server.client(decode_responses=True), server.url, tmp_path).open()
    server.kill()
    answer = submit(house, pictures())
    assert answer.status_code == 503 and answer.json["code"] == "redis_unavailable"
    assert answer.headers["Retry-After"] == "5"
    house.close()


def test_our_client_reads_what_the_service_answers(house: House) -> None:
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Client(f"http://127.0.0.1:{server.port}") as client:
            taken, refused = client.submit_batch([picture(), b"no picture"], label="mine")
    finally:
        server.shutdown()
    assert isinstance(taken, Job) and taken.label == "mine" and taken.status == "queued"
    assert isinstance(refused, Refusal) and refused.index == 1 and refused.problem["code"] == "bad_image"


def test_each_picture_counts_for_the_rate_limit(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("ada",), rate_limit="5/minute").open()
    ada = {"Authorization": "Bearer ada"}
    taken = submit(house, pictures(), headers=ada)
    assert taken.status_code == 202 and taken.headers["RateLimit-Remaining"] == "2"
    refused = submit(house, pictures(), headers=ada)
    assert refused.status_code == 429 and refused.json["code"] == "rate_limited" and refused.json["retryable"] is True
    assert "2 are left" in refused.json["detail"] and "RATE_LIMIT" in refused.json["detail"]
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert house.store.redis.hget("{orfeas}:counters", "submitted") == "3", "none of the second three was taken"
    assert submit(house, pictures()[:1], headers=ada).status_code == 202, "the refused call itself was one request"
    house.close()


def test_more_pictures_than_a_caller_may_ever_send_at_once_are_refused_with_their_number(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("ada",), rate_limit="2/minute").open()
    refused = submit(house, pictures(), headers={"Authorization": "Bearer ada"})
    assert refused.status_code == 429 and refused.json["retryable"] is False
    assert "at most 2 in one call" in refused.json["detail"]
    house.close()


def test_all_routes_share_one_budget(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("ada",), rate_limit="3/minute").open()
    paths = ("/api/jobs", "/api/generators", f"/api/jobs/{'0' * 32}", "/api/generators")
    codes = [house.http.get(path, headers={"Authorization": "Bearer ada"}).status_code for path in paths]
    assert codes == [200, 200, 404, 429]
    house.close()
