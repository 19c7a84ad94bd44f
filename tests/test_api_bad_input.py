"""Bad input gets a clear answer and harms nothing."""

from __future__ import annotations

import base64
import io
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.house import House, picture
from tests.servers import RedisServer
from tests.test_api_jobs import submit
from tests.test_pictures import animated_gif, bomb


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, max_upload_mb=1).open()
    yield house
    assert house.store.depths() == {"generate": 0, "render": 0}, "bad input must leave no work behind"
    house.close()


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 400, "bad_image"),
        (b"just some text, renamed to .png", 400, "bad_image"),
        (picture()[:-15], 400, "bad_image"),
        (animated_gif(), 400, "bad_image"),
        (bomb(), 413, "image_too_large"),
        (b"\x89PNG" + bytes(1_100_000), 413, "image_too_large"),
        (b"\x89PNG" + bytes(9_000_000), 413, "image_too_large"),
    ],
    ids=["empty", "text", "truncated", "animated", "bomb", "over the limit", "far over the limit"],
)
def test_what_is_no_acceptable_picture_is_refused_with_words(
    house: House, image: bytes, status: int, code: str
) -> None:
    answer = submit(house, image)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status and len(answer.json["detail"]) > 10 and answer.json["retryable"] is False


def test_a_bomb_costs_neither_time_nor_memory(house: House) -> None:
    submit(house, bomb(60_000))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    assert submit(house, bomb()).status_code == 413
    assert time.perf_counter() - started < 0.1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"generator": "sculptor"}, None),
        ({"depth": "7"}, "depth"),
        ({"depth": "deep"}, "depth"),
        ({"colour": "red"}, "colour"),
        ({"format": "fbx"}, "format"),
        ({"size_mm": "-1"}, "size_mm"),
        ({"size_mm": "nan"}, "size_mm"),
        ({"target_faces": "2"}, "target_faces"),
        ({"seed": "-1"}, "seed"),
        ({"priority": "now"}, "priority"),
        ({"label": "x" * 300}, "label"),
    ],
    ids=str,
)
def test_a_field_that_is_not_taken_is_named(house: House, fields: dict[str, Any], field: str | None) -> None:
    answer = submit(house, **fields)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json.get("errors", ())] == ([field] if field else [])


def test_a_missing_picture_is_named(house: House) -> None:
    for answer in (
        house.http.post("/api/jobs", data={"x": "1"}, content_type="multipart/form-data"),
        house.http.post("/api/jobs", json={}),
    ):
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "image"


def test_a_stray_file_field_is_named(house: House) -> None:
    data = {"image": (io.BytesIO(picture()), "a.png"), "mask": (io.BytesIO(picture()), "b.png")}
    answer = house.http.post("/api/jobs", data=data)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "mask"


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff\xfe", b"null"], ids=str)
def test_json_that_is_no_object_is_refused(house: House, body: bytes) -> None:
    answer = house.http.post("/api/jobs", data=body, content_type="application/json")
    assert answer.status_code == 400 and answer.json["code"] == "bad_json"


@pytest.mark.parametrize("image", ["not base64!", "data:image/png;base64,???", 7], ids=str)
def test_an_image_that_is_no_base64_is_named(house: House, image: object) -> None:
    answer = house.http.post("/api/jobs", json={"image": image})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "image"


def test_a_wrong_parameter_type_in_json_is_named(house: House) -> None:
    image = base64.b64encode(picture()).decode()
    answer = house.http.post("/api/jobs", json={"image": image, "depth": [1], "size_mm": {"x": 1}})
    assert answer.status_code == 422


def test_another_content_type_is_refused(house: House) -> None:
    answer = house.http.post("/api/jobs", data=picture(), content_type="image/png")
    assert answer.status_code == 415 and "multipart/form-data" in answer.json["detail"]


def test_a_wrong_method_says_which_are_right(house: House) -> None:
    answer = house.http.put("/api/jobs", data=b"")
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("job_id", ["f" * 32, "short", "..%2f..%2fetc", "F" * 32, "%00"])
def test_an_unknown_or_odd_id_is_not_found(house: House, job_id: str) -> None:
    answer = house.http.get(f"/api/jobs/{job_id}")
    assert answer.status_code == 404 and answer.content_type == "application/problem+json"


def test_an_unknown_path_is_a_problem_too(house: House) -> None:
    answer = house.http.get("/nowhere")
    assert answer.status_code == 404 and answer.json["code"] == "not_found"


def test_a_bad_cursor_or_wait_is_named(house: House) -> None:
    assert house.http.get("/api/jobs?cursor=x").json["errors"][0]["field"] == "cursor"
    assert house.http.get(f"/api/jobs/{'f' * 32}?wait=900").json["errors"][0]["field"] == "wait"


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_redis_that_is_down_or_hangs_is_answered_within_a_second(own_redis: Any, tmp_path: Path, fault: str) -> None:
    from api import create_app
    from api.services import build_services
    from settings import Settings

    server: RedisServer = own_redis()
    app = create_app(build_services(Settings(redis_url=server.url, data_dir=tmp_path)))
    house = House(server.client(decode_responses=True), server.url, tmp_path).open()
    http = app.test_client()
    data = lambda: {"image": (io.BytesIO(picture()), "a.png")}  # noqa: E731
    assert http.post("/api/jobs", data=data()).status_code == 202
    getattr(server, fault)()
    for ask in (
        lambda: http.post("/api/jobs", data=data()),
        lambda: http.get("/api/jobs"),
        lambda: http.get(f"/api/jobs/{'f' * 32}"),
    ):
        started = time.monotonic()
        answer = ask()
        assert time.monotonic() - started < 1.0
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
        assert answer.json["code"] == "redis_unavailable"
    assert http.get("/health").json["redis"] == "down"
    house.close()
