"""Downloads speak HTTP as RFC 9110 has it: ranges, conditions, and what of both has to be ignored."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from api.conditional import ranges
from tests.house import House
from tests.test_api_jobs import submit
from tests.test_api_results import render_worker  # noqa: F401  # a fixture

RESULT = "model.glb"


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


@pytest.fixture
def done(house: House) -> str:
    """URL of a finished job."""
    url = submit(house).headers["Location"]
    house.work()
    return url


def get(house: House, url: str, **headers: str) -> TestResponse:
    return house.http.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


_GOOD = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-", 0, None),
    ("bytes=10-19", 10, 20),
    ("bytes=-7", -7, None),
    ("bytes=-99999999", 0, None),
    ("bytes=5-99999999", 5, None),
    ("bytes=5-" + "9" * 40, 5, None),
    ("Bytes=3-4", 3, 5),
    ("bytes= 3-4 ", 3, 5),
    ("bytes=3-4,", 3, 5),
]


def test_one_range_is_answered_with_its_bytes(house: House, done: str) -> None:
    whole = get(house, f"{done}/{RESULT}")
    for asked, first, last in _GOOD:
        part = get(house, f"{done}/{RESULT}", Range=asked)
        start = first % len(whole.data) if first < 0 else first
        assert part.status_code == 206 and part.data == whole.data[first:last]
        assert part.headers["Content-Range"] == f"bytes {start}-{start + len(part.data) - 1}/{len(whole.data)}"
        assert int(part.headers["Content-Length"]) == len(part.data)
        for name in ("ETag", "Cache-Control", "Content-Disposition", "Content-Type"):
            assert part.headers[name] == whole.headers[name]


_IGNORED = [
    "pages=1-2", "items=0-4", "bytes", "bytes=", "bytes=abc", "bytes=5-2", "bytes=--5", "bytes=1-2-3",
    "bytes=0x1-2", "bytes=1.5-3", "none", "0-5", "bytes:0-5", "bytes=0-1,9-5", "bytes=" + "1" * 5000 + "-",
    "bytes=٣-٤", "=", ",",
]  # fmt: skip


def test_units_and_sets_that_nobody_knows_are_ignored(house: House, done: str) -> None:
    for asked in _IGNORED:
        answer = house.http.get(f"{done}/{RESULT}", headers={"Range": asked.encode().decode("latin-1")})
        assert answer.status_code == 200 and answer.data[:4] == b"glTF" and "Content-Range" not in answer.headers
        assert answer.headers["Accept-Ranges"] == "bytes"


_SEVERAL = ["bytes=0-1,5-6", "bytes=0-,-5", "bytes=5-6,99999999-", "bytes=0-0" + ",1-1" * 300]  # fmt: skip


def test_several_ranges_are_answered_with_the_whole(house: House, done: str) -> None:
    for asked in _SEVERAL:
        answer = get(house, f"{done}/{RESULT}", Range=asked)
        assert answer.status_code == 200 and answer.data == get(house, f"{done}/{RESULT}").data


_OUTSIDE = ["bytes=99999999-", "bytes=99999999-99999999", "bytes=-0", "bytes=99999999-,-0"]  # fmt: skip


def test_no_byte_in_the_file_is_416_and_says_how_many_there_are(house: House, done: str) -> None:
    for asked in _OUTSIDE:
        size_bytes = len(get(house, f"{done}/{RESULT}").data)
        answer = get(house, f"{done}/{RESULT}", Range=asked)
        assert (answer.status_code, answer.json["code"]) == (416, "requested_range_not_satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{size_bytes}"


def test_only_get_knows_ranges(house: House, done: str) -> None:
    whole = get(house, f"{done}/{RESULT}")
    answer = house.http.head(f"{done}/{RESULT}", headers={"Range": "bytes=0-9"})
    assert answer.status_code == 200 and answer.headers["Content-Length"] == whole.headers["Content-Length"]


_IF_RANGE = [
    ("{etag}", 206), ("W/{etag}", 200), ('"other"', 200), ("{bare}", 200), ("*", 200), ("{date}", 200),
    ("{etag}, {etag}", 200), ("", 200),
]  # fmt: skip


def test_a_range_counts_only_if_the_version_is_the_same(house: House, done: str) -> None:
    for if_range, status in _IF_RANGE:
        etag = get(house, f"{done}/{RESULT}").headers["ETag"]
        condition = if_range.format(etag=etag, bare=etag.strip('"'), date=formatdate(usegmt=True))
        assert get(house, f"{done}/{RESULT}", Range="bytes=0-9", If_Range=condition).status_code == status
        beyond = get(house, f"{done}/{RESULT}", Range="bytes=99999999-", If_Range=condition)
        assert beyond.status_code == (416 if status == 206 else 200)


_CONDITIONS = [
    ({"If-None-Match": "{etag}"}, 304),
    ({"If-None-Match": "W/{etag}"}, 304),
    ({"If-None-Match": '"other", {etag}'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"other"'}, 200),
    ({"If-None-Match": "{etag}", "Range": "bytes=0-9"}, 304),
    ({"If-None-Match": '"other"', "Range": "bytes=0-9"}, 206),
    ({"If-None-Match": "{etag}", "Range": "bytes=99999999-"}, 304),
    ({"If-Match": "{etag}"}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": '"other"'}, 412),
    ({"If-Match": "W/{etag}"}, 412),
    ({"If-Match": '"other"', "Range": "bytes=0-9"}, 412),
    ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304),
    ({"If-Modified-Since": formatdate(usegmt=True)}, 200),
]  # fmt: skip


def test_conditions_are_judged_in_the_order_of_the_rfc(house: House, done: str) -> None:
    for condition, status in _CONDITIONS:
        etag = get(house, f"{done}/{RESULT}").headers["ETag"]
        headers = {name: value.format(etag=etag) for name, value in condition.items()}
        assert house.http.get(f"{done}/{RESULT}", headers=headers).status_code == status


def test_304_repeats_what_a_cache_keeps_and_has_no_body(house: House, done: str) -> None:
    whole = get(house, f"{done}/{RESULT}")
    answer = get(house, f"{done}/{RESULT}", If_None_Match=whole.headers["ETag"])
    assert (answer.status_code, answer.data) == (304, b"")
    for name in ("ETag", "Cache-Control"):
        assert answer.headers[name] == whole.headers[name]
    assert "Content-Range" not in answer.headers and answer.headers.get("Content-Length") in (None, "0")


def test_304_reads_no_value_from_the_archive(house: House, done: str, tmp_path: Path) -> None:
    """Every value is damaged, which whoever reads one would notice."""
    etag = get(house, f"{done}/{RESULT}").headers["ETag"]
    house.shared.clear()
    objects = [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    for path in objects:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    for condition in (etag, f"W/{etag}", "*", f'"other", {etag}'):
        assert get(house, f"{done}/{RESULT}", If_None_Match=condition).status_code == 304
        assert all(path.exists() for path in objects), "it was read, and thrown away as damaged"


def test_304_moves_no_value_out_of_redis(house: House, done: str, render_worker: None) -> None:  # noqa: F811
    url = f"{done}/preview.png?size_px=1024"
    whole = get(house, url)
    for condition in (whole.headers["ETag"], f"W/{whole.headers['ETag']}", "*"):
        before = house.store.redis.info("stats")["total_net_output_bytes"]
        assert get(house, url, If_None_Match=condition).status_code == 304
        moved = house.store.redis.info("stats")["total_net_output_bytes"] - before
        assert moved < len(whole.data) / 2, condition


def test_previews_know_ranges_too(house: House, done: str, render_worker: None) -> None:  # noqa: F811
    whole = get(house, f"{done}/preview.png")
    assert get(house, f"{done}/preview.png", Range="bytes=-5").data == whole.data[-5:]
    assert get(house, f"{done}/preview.png", Range="parts=1").data == whole.data


def test_the_pages_files_come_whole(house: House) -> None:
    for path in ("/static/js/page.js", "/", "/docs/swagger/js/swagger-ui-bundle.js", "/favicon.ico"):
        whole = get(house, path)
        for asked in ("bytes=0-9", "pages=1", "bytes=99999999-", "bytes=0-1,5-6", "x"):
            answer = get(house, path, Range=asked)
            assert (answer.status_code, answer.data) == (200, whole.data), (path, asked)


def test_the_pages_files_are_conditional(house: House) -> None:
    path = "/static/js/page.js"
    whole = get(house, path)
    for headers, status in (
        ({"If_None_Match": f"W/{whole.headers['ETag']}"}, 304),
        ({"If_Modified_Since": whole.headers["Last-Modified"]}, 304),
        ({"If_Modified_Since": formatdate(0, usegmt=True)}, 200),
        ({"If_None_Match": '"other"', "If_Modified_Since": whole.headers["Last-Modified"]}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Unmodified_Since": formatdate(0, usegmt=True)}, 412),
    ):
        answer = get(house, path, **headers)
        assert answer.status_code == status, headers
        assert status != 304 or (answer.data == b"" and answer.headers["ETag"] == whole.headers["ETag"])


def test_an_empty_file_has_no_ranges() -> None:
    assert ranges("bytes=0-", 0) == [range(0)] and ranges("bytes=-5", 0) == [range(0)]
