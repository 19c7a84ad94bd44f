"""Events: a job's changes as they happen, resumed where they broke, and the fleet for whoever watches."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from api.fleet_pulse import FleetPulse
from api.places import Gate
from api.streams import follow
from client.events import EventParser, ServerEvent
from tests.house import House, picture
from tests.servers import RedisServer, wait_until


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def submit(house: House, colour: str = "red", **fields: str) -> dict[str, Any]:
    answer = house.http.post("/api/jobs", data=fields | {"image": (io.BytesIO(picture(colour)), "picture.png")})
    return answer.json


def told(answer: TestResponse) -> Iterator[ServerEvent]:
    parser = EventParser()
    for chunk in answer.response:
        yield from parser.feed(chunk if isinstance(chunk, bytes) else chunk.encode())


def test_a_jobs_events_tell_the_present_state_then_each_change_and_end(house: House) -> None:
    job = submit(house)
    stream = told(house.http.get(job["urls"]["events"], buffered=False))
    first = next(stream)
    assert json.loads(first.data)["status"] == "queued" and first.id
    worker = threading.Thread(target=house.work)
    worker.start()
    bodies = [json.loads(event.data) for event in stream]
    worker.join()
    assert bodies[-1]["status"] == "succeeded" and bodies[-1]["result"]["faces"] == 12
    assert bodies == sorted(bodies, key=lambda body: body["progress"])
    assert bodies[-1] == house.http.get(job["urls"]["self"]).json


def test_an_ended_job_is_told_once(house: House) -> None:
    job = submit(house)
    house.work()
    events = list(told(house.http.get(job["urls"]["events"], buffered=False)))
    assert [json.loads(event.data)["status"] for event in events] == ["succeeded"]


def test_who_knows_the_end_already_is_sent_away(house: House) -> None:
    job = submit(house)
    house.work()
    (end,) = told(house.http.get(job["urls"]["events"], buffered=False))
    again = house.http.get(job["urls"]["events"], headers={"Last-Event-ID": end.id})
    assert again.status_code == 204


def test_a_resumed_stream_leaves_out_what_was_seen(house: House) -> None:
    job = submit(house)
    first = next(told(house.http.get(job["urls"]["events"], buffered=False)))
    resumed = told(house.http.get(job["urls"]["events"], headers={"Last-Event-ID": first.id}, buffered=False))
    worker = threading.Timer(0.1, house.work)
    worker.start()
    assert json.loads(next(resumed).data)["status"] != "queued"
    worker.join()  # it must not reach into the next test, whose picture is the same


def test_a_job_that_starts_anew_after_the_break_is_told_although_it_looks_as_before(house: House) -> None:
    job = submit(house)
    (first,) = islice(told(house.http.get(job["urls"]["events"], buffered=False)), 1)
    work = house.store.claim(job["key"], "w1")
    assert work is not None
    house.store.release(work)
    resumed = told(house.http.get(job["urls"]["events"], headers={"Last-Event-ID": first.id}, buffered=False))
    assert json.loads(next(resumed).data)["status"] == "queued"


def test_events_of_an_unknown_job_are_a_404(house: House) -> None:
    assert house.http.get(f"/api/jobs/{'0' * 32}/events").status_code == 404
    assert house.http.get(f"/api/events?job={'0' * 32}").status_code == 404


def test_no_more_streams_are_let_in_than_threads_can_be_spared(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, api_threads=2).open()
    job = submit(house)
    first = house.http.get(job["urls"]["events"], buffered=False)
    refused = house.http.get(job["urls"]["events"])
    assert refused.status_code == 503 and refused.json["code"] == "streams_full"
    assert int(refused.headers["Retry-After"]) > 0
    first.close()
    house.http.get(job["urls"]["events"], buffered=False).close()  # the place is free again
    house.close()


def test_a_gate_never_lets_more_in_than_its_limit() -> None:
    gate = Gate(3)
    entered: list[bool] = []
    threads = [threading.Thread(target=lambda: entered.append(gate.enter())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entered.count(True) == gate.open == 3


def test_a_silent_stream_says_that_it_is_alive() -> None:
    clock = iter(range(0, 1000, 10))
    silent = follow(threading.Event(), lambda: iter(()), lambda: False, heartbeat_s=0.001, clock=lambda: next(clock))
    assert list(islice(silent, 3)) == ["retry: 2000\n\n", ": alive\n\n", ": alive\n\n"]


def test_a_stream_ends_when_redis_is_lost(own_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = own_redis()
    house = House(server.client(decode_responses=True), server.url, tmp_path).open()
    stream = told(house.http.get(submit(house)["urls"]["events"], buffered=False))
    next(stream)
    server.kill()
    assert list(stream) == []
    house.close()


def test_the_fleets_events_tell_workers_queues_and_tiers(house: House) -> None:
    stream = told(house.http.get("/api/events", buffered=False))
    first = next(stream)
    fleet = json.loads(first.data)
    assert first.name == "fleet"
    assert [(worker["queue"], worker["alive"]) for worker in fleet["workers"]] == [("generate", True)]
    assert fleet["queues"] == {"generate": 0, "render": 0} and fleet["cache"]["enabled"] is True
    submit(house)
    assert next(json.loads(event.data)["queues"] for event in stream) == {"generate": 1, "render": 0}


def test_one_stream_serves_a_page_with_many_jobs(house: House) -> None:
    jobs = [submit(house, colour) for colour in ("red", "green", "blue")]
    query = "&".join(f"job={job['id']}" for job in jobs)
    stream = (event for event in told(house.http.get(f"/api/events?{query}", buffered=False)) if event.name == "job")
    assert {json.loads(event.data)["status"] for event in islice(stream, 3)} == {"queued"}
    threading.Thread(target=house.work).start()
    open_ids = {job["id"] for job in jobs}
    while open_ids:
        body = json.loads(next(stream).data)
        if body["status"] == "succeeded":
            open_ids.remove(body["id"])


def test_who_is_no_admin_sees_the_fleet_without_its_caches(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("user",), admin_keys=("admin",)).open()
    parts = {}
    for key in ("user", "admin"):
        headers = {"Authorization": f"Bearer {key}"}
        event = next(told(house.http.get("/api/events", headers=headers, buffered=False)))
        parts[key] = set(json.loads(event.data))
    assert parts == {"user": {"queues", "workers"}, "admin": {"queues", "workers", "cache"}}
    assert house.http.get("/api/events").status_code == 401
    house.close()


def test_a_stranger_sees_no_events_of_a_job(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("mine", "theirs")).open()
    data = {"image": (io.BytesIO(picture()), "picture.png")}
    job = house.http.post("/api/jobs", data=data, headers={"Authorization": "Bearer mine"}).json
    theirs = {"Authorization": "Bearer theirs"}
    assert house.http.get(job["urls"]["events"], headers=theirs).status_code == 404
    assert house.http.get(f"/api/events?job={job['id']}", headers=theirs).status_code == 404
    house.close()


def test_the_fleet_is_looked_at_only_while_somebody_watches() -> None:
    looks: list[int] = []
    pulse = FleetPulse(lambda: {"looks": looks.append(1) or len(looks)}, every_s=0.01)
    changed = threading.Event()
    with pulse.watching(changed):
        wait_until(lambda: len(looks) >= 3)
        assert changed.is_set() and pulse.latest is not None
    wait_until(lambda: pulse.latest is None)
    seen = len(looks)
    with pulse.watching(changed):
        wait_until(lambda: len(looks) > seen, what="the looking to begin again")


def test_watchers_are_not_woken_by_an_unchanged_fleet() -> None:
    looks: list[int] = []
    pulse = FleetPulse(lambda: looks.append(1) or {"workers": []}, every_s=0.01)
    changed = threading.Event()
    with pulse.watching(changed):
        assert changed.wait(10)
        changed.clear()
        seen = len(looks)
        wait_until(lambda: len(looks) >= seen + 3)
        assert not changed.is_set()


def test_a_stream_of_the_fleet_ends_when_redis_is_lost_and_a_new_one_is_refused(
    own_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = own_redis()
    house = House(server.client(decode_responses=True), server.url, tmp_path).open()
    stream = house.http.get("/api/events").response
    assert any('"workers"' in text for text in map(bytes.decode, stream))
    server.close()
    assert not any("event: fleet" in text for text in map(bytes.decode, stream)), "it ends, and tells nothing more"
    assert house.http.get("/api/events").status_code == 503
    house.close()
