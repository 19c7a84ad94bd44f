"""A picture becomes a mesh and is never made again, through the real API, the real broker and real workers."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Callable

import httpx
import trimesh

from tests.e2e.fleet import PICTURE, Fleet
from tests.servers import wait_until


def test_a_picture_becomes_a_mesh_and_its_repeat_is_answered_at_once(fleet: Fleet) -> None:
    first = fleet.post("road", seconds=0.2)
    assert (first.status_code, first.headers["X-Cache"]) == (202, "MISS")
    job = fleet.succeeded(first.json()["id"])
    assert (job["cache"], job["attempts"], job["progress"]) == ("MISS", 1, 100)
    content = fleet.http.get(job["urls"]["model"]).content
    mesh = trimesh.load(io.BytesIO(content), file_type="glb", force="mesh")
    assert len(mesh.faces) == job["result"]["faces"] == 12
    again = fleet.post("road", seconds=0.2)
    assert again.status_code == 200
    assert again.headers["X-Cache"] == "HIT-L2"
    assert fleet.http.get(again.json()["urls"]["model"]).content == content
    assert fleet.runs("road") == {"begun": 1, "finished": 1}


def test_the_built_in_generator_works_without_a_word_about_it(fleet: Fleet) -> None:
    answer = fleet.http.post("/api/jobs", files={"image": ("a.png", PICTURE)}, data={"format": "stl"})
    assert answer.status_code == 202, answer.text
    job = fleet.succeeded(answer.json()["id"])
    assert job["generator"] == "inflate"
    assert job["result"]["watertight"] is True


def test_another_format_is_a_rendition_and_no_generation(fleet: Fleet) -> None:
    job_id = fleet.submit("formats")
    fleet.succeeded(job_id)
    for form in ("obj", "ply", "stl"):
        assert fleet.http.get(f"/api/jobs/{job_id}/model.{form}").status_code == 200
    assert fleet.http.get(f"/api/jobs/{job_id}/preview.png").headers["Content-Type"] == "image/png"
    assert fleet.runs("formats") == {"begun": 1, "finished": 1}


def test_a_second_worker_takes_about_half(fleet: Fleet) -> None:
    jobs = [fleet.submit(f"half-{number}", seconds=0.25) for number in range(16)]
    for job_id in jobs:
        fleet.succeeded(job_id)
    notes = [note.split() for note in (fleet.lab / "runs").read_text().splitlines() if note.startswith("half-")]
    by_worker = Counter(pid for _, what, pid, _ in notes if what == "finished")
    assert len(by_worker) == 2
    assert min(by_worker.values()) >= 5


def test_progress_is_told_while_it_runs(fleet: Fleet) -> None:
    job_id = fleet.submit("told", seconds=1.5)
    seen: set[int] = set()
    wait_until(lambda: seen.add(fleet.job(job_id)["progress"]) or len(seen) > 3, 10, "progress to move")
    job = fleet.job(job_id)
    assert (job["status"], job["stage"]) == ("running", "solve")
    fleet.succeeded(job_id)


def test_flower_shows_the_task_under_its_id_with_the_generator(fleet: Fleet) -> None:
    # Without a login its API is closed; this word of consent is for the test alone, on loopback.
    fleet.launch("flower", FLOWER_UNAUTHENTICATED_API="1")
    flower = httpx.Client(base_url=f"http://127.0.0.1:{fleet.settings.flower_port}", trust_env=False, timeout=10)

    def answers() -> bool:
        try:
            return flower.get("/").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, 30, "Flower to answer")
    pictures = itertools.count()

    def shown() -> dict[str, str] | None:
        """The task of a new job, once Flower listens: it answers pages before it hears its first event."""
        job = fleet.succeeded(fleet.submit(f"seen {next(pictures)}", seconds=0.1))
        task = tasks(flower).get(job["task_id"], {})
        return task if task.get("name") else None

    found: list[dict[str, str]] = []
    wait_until(lambda: found or found.extend(filter(None, [shown()])), 30, "Flower to show a task by name")
    assert found[0]["name"] == "orfeas.generate"
    assert "lab" in found[0]["args"]


def tasks(flower: httpx.Client) -> dict[str, dict[str, str]]:
    answer = flower.get("/api/tasks")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_restart_of_everything_loses_no_result(own_fleet: Callable[..., Fleet]) -> None:
    fleet = own_fleet().start("api", "generate1", "render")
    job_id = fleet.submit("kept")
    before = fleet.succeeded(job_id)
    waiting = fleet.submit("interrupted", pause_at="generate")
    fleet.paused("interrupted", "generate")
    for one in fleet.running.values():
        one.close()
    fleet.redis.restart()
    fleet.store.redis.delete(*fleet.store.redis.scan_iter("*cache*"))
    fleet.start("api", "generate1", "render")
    assert fleet.job(job_id) == before
    assert fleet.post("kept").headers["X-Cache"] == "HIT-ARCHIVE"
    assert fleet.runs("kept") == {"begun": 1, "finished": 1}
    assert fleet.succeeded(waiting)["attempts"] == 2
