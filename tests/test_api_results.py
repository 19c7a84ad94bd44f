"""Downloads: any format and size of a finished mesh, cached by clients, resumable."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trimesh
from PIL import Image
from redis import Redis

from jobs.requests import FORMATS, MEDIA_TYPES
from tests.house import House
from tests.servers import wait_until
from tests.test_api_jobs import submit


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


@pytest.fixture
def render_worker(house: House) -> Iterator[None]:
    """Somebody who works while the test waits for an answer."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.01):
            house.work()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_made_once_and_kept(house: House, done: str, render_worker: None, kind: str) -> None:
    first = house.http.get(f"{done}/model.{kind}")
    again = house.http.get(f"{done}/model.{kind}")
    assert first.status_code == 200 and first.content_type == MEDIA_TYPES[kind]
    assert again.data == first.data and again.headers["X-Cache"] == "HIT-L2"
    assert trimesh.load(io.BytesIO(first.data), file_type=kind, force="mesh").faces.shape == (12, 3)
    assert house.workshop.box.runs == 1


def test_another_size_is_a_rendition(house: House, done: str, render_worker: None) -> None:
    answer = house.http.get(f"{done}/model.stl?size_mm=80")
    assert max(trimesh.load(io.BytesIO(answer.data), file_type="stl").extents) == pytest.approx(80)


def test_the_preview_is_a_picture_of_the_asked_size(house: House, done: str, render_worker: None) -> None:
    answer = house.http.get(f"{done}/preview.png?size_px=128")
    assert answer.content_type == "image/png" and Image.open(io.BytesIO(answer.data)).size == (128, 128)


def test_a_client_that_has_it_hears_not_modified(house: House, done: str) -> None:
    first = house.http.get(f"{done}/model.glb")
    again = house.http.get(f"{done}/model.glb", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.data == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert house.http.get(f"{done}/model.glb", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_download_can_be_resumed(house: House, done: str) -> None:
    whole = house.http.get(f"{done}/model.glb")
    rest = house.http.get(f"{done}/model.glb", headers={"Range": "bytes=100-", "If-Range": whole.headers["ETag"]})
    assert rest.status_code == 206 and rest.data == whole.data[100:]
    beyond = house.http.get(f"{done}/model.glb", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


def test_headers_let_a_browser_keep_it_for_ever_and_save_it_under_a_name(house: House, done: str) -> None:
    headers = house.http.get(f"{done}/model.glb").headers
    assert "immutable" in headers["Cache-Control"] and "private" in headers["Cache-Control"]
    assert (
        headers["Content-Disposition"].startswith("attachment; filename=") and ".glb" in headers["Content-Disposition"]
    )


def test_a_job_that_has_not_ended_has_nothing_to_give(house: House) -> None:
    url = submit(house).headers["Location"]
    answer = house.http.get(f"{url}/model.glb")
    assert answer.status_code == 409 and answer.json["code"] == "not_ready" and answer.json["retryable"]


@pytest.mark.parametrize("path", ["model.glb", "preview.png"])
def test_an_unknown_job_has_no_results(house: House, path: str) -> None:
    assert house.http.get(f"/api/jobs/{'f' * 32}/{path}").status_code == 404


def test_an_unknown_format_names_the_known_ones(house: House, done: str) -> None:
    answer = house.http.get(f"{done}/model.fbx")
    assert answer.status_code == 422 and "glb" in answer.json["errors"][0]["message"]


def test_a_result_that_is_gone_says_so(house: House, done: str, render_worker: None) -> None:
    house.worker_cache.delete(house.http.get(done).json["key"])
    answer = house.http.get(f"{done}/model.ply")
    assert answer.status_code == 410 and answer.json["code"] == "result_gone"


@pytest.mark.parametrize("path", ["model.stl", "model.ply?size_mm=80", "preview.png"])
def test_a_download_that_could_not_be_made_for_now_is_not_called_gone(house: House, done: str, path: str) -> None:
    """Redis lost the work, or a worker of the version before dropped it; the mesh is where it was."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(house.app.test_client().get(f"{done}/{path}")))
    asking.start()
    wait_until(lambda: house.inbox.messages, what="a message to the render worker")
    key = house.inbox.messages.pop().key
    house.store.redis.delete(f"{house.store.prefix}:work:{key}")
    house.store.redis.xadd(f"{house.store.prefix}:changes", {"id": key})
    asking.join()
    assert (answers[0].status_code, answers[0].json["code"]) == (503, "rendering")
    assert answers[0].json["retryable"] and answers[0].headers["Retry-After"]


@pytest.mark.parametrize("claimed", [False, True], ids=["queued", "running"])
def test_a_download_is_served_though_the_job_that_led_its_rendition_is_canceled(
    house: House, done: str, claimed: bool
) -> None:
    leads = submit(house, format="ply").json
    message = house.inbox.messages.pop()
    work = house.store.claim(message.key, "w1") if claimed else None
    answers = []
    asking = threading.Thread(target=lambda: answers.append(house.app.test_client().get(f"{done}/model.ply")))
    asking.start()
    name = f"{house.store.prefix}:work:{message.key}"
    wait_until(lambda: house.store.redis.hget(name, "ordered"), what="the download asks for the same rendition")
    assert house.http.delete(leads["urls"]["self"]).json["status"] == "canceled"
    if work is not None:
        assert house.store.release(work) == "requeued"
    house.inbox.messages = [message]
    house.work()
    asking.join()
    assert answers[0].status_code == 200 and answers[0].data.startswith(b"ply")


def test_two_who_ask_for_the_same_new_form_are_served_by_one_rendition(house: House, done: str) -> None:
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(house.app.test_client().get(f"{done}/model.ply")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: house.inbox.messages, what="a message to the render worker")
    assert house.work() == 1
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200] and answers[0].data == answers[1].data


@pytest.fixture
def uncached(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, disable_result_cache=True).open()
    yield house
    house.close()


def test_a_finished_mesh_is_downloaded_with_the_cache_disabled(uncached: House) -> None:
    """In its own form it is there already; in every other one a worker makes it from the archived mesh."""
    uncached.inbox.send = lambda work: (  # type: ignore[method-assign]
        uncached.runner.run_generation if work.kind == "generation" else uncached.runner.run_rendition
    )(work.key)
    url = submit(uncached).headers["Location"]
    assert uncached.http.get(url).json["status"] == "succeeded"
    for what in ("model.glb", "model.glb?size_mm=20", *(f"model.{kind}" for kind in FORMATS), "preview.png?size_px=64"):
        first, again = uncached.http.get(f"{url}/{what}"), uncached.http.get(f"{url}/{what}")
        assert (first.status_code, again.status_code) == (200, 200), what
        assert first.data == again.data
        assert again.headers["X-Cache"] == "HIT-ARCHIVE"
    assert uncached.workshop.box.runs == 1
    assert len(uncached.local) == 0 and uncached.shared.stats()["current_items"] == 0
