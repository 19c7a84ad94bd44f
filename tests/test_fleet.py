"""Workers come, beat, die and are replaced; what they had claimed finds its way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from jobs.fleet import Fleet, GeneratorCard, Liveness
from jobs.store import JobStore
from tests.job_fleet import a_request, a_worker, claimed, finish, submitted


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def fleet(store: JobStore) -> Fleet:
    return Fleet(store, max_attempts=3)


def test_a_registered_worker_is_seen_with_what_it_does(fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [])
    assert fleet.beat(replace(a_worker("w1"), doing="inflate abc")) == []
    (seen,) = fleet.workers()
    assert (seen.id, seen.queue, seen.doing, seen.beats) == ("w1", "generate", "inflate abc", "1")
    assert seen.seen_s_ago < 5


def test_a_worker_that_the_fleet_has_forgotten_must_register_again(fleet: Fleet, text_redis: Redis) -> None:
    fleet.register(a_worker("w1"), [])
    text_redis.flushall()
    assert fleet.beat(a_worker("w1")) is None


def test_the_successor_in_a_slot_frees_what_the_killed_child_held(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1", slot="gpu0"), [])
    job_id = submitted(store)
    claimed(store, worker="w1")
    fleet.register(a_worker("w2", slot="gpu0"), [])
    assert store.job(job_id).status == "queued"
    assert [worker.id for worker in fleet.workers()] == ["w2"]
    finish(store, claimed(store, worker="w2"))
    assert store.job(job_id).attempts == 2


def test_registering_again_in_ones_own_slot_frees_nothing(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1"), [])
    submitted(store)
    claimed(store, worker="w1")
    fleet.register(a_worker("w1"), [])
    assert [one.key for one in fleet.beat(a_worker("w1"))] == [a_request().key]


def test_an_input_that_kills_its_workers_ends_as_poison(fleet: Fleet, store: JobStore) -> None:
    job_id = submitted(store)
    for number in range(3):
        fleet.register(a_worker(f"w{number}"), [])
        claimed(store, worker=f"w{number}")
        fleet.leave(f"w{number}")
    job = store.job(job_id)
    assert (job.status, job.error["code"], job.attempts) == ("failed", "poison", 3)
    assert store.claim(a_request().key, "w9") is None


def test_renditions_of_a_lost_worker_go_back_to_the_render_queue(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1"), [])
    submitted(store)
    store.complete_generation(claimed(store), "MISS", generate_s=1, timings={})
    fleet.leave("w1")
    assert store.depths() == {"generate": 0, "render": 1}
    assert [work.kind for work in store.due()] == ["rendition"]


def test_a_lost_worker_with_canceled_work_leaves_nothing_behind(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1"), [])
    job_id = submitted(store)
    claimed(store)
    store.cancel(job_id)
    fleet.leave("w1")
    assert not store.in_flight(a_request().key) and store.depths()["generate"] == 0


def test_a_sign_of_life_saves_a_worker_that_was_taken_for_dead(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1"), [])
    (seen,) = fleet.workers()
    submitted(store)
    claimed(store)
    fleet.beat(a_worker("w1"))
    assert fleet.forget(seen) == 0
    assert fleet.forget(fleet.workers()[0]) == 1


def test_heartbeats_say_which_claims_were_canceled(fleet: Fleet, store: JobStore) -> None:
    fleet.register(a_worker("w1"), [])
    job_id = submitted(store)
    work = claimed(store)
    assert [one.canceled for one in fleet.beat(a_worker("w1"))] == [False]
    store.cancel(job_id)
    (owned,) = fleet.beat(a_worker("w1"))
    assert owned.canceled and owned.token == work.token


def test_cards_outlive_the_workers_that_announced_them(fleet: Fleet) -> None:
    card = GeneratorCard("inflate", "Inflate", "1", {"properties": {}}, needs=("torch",), default=True)
    fleet.register(a_worker("w1"), [card])
    fleet.leave("w1")
    assert fleet.cards() == {"inflate": card}


def test_only_silence_that_was_watched_for_the_whole_time_kills() -> None:
    now = [100.0]
    liveness = Liveness(10, clock=lambda: now[0])
    silent, beating = replace(a_worker("silent"), beats="1"), replace(a_worker("beating"), beats="1")
    assert liveness.dead([silent, beating]) == []
    for _ in range(9):
        now[0] += 1
        assert liveness.dead([silent, replace(beating, beats="2")]) == []
    now[0] += 1
    assert liveness.dead([silent, replace(beating, beats="2")]) == [silent]


def test_a_watch_that_could_not_look_for_a_while_buries_nobody() -> None:
    """Redis was away for a minute: nobody could beat, and the watch is the first that comes back."""
    now = [100.0]
    liveness = Liveness(10, clock=lambda: now[0])
    worker = replace(a_worker(), beats="7")
    assert liveness.dead([worker]) == []
    now[0] += 60
    assert liveness.dead([replace(worker, seen_s_ago=60)]) == []
    for _ in range(9):
        now[0] += 1
        assert liveness.dead([replace(worker, seen_s_ago=60)]) == []
    now[0] += 1
    assert liveness.dead([worker]) == [worker], "silence that was watched counts again"


def test_a_server_clock_that_jumps_an_hour_kills_nobody() -> None:
    now = [100.0]
    liveness = Liveness(10, clock=lambda: now[0])
    assert liveness.dead([replace(a_worker(), seen_s_ago=3600, beats="1")]) == []
    now[0] += 2
    assert liveness.dead([replace(a_worker(), seen_s_ago=3600, beats="2")]) == []


def test_a_rendition_is_not_blamed_for_the_attempts_of_its_generation(fleet: Fleet, store: JobStore) -> None:
    job_id = submitted(store)
    for number in range(2):
        fleet.register(a_worker(f"w{number}"), [])
        claimed(store, worker=f"w{number}")
        fleet.leave(f"w{number}")
    fleet.register(a_worker("w2"), [])
    store.complete_generation(claimed(store, worker="w2"), "MISS", generate_s=1, timings={})
    fleet.leave("w2")
    (part,) = store.due()
    again = store.claim(part.key, "w3")
    assert again is not None and again.attempts == 4
    store.complete_rendition(again, {"format": "glb"}, "MISS", timings={})
    assert store.job(job_id).status == "succeeded"


def test_a_token_is_never_given_out_twice_even_by_a_redis_that_lost_its_last_second(store: JobStore) -> None:
    submitted(store)
    before = claimed(store, worker="w1")
    store.redis.flushall()
    submitted(store)
    assert claimed(store, worker="w2").token != before.token
    assert store.progress(before, "solve", 50) == "stale"


def test_heartbeats_carry_the_devices_memory(fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [])
    fleet.beat(replace(a_worker("w1"), memory_used_mb=1024.0, memory_total_mb=24576.0))
    (seen,) = fleet.workers()
    assert (seen.memory_used_mb, seen.memory_total_mb) == (1024, 24576)
