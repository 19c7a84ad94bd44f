"""The client's small parsers: events cut anywhere, Retry-After in both forms, back-off within its bounds."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from client.core import service_url
from client.errors import ApiError, NotFound, ServerFault, TooLarge, UnexpectedAnswer
from client.events import EventParser
from client.models import Job
from client.retries import RetryPolicy, retry_after_s
from client.wire import Answer

STREAM = (
    ': hello\r\n\r\nid: 7\r\nevent: progress\r\ndata: {"a":\r\ndata: "é"}\r\n\r\n'
    "data: two\n\nid: 9\nretry: 1500\r\rdata: half"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_wherever_the_stream_is_cut(size: int) -> None:
    parser, data = EventParser(), STREAM.encode()
    found = [event for start in range(0, len(data), size) for event in parser.feed(data[start : start + size])]
    assert [(event.name, event.data, event.id) for event in found] == [
        ("progress", '{"a":\n"é"}', "7"),
        ("message", "two", "7"),
    ]
    assert (parser.last_id, parser.retry_s) == ("9", 1.5)


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after_s("2.5", 0) == 2.5
    assert retry_after_s("Thu, 01 Jan 1970 00:01:40 GMT", 40.0) == 60.0
    assert retry_after_s("Thu, 01 Jan 1970 00:00:00 GMT", 40.0) == 0.0
    assert retry_after_s("soon", 0) is None
    assert retry_after_s(None, 0) is None


def test_back_off_doubles_jitters_and_stays_under_its_cap() -> None:
    policy = RetryPolicy(attempts=9, base_s=0.5, cap_s=4.0, uniform=random.Random(1).uniform)
    waits = [policy.wait_s(failures) for failures in range(1, 9)]
    for wait_s, top_s in zip(waits, (0.5, 1, 2, 4, 4, 4, 4, 4), strict=True):
        assert wait_s is not None
        assert top_s / 2 <= wait_s <= top_s
    assert policy.wait_s(9) is None


def test_a_refusal_without_a_problem_body_still_becomes_its_error() -> None:
    for status, kind in [(404, NotFound), (413, TooLarge), (418, ApiError), (500, ServerFault)]:
        with pytest.raises(kind) as caught:
            Answer(status, {"x-request-id": "r1"}, b"<html>").raise_for_problem(0.0)
        assert caught.value.status == status
        assert caught.value.request_id == "r1"


def test_a_job_without_an_id_is_no_job() -> None:
    with pytest.raises(UnexpectedAnswer, match="Job"):
        Job.from_body({"status": "queued"})
    with pytest.raises(UnexpectedAnswer, match="list"):
        Job.from_body([])


def test_a_url_may_come_without_scheme_and_with_a_slash() -> None:
    assert service_url("gpu-box:5000/") == "http://gpu-box:5000"
    assert service_url("https://meshes.example/orfeas/") == "https://meshes.example/orfeas"


def test_the_client_imports_neither_the_server_nor_anything_heavy() -> None:
    code = (
        "import sys; import client, client.cli.app; "
        "print(sorted({'api', 'worker', 'jobs', 'cache', 'torch', 'numpy', 'flask', 'celery', 'redis', 'settings', "
        "'deploy', 'pydantic', 'trimesh'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
