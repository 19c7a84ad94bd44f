"""Bad input gets a clear answer and harms nothing."""

from __future__ import annotations

import base64
import io
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


def _base64_as_programs_write_it() -> dict[str, str]:
    data = picture(size=(67, 43), kind="BMP")  # over one line, and with all of the alphabet
    one_line, lines = base64.b64encode(data).decode(), base64.encodebytes(data).decode()
    url_safe = base64.urlsafe_b64encode(data).decode()
    return {
        "one line": one_line,
        "lines of 76": lines,
        "MIME": lines.replace("\n", "\r\n"),
        "indented": "".join(f"    {line}\n" for line in lines.splitlines()),
        "space around": f" \t{one_line}\n\n",
        "unpadded": one_line.rstrip("="),
        "url-safe": url_safe,
        "url-safe, unpadded": url_safe.rstrip("="),
        "data URI": f"data:image/bmp;base64,{one_line}",
        "data URI, lines": f"data:image/bmp;base64,\n{lines}",
        "capitals": f"DATA:IMAGE/BMP;BASE64,{one_line}",
        "no type": f"data:;base64,{one_line}",
        "no type at all": f"data:base64,{one_line}",
        "parameters": f'data:image/bmp;charset=utf-8;name="a b.bmp";base64,{one_line}',
        "spaces": f"\n data: image/bmp ; base64 , {one_line}",
        "percent-encoded": f"data:image/bmp;base64,{quote(one_line, safe='')}",
        "url-safe data URI": f"data:application/octet-stream;base64,{url_safe.rstrip('=')}",
    }


def test_base64_is_read_as_programs_write_it(house: House) -> None:
    written = _base64_as_programs_write_it()
    answers = {name: house.http.post("/api/jobs", json={"image": text}) for name, text in written.items()}
    assert {name for name, answer in answers.items() if answer.status_code not in (200, 202)} == set()
    assert len({answer.json["key"] for answer in answers.values()}) == 1, "all are the same picture"
    rows = house.http.post("/api/jobs/batch", json={"images": list(written.values())}).json["jobs"]
    assert {row["key"] for row in rows} == {answers["one line"].json["key"]}
    house.work()


@pytest.mark.parametrize(
    "image",
    ["A", "AAAAA", "AA=A", "====", "data:image/png,AAAA", "data:image/png;base64", "data:;base32,AAAA", "AAA*", "AAé="],
)
def test_what_is_nearly_base64_is_refused(house: House, image: str) -> None:
    assert house.http.post("/api/jobs", json={"image": image}).json["errors"][0]["field"] == "image"


def test_a_picture_of_the_largest_size_may_come_in_lines_of_base64(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, max_upload_mb=8).open()
    data = picture()
    lines = base64.encodebytes(data + bytes(8 * 2**20 - len(data))).decode().replace("\n", "\r\n")
    assert house.http.post("/api/jobs", json={"image": lines}).status_code == 202
    house.close()


def _form(*fields: tuple[str, object]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="a.png"\r\n\r\n' + value if isinstance(value, bytes) else f"\r\n\r\n{value}".encode())
        for name, value in fields
    ]
    return b"\r\n".join([*parts, b"--b--\r\n"])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ([("image", picture()), ("image", picture("blue"))], "image"),
        ([("image", picture()), ("image", picture())], "image"),
        ([("image", picture()), ("image", b"")], "image"),
        ([("image", picture()), ("image", "")], "image"),
        ([("image", picture()), ("format", "stl"), ("format", "obj")], "format"),
        ([("image", picture()), ("format", "stl"), ("format", "stl")], "format"),
        ([("format", ""), ("image", picture()), ("format", "stl")], "format"),
        ([("image", picture()), ("depth", "1"), ("depth", "2")], "depth"),
        ([("label", "a"), ("image", picture()), ("label", "b")], "label"),
        ([("image", picture()), ("generator", "box"), ("generator", "box")], "generator"),
    ],
)
def test_a_field_that_is_sent_twice_is_refused(house: House, fields: list[tuple[str, object]], named: str) -> None:
    answer = house.http.post("/api/jobs", data=_form(*fields), content_type="multipart/form-data; boundary=b")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, named)
    assert named != "image" or "/api/jobs/batch" in answer.json["detail"]
    if named != "image":
        many = [("images", value) if name == "image" else (name, value) for name, value in fields]
        answer = house.http.post("/api/jobs/batch", data=_form(*many), content_type="multipart/form-data; boundary=b")
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, named)


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch"])
@pytest.mark.parametrize(
    "more", ['"format": "stl", "format": "obj"', '"label": "a", "label": "a"', '"depth": 1, "depth": 2']
)
def test_a_name_that_stands_twice_in_json_is_refused(house: House, path: str, more: str) -> None:
    image = base64.b64encode(picture()).decode()
    body = f'{{"image": "{image}", "images": ["{image}"], {more}}}'
    answer = house.http.post(path, data=body, content_type="application/json")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == more.split('"')[1]


@pytest.mark.parametrize("text", ["\ud800", "caf\udce9", "\0", "\u202e", "é" * 200])
def test_texts_that_no_file_can_hold_are_no_server_error(house: House, text: str) -> None:
    image = base64.b64encode(picture()).decode()
    for body in (
        {"label": text},
        {"generator": text},
        {"depth": text},
        {text: 1},
        {"webhook_url": text},
        {"image": text},
    ):
        for path, pictures in (("/api/jobs", {"image": image}), ("/api/jobs/batch", {"images": [image]})):
            answer = house.http.post(path, data=json.dumps(pictures | body), content_type="application/json")
            assert answer.status_code < 500, (path, body, answer.json)
    house.work()


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
