"""Both clients against a real HTTP server: one body per behaviour, run with `Client` and with `AsyncClient`."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from client import AsyncClient, Client, RetryPolicy
from client.errors import (
    BadRequest,
    Conflict,
    JobCanceled,
    JobFailed,
    NotFound,
    NotReachable,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    ValidationFailed,
    WaitTimeout,
)
from client.models import Refusal
from tests.client_service import ETAG, MESH, Service, cut_after, events, problem, serving

RUNNING = {"status": "running", "progress": 40, "stage": "solve"}
QUEUED = {"status": "queued", "queue_position": 2}


class FakeTime:
    """A clock that only a sleep moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Blocking:
    """`AsyncClient` called as if it blocked, its iterators as lists."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: self._runner.run(
            _finished(getattr(self._client, name)(*arguments, **options))
        )

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


async def _finished(returned: Any) -> Any:
    return [one async for one in returned] if hasattr(returned, "__aiter__") else await returned


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture(params=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest, service: Service, time: FakeTime) -> Iterator[Any]:
    retries = RetryPolicy(attempts=3, base_s=0.5, uniform=lambda low, high: high)
    kind, sleep = (Client, time.sleep) if request.param == "blocking" else (Blocking, time.sleep_async)
    client = kind(service.url, "a-key", retries=retries, sleep=sleep, clock=time.clock)
    yield client
    client.close()


def test_a_submission_carries_the_picture_every_option_and_the_key(
    client: Any, service: Service, tmp_path: Path
) -> None:
    picture = tmp_path / 'odd "name".png'
    picture.write_bytes(b"\x89PNG\r\n--not a boundary")
    job = client.submit(
        picture,
        generator="relief",
        params={"depth": 0.5, "smooth": True},
        format="stl",
        size_mm=80,
        no_cache=True,
        label="ä",
    )
    asked = service.asked[0]
    assert asked.files["image"].read() == picture.read_bytes()
    assert asked.form.to_dict() == {
        "generator": "relief", "depth": "0.5", "smooth": "true", "format": "stl", "size_mm": "80", "label": "ä"
    }  # fmt: skip
    assert asked.headers["Authorization"] == "Bearer a-key"
    assert asked.headers["Cache-Control"] == "no-cache"
    assert (job.id, job.status, job.result.faces) == ("j1", "succeeded", 1200)
    assert job.body["a_field_of_tomorrow"] == 1


@pytest.mark.parametrize("image", [b"bytes", io.BytesIO(b"bytes")], ids=["bytes", "file"])
def test_a_picture_may_be_bytes_or_an_open_file(service: Service, image: Any) -> None:
    with Client(service.url) as client:
        client.submit(image)
    assert service.asked[0].files["image"].read() == b"bytes"


def test_an_option_that_does_not_exist_is_refused_before_anything_is_sent(client: Any, service: Service) -> None:
    with pytest.raises(TypeError, match="depth"):
        client.submit(b"x", depth=1)
    assert not service.asked


def test_a_picture_of_a_batch_that_cannot_be_read_costs_the_others_nothing(
    client: Any, service: Service, tmp_path: Path
) -> None:
    jobs = json.dumps({"jobs": [service.job("a"), {"error": {"code": "bad_image"}}]})
    service.next_answers = [lambda: Response(jobs, 202, content_type="application/json")]
    missing, folder = tmp_path / "missing.png", tmp_path
    rows = client.submit_batch([missing, b"one", folder, b"two"])
    assert [getattr(row, "index", row) for row in rows if isinstance(row, Refusal)] == [0, 2, 3]
    assert rows[1].id == "a" and "missing.png" in rows[0].problem["detail"]
    assert [file.read() for file in service.asked[0].files.getlist("images")] == [b"one", b"two"]
    with pytest.raises(OSError, match=r"missing\.png"):
        client.submit_batch([missing])
    assert len(service.asked) == 1


def test_a_repeated_submission_is_the_same_to_the_last_byte_and_makes_one_job(client: Any, service: Service) -> None:
    service.next_answers = [problem(503, "queue_full"), problem(502, "")]
    client.submit(b"x")
    bodies = {asked.get_data() for asked in service.asked}
    keys = {asked.headers["Idempotency-Key"] for asked in service.asked}
    assert (len(service.asked), len(bodies), len(keys), len(service.jobs)) == (3, 1, 1, 1)


def test_two_submissions_have_two_idempotency_keys(client: Any, service: Service) -> None:
    assert client.submit(b"x").id != client.submit(b"x").id


def test_retry_after_is_never_undercut(client: Any, service: Service, time: FakeTime) -> None:
    service.next_answers = [problem(429, "rate_limited", {"Retry-After": "7"}), problem(503, "down")]
    client.job("j1")
    assert time.slept_s[0] >= 7
    assert time.slept_s[1] == 1.0


def test_retries_end_and_the_last_refusal_is_raised(client: Any, service: Service) -> None:
    service.next_answers = [problem(503, "redis_unavailable", {"Retry-After": "5"})] * 9
    with pytest.raises(Unavailable, match="again in 5 s") as caught:
        client.job("j1")
    assert len(service.asked) == 3
    assert caught.value.code == "redis_unavailable"


def test_a_retry_after_beyond_patience_is_not_waited_for(client: Any, service: Service, time: FakeTime) -> None:
    service.next_answers = [problem(429, "rate_limited", {"Retry-After": "3600"})]
    with pytest.raises(RateLimited) as caught:
        client.job("j1")
    assert caught.value.retry_after_s == 3600
    assert not time.slept_s


def test_a_refusal_that_cannot_change_is_not_repeated(client: Any, service: Service) -> None:
    for status, kind in [(400, BadRequest), (401, Unauthorized), (404, NotFound), (409, Conflict)]:
        service.next_answers = [problem(status, "no")]
        with pytest.raises(kind):
            client.submit(b"x")
    assert len(service.asked) == 4


def test_a_fault_that_the_service_calls_final_is_not_repeated(client: Any, service: Service) -> None:
    service.next_answers = [problem(502, "generation_failed", retryable=False)]
    with pytest.raises(Unavailable, match="generation_failed"):
        client.preview("j1")
    assert len(service.asked) == 1


def test_a_validation_error_names_the_fields(client: Any, service: Service) -> None:
    service.next_answers = [problem(422, "bad_parameters", errors=[{"field": "depth", "message": "must be below 2"}])]
    with pytest.raises(ValidationFailed, match="depth: must be below 2") as caught:
        client.submit(b"x")
    assert caught.value.fields == {"depth": "must be below 2"}


def test_nobody_at_the_url_is_said_with_what_to_do(time: FakeTime) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{free.getsockname()[1]}"
    with Client(url, sleep=time.sleep) as client, pytest.raises(NotReachable, match="orfeas up"):
        client.health()
    assert len(time.slept_s) == 4


def test_a_web_page_in_place_of_the_service_is_recognised(client: Any, service: Service) -> None:
    service.next_answers = [lambda: Response("<html>", content_type="text/html")]
    with pytest.raises(UnexpectedAnswer, match="text/html"):
        client.generators()


def test_waiting_tells_each_change_once_and_returns_the_ended_job(client: Any, service: Service) -> None:
    service.states = [QUEUED, RUNNING, RUNNING, {"status": "succeeded"}]
    told: list[str] = []
    job = client.wait("j1", on_progress=lambda job: told.append(job.status))
    assert told == ["queued", "running", "succeeded"]
    assert job.result.sha256 == ETAG.strip('"')
    assert service.paths()[0] == "GET /api/jobs/j1?wait=1"


def test_waiting_survives_a_restart_of_the_service(client: Any, service: Service) -> None:
    service.next_answers = [problem(503, "restarting")] * 5
    assert client.wait("j1").status == "succeeded"


def test_waiting_does_not_ask_in_a_tight_loop(client: Any, service: Service, time: FakeTime) -> None:
    service.states = [RUNNING, RUNNING, {"status": "succeeded"}]
    client.wait("j1")
    assert time.slept_s == [0.2, 0.2]


def test_waiting_too_long_raises_and_keeps_the_job(client: Any, service: Service) -> None:
    service.states = [RUNNING]
    with pytest.raises(WaitTimeout, match="goes on") as caught:
        client.wait("j1", timeout_s=3)
    assert caught.value.job.progress == 40


def test_a_failed_and_a_canceled_job_raise_with_the_reason(client: Any, service: Service) -> None:
    error = {"code": "no_surface", "message": "nothing stands out from the background", "retryable": False}
    service.states = [{"status": "failed", "error": error}]
    with pytest.raises(JobFailed, match=r"no_surface.*nothing stands out"):
        client.wait("j1")
    service.states = [{"status": "canceled"}]
    with pytest.raises(JobCanceled):
        client.wait("j1")


def test_a_broken_event_stream_is_taken_up_where_it_broke(client: Any, service: Service) -> None:
    service.next_answers = [
        events(service.job() | QUEUED, service.job() | RUNNING),
        problem(503, "restarting"),
        events(service.job(), first_id=3),
    ]
    assert [job.status for job in client.stream("j1")] == ["queued", "running", "succeeded"]
    assert [asked.headers.get("Last-Event-ID") for asked in service.asked] == [None, "2", "2"]


def test_an_event_stream_that_never_says_anything_is_given_up(client: Any, service: Service) -> None:
    service.next_answers = [events()] * 20
    with pytest.raises(NotReachable, match="before the job did"):
        list(client.stream("j1"))


def test_all_pages_of_jobs_are_walked_as_needed(client: Any, service: Service) -> None:
    assert [job.id for job in client.jobs(status="succeeded")] == [f"j{n}" for n in range(6)]
    assert service.paths()[1] == "GET /api/jobs?status=succeeded&cursor=2"


def test_a_lost_answer_to_a_cancel_does_not_turn_it_into_an_error(client: Any, service: Service) -> None:
    service.next_answers = [problem(502, ""), problem(409, "already_ended")]
    service.states = [{"status": "canceled"}]
    assert client.cancel("j1").status == "canceled"


def test_canceling_a_finished_job_is_a_conflict(client: Any, service: Service) -> None:
    service.next_answers = [problem(409, "already_ended")]
    with pytest.raises(Conflict):
        client.cancel("j1")


def test_a_download_goes_on_where_the_connection_broke(client: Any, service: Service, tmp_path: Path) -> None:
    job = client.job("j1")
    service.next_answers = [cut_after(100_000)]
    path = client.download(job, tmp_path / "deep" / "mesh.glb")
    assert path.read_bytes() == MESH
    assert service.asked[-1].headers["Range"] == "bytes=100000-"
    assert service.asked[-1].headers["If-Range"] == ETAG
    assert [one.name for one in path.parent.iterdir()] == ["mesh.glb"]


def test_a_mesh_that_changed_between_two_halves_is_fetched_anew(client: Any, service: Service, tmp_path: Path) -> None:
    job = client.job("j1")
    service.next_answers = [cut_after(100_000), cut_after(len(MESH))]
    assert client.download(job, tmp_path / "mesh.glb").read_bytes() == MESH


def test_a_mesh_that_was_made_again_since_the_job_ended_is_no_damaged_one(
    client: Any, service: Service, tmp_path: Path
) -> None:
    """`no-cache` of a later job put another file under the same URL; its ETag is its checksum."""
    job = client.job("j1")
    another = b"another mesh"
    tag = f'"{hashlib.sha256(another).hexdigest()}"'
    service.next_answers = [lambda: Response(another, headers={"ETag": tag})]
    assert client.download(job, tmp_path / "mesh.glb").read_bytes() == another


def test_a_damaged_download_leaves_no_file_and_an_older_one_untouched(
    client: Any, service: Service, tmp_path: Path
) -> None:
    target = tmp_path / "mesh.glb"
    target.write_bytes(b"older")
    job = client.job("j1")
    service.next_answers = [lambda: Response(b"damaged")]
    with pytest.raises(UnexpectedAnswer, match="download it again"):
        client.download(job, target)
    assert target.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_form_that_is_still_being_made_is_waited_for(client: Any, service: Service, time: FakeTime) -> None:
    job = client.job("j1")
    service.next_answers = [problem(409, "not_ready", {"Retry-After": "2"}, retryable=True)] * 3
    assert client.model(job, format="stl", size_mm=80) == MESH
    assert service.paths()[-1] == "GET /api/jobs/j1/model.stl?size_mm=80"
    assert time.now_s == 6


def test_a_form_that_is_never_ready_ends_in_a_conflict(client: Any, service: Service) -> None:
    job = client.job("j1")
    service.next_answers = [problem(409, "not_ready", {"Retry-After": "2"}, retryable=True)] * 9
    with pytest.raises(Conflict):
        client.model(job, format="stl", timeout_s=5)


def test_the_preview_comes_as_bytes(client: Any, service: Service) -> None:
    assert client.preview("j1", size_px=256) == MESH
    assert service.paths() == ["GET /api/jobs/j1/preview.png?size_px=256"]


def test_generators_and_cache_answers_are_typed(client: Any, service: Service) -> None:
    (generator,) = client.generators()
    assert (generator.name, generator.default, generator.available) == ("inflate", True, True)
    assert client.cache_stats().stats["hits"] == 3
    assert client.cache_config() == {"max_size": 1000}
    assert client.cache_config(max_size=5) == {"max_size": 5}


def test_a_batch_answers_for_each_picture_in_its_order(client: Any, service: Service) -> None:
    rows = {"jobs": [service.job("j1"), {"error": {"code": "bad_image", "detail": "not a picture"}}]}
    service.next_answers = [lambda: Response(json.dumps(rows), content_type="application/json")]
    taken, refused = client.submit_batch([b"one", b"two"], label="both")
    assert (taken.id, refused.index, refused.problem["code"]) == ("j1", 1, "bad_image")
    assert [file.read() for file in service.asked[0].files.getlist("images")] == [b"one", b"two"]
