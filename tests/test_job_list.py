"""The job list's filters answer from an index: at once, completely, whatever else there is, and after any update."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from jobs.fleet import Fleet
from jobs.janitor import Janitor
from jobs.listing import index_more
from jobs.store import JobStore, StoreLimits
from jobs.upkeep import forget_ended
from tests.house import House
from tests.job_fleet import a_request, a_submission, a_worker, claimed, finish, submitted

MANY = 2100


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    store = JobStore(text_redis, StoreLimits(queue_limit=10_000, at_once=2))
    Fleet(store).register(a_worker("w1"), [])
    return store


def listed(store: JobStore, **wanted: Any) -> list[str]:
    return [job.id for job in store.newest(**wanted)]


def looks(store: JobStore, **wanted: Any) -> tuple[list[str], int]:
    """What a first page holds, and how many times the index was asked for it."""
    index_more(store)
    run, asked = store.run, []

    def counted(script: str, **arguments: Any) -> Any:
        asked.extend([script] if script == "find" else [])
        return run(script, **arguments)

    store.run = counted
    try:
        return [job.id for job in islice(store.newest(at_once=21, **wanted), 21)], len(asked)
    finally:
        store.run = run


def test_one_job_among_thousands_is_found_without_looking_at_the_others(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, queue_limit=10_000).open()
    store = house.store
    runs = submitted(store, "a", label="mine")
    claimed(store, "a")
    failed = submitted(store, "b", owner="ada", label="broken")
    store.cancel(failed)
    for number in range(MANY):
        store.submit(a_submission(f"{number:06x}", label=f"picture {number}.png"))
    for query, expected in {
        "status=running": runs, "status=running&label=mine": runs, "status=canceled&generator=inflate": failed,
        "label=broken": failed, "label=mine&status=running&generator=inflate": runs,
    }.items():  # fmt: skip
        page = house.http.get(f"/api/jobs?{query}&limit=20").json
        assert ([job["id"] for job in page["jobs"]], page["next_cursor"]) == ([expected], None), query
    for query in ("status=failed", "label=nobody", "generator=other", "status=running&label=broken"):
        assert house.http.get(f"/api/jobs?{query}").json == {"jobs": [], "next_cursor": None}, query
    while index_more(store):
        pass
    for wanted in ({"status": "running"}, {"status": "canceled", "owner": "ada"}, {"label": "mine"}):
        assert looks(store, **wanted)[1] == 1, "one look at the index, however many jobs there are"
    house.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_every_page_but_the_last_is_full_and_no_job_is_missed_or_doubled(
    text_redis: Redis, redis_url: str, tmp_path: Path, limit: int
) -> None:
    house = House(text_redis, redis_url, tmp_path).open()
    for number in range(12):
        submitted(house.store, f"{number:x}", label="odd" if number % 2 else "even", owner=f"owner-{number % 3}")
    for job_id in listed(house.store)[2:6]:
        house.store.cancel(job_id)
    for query, expected in {"status=queued": 8, "label=odd": 6, "status=canceled&label=even": 2, "": 12}.items():
        pages, cursor = [], ""
        while cursor is not None:
            page = house.http.get(f"/api/jobs?{query}&limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json
            pages.append([job["id"] for job in page["jobs"]])
            cursor = page["next_cursor"]
        found = [one for page in pages for one in page]
        assert len(found) == len(set(found)) == expected and found == sorted(found, reverse=True)
        assert all(len(page) == limit for page in pages[:-1]) and pages[-1]
    house.close()


def test_what_waits_behind_many_that_run_is_found(store: JobStore) -> None:
    waits = submitted(store, "b")
    submitted(store, "a")
    claimed(store, "a")
    joined = [submitted(store, "a", owner="ada") for _ in range(300)]
    assert listed(store, status="queued") == [waits]
    assert listed(store, status="queued", owner="ada") == []
    assert listed(store, status="running", owner="ada") == joined[::-1]


@pytest.mark.parametrize("found", ["nothing", "mesh"])
def test_a_job_runs_with_the_work_that_it_waits_for(store: JobStore, found: str) -> None:
    glb, stl = (submitted(store, found=found, format=form) for form in ("glb", "stl"))
    assert listed(store, status="queued") == [stl, glb]
    key = a_request().key if found == "nothing" else a_submission(format="stl").options.key(a_request().key)
    work = store.claim(key, "w1")
    runs = [stl, glb] if found == "nothing" else [stl]
    assert listed(store, status="running") == runs
    assert listed(store, status="queued") == [one for one in (stl, glb) if one not in runs]
    store.release(work)
    assert (listed(store, status="running"), listed(store, status="queued")) == ([], [stl, glb])


def test_jobs_of_a_version_without_the_index_are_listed_and_forgotten_like_others(store: JobStore) -> None:
    ids = [submitted(store, picture, label=f"{picture}.png", owner="ada") for picture in "abc"]
    claimed(store, "a")
    store.cancel(ids[1])
    store.redis.delete("{orfeas}:list", "{orfeas}:list:built")
    assert listed(store, status="running") == [ids[0]]
    assert listed(store, status="queued", owner="ada") == [ids[2]]
    assert listed(store, label="b.png") == [ids[1]]
    assert store.redis.ttl(f"{{orfeas}}:job:{ids[1]}") > store.limits.job_retention_s


def test_what_a_worker_of_the_version_before_ended_moves_in_the_index(store: JobStore) -> None:
    ended = submitted(store)
    assert listed(store, status="queued") == [ended]
    store.redis.hset(f"{{orfeas}}:job:{ended}", mapping={"status": "succeeded", "finished_at": 1, "result": "{}"})
    assert listed(store, status="queued") == [], "what the job itself says is true"
    Janitor(store, [], jobs_kept=1000).clean_jobs()
    assert listed(store, status="succeeded") == [ended]


@pytest.mark.parametrize("lost", ["one job", "the index"])
def test_what_is_missing_in_the_index_comes_in_with_the_janitor(store: JobStore, lost: str) -> None:
    """A process of the version before accepted it, or Redis lost it."""
    ids = [submitted(store, picture, label=picture) for picture in "abc"]
    assert listed(store, label="b") == [ids[1]]
    members = store.redis.zrange("{orfeas}:list", 0, -1)
    store.redis.zrem("{orfeas}:list", *(one for one in members if lost == "the index" or one.endswith(ids[1])))
    Janitor(store, [], jobs_kept=1000).clean_jobs()
    assert listed(store, label="b") == [ids[1]] and listed(store, status="queued") == ids[::-1]


def test_what_is_forgotten_leaves_the_index(store: JobStore) -> None:
    for picture in "abcd":
        submitted(store, picture, owner=f"owner-{picture}", label=picture)
        finish(store, claimed(store, picture))
    waits = submitted(store, "e", owner="ada", label="e")
    assert forget_ended(store, kept=2) == 3
    assert len(listed(store, generator="inflate")) == 2
    assert listed(store, label="a") == [] and listed(store, label="e") == [waits]
    store.limits = StoreLimits(job_retention_s=0)
    assert forget_ended(store, kept=2) == 1
    assert all(one.endswith(waits) for one in store.redis.zrange("{orfeas}:list", 0, -1))
    assert [key for key in store.redis.scan_iter("{orfeas}:jobs:*") if store.redis.zcard(key)] == ["{orfeas}:jobs:ada"]


def test_a_job_past_its_retention_goes_however_long_others_wait(store: JobStore) -> None:
    old = [submitted(store, picture) for picture in ("a", "b")]
    store.cancel(old[1])
    store.limits = StoreLimits(job_retention_s=0)
    assert Janitor(store, [], jobs_kept=1000).clean_jobs() == 1
    assert listed(store) == [old[0]]


def test_the_index_takes_little_memory(store: JobStore) -> None:
    for number in range(1000):
        store.submit(a_submission("f", found="rendition", cache="HIT-L2", result={}, label=f"picture {number}.png"))
    size = store.redis.memory_usage("{orfeas}:list", samples=0)
    assert size / 1000 < 450, "bytes for each job, beside about 1700 of its own"
