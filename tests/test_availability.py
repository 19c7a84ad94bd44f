"""Which generators the fleet offers, by one definition, and what becomes of work that reaches a worker without them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from jobs.fleet import CARD_KEPT_S, Fleet, GeneratorCard
from jobs.store import JobStore
from tests.house import House, picture
from tests.job_fleet import a_request, a_worker, claimed, submitted
from worker.attending import Attending, NotHere
from worker.workshop import Workshop

OLD = GeneratorCard("inflate", "Inflate", "1", {"properties": {}}, default=True)
NEW = replace(OLD, revision="2")
BROKEN = replace(OLD, unavailable_because="it needs weights")
OTHER = replace(OLD, name="relief", default=False)


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def fleet(store: JobStore) -> Fleet:
    return Fleet(store, generator_wait_s=120)


def passes(store: JobStore, seconds: float) -> None:
    """As if all that was said so far had been said so long ago."""
    for name in ("offered", "announced"):
        for member in store.redis.zrange(f"{store.prefix}:{name}", 0, -1):
            store.redis.zincrby(f"{store.prefix}:{name}", -seconds * 1000, member)


def test_a_worker_that_cannot_run_a_generator_takes_it_from_nobody_who_can(store: JobStore, fleet: Fleet) -> None:
    fleet.register(a_worker("gpu"), [OLD])
    fleet.register(a_worker("cpu"), [BROKEN])
    assert fleet.cards()["inflate"].unavailable_because is None
    passes(store, 121)
    fleet.announce([BROKEN])
    assert fleet.cards()["inflate"].unavailable_because == "it needs weights"
    fleet.announce([OLD])
    assert fleet.cards()["inflate"].unavailable_because is None, "the one that can is back"


def test_the_newest_registration_says_the_revision_and_older_workers_do_not_take_it_back(
    store: JobStore, fleet: Fleet
) -> None:
    fleet.register(a_worker("old"), [OLD])
    fleet.register(a_worker("new"), [NEW])
    fleet.announce([OLD])
    assert fleet.cards()["inflate"].revision == "2"
    passes(store, 121)
    fleet.announce([OLD])
    assert fleet.cards()["inflate"].revision == "1", "an upgrade that was taken back"


def test_a_generator_without_a_worker_is_available_for_a_while_only(store: JobStore, fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [OLD, OTHER])
    passes(store, 60)
    fleet.announce([OTHER])
    assert fleet.cards()["inflate"].unavailable_because is None
    passes(store, 61)
    fleet.announce([OTHER])
    assert "121 s" in fleet.cards()["inflate"].unavailable_because
    assert fleet.cards()["relief"].unavailable_because is None


def test_a_fleet_that_is_away_as_a_whole_keeps_all_its_generators(store: JobStore, fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [OLD, OTHER])
    passes(store, 7 * 86400)
    assert fleet.forget_cards() == []
    assert [card.unavailable_because for card in fleet.cards().values()] == [None, None]
    assert store.redis.delete(f"{store.prefix}:offered", f"{store.prefix}:announced") == 2, "as after a month"
    assert fleet.forget_cards() == []
    assert [card.unavailable_because for card in fleet.cards().values()] == [None, None]


def test_what_is_noted_of_offers_has_an_age_at_which_it_goes(store: JobStore, fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [OLD])
    assert all(store.redis.ttl(f"{store.prefix}:{name}") > 86400 for name in ("offered", "announced"))


def test_a_generator_that_nobody_has_announced_for_long_is_forgotten(store: JobStore, fleet: Fleet) -> None:
    fleet.register(a_worker("w1"), [OLD, OTHER])
    store.redis.hset(f"{store.prefix}:cards", "older", '{"name": "older"}')  # of a version that noted no time
    passes(store, CARD_KEPT_S - 10)
    fleet.announce([OLD])
    assert fleet.forget_cards() == []
    passes(store, CARD_KEPT_S + 1)
    fleet.announce([OLD])
    assert sorted(fleet.forget_cards()) == ["older", "relief"] and list(fleet.cards()) == ["inflate"]


def test_the_catalogue_and_orders_give_the_same_answer(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path).open()
    passes(house.store, 200)
    house.fleet.announce([replace(OTHER, default=False)])
    listed = {one["name"]: one for one in house.http.get("/api/generators").json["generators"]}
    for name, code in (("box", 503), ("relief", 202)):
        data = {"image": (io.BytesIO(picture()), "a.png"), "generator": name}
        answer = house.http.post("/api/jobs", data=data)
        assert (answer.status_code == 202) == listed[name]["available"] == (code == 202)
        assert code == 202 or listed[name]["unavailable_because"] in answer.json["detail"]
    house.close()


def test_what_a_worker_lacks_goes_to_another_and_costs_no_attempt(store: JobStore, fleet: Fleet) -> None:
    job_id = submitted(store)
    fleet.register(a_worker("new"), [OLD])
    attending = Attending(store, generator_wait_s=120)
    for _ in range(20):  # its worker is busy for long
        with attending.to(claimed(store, worker="old")):
            raise NotHere("this worker has inflate 0")
        fleet.announce([OLD])
        store.redis.hincrby(f"{store.prefix}:work:{a_request().key}", "declined_at", -600_000)
    assert store.job(job_id).status == "queued"
    assert claimed(store, worker="new").attempts == 1


def test_between_two_tries_there_is_a_pause_that_grows_to_a_bound(store: JobStore) -> None:
    submitted(store)
    pauses_ms = []
    for _ in range(12):
        with Attending(store).to(claimed(store)):
            raise NotHere("not here")
        seconds, microseconds = store.redis.time()
        due = store.redis.zscore(f"{store.prefix}:due", a_request().key)
        pauses_ms.append(due - seconds * 1000 - microseconds / 1000)
    assert pauses_ms == sorted(pauses_ms) or max(pauses_ms) <= 15_000
    assert 300 < pauses_ms[0] <= 500 and 14_000 < pauses_ms[-1] <= 15_000


def test_what_nobody_can_do_fails_in_words_in_the_end(store: JobStore) -> None:
    job_id = submitted(store)
    attending = Attending(store, generator_wait_s=120)
    for _ in range(2):
        with attending.to(claimed(store)):
            raise NotHere("this worker has inflate 2; the job asks for 1")
        store.redis.hincrby(f"{store.prefix}:work:{a_request().key}", "declined_at", -121_000)
    error = store.job(job_id).error
    assert (error["code"], error["retryable"]) == ("generator_unavailable", True)
    assert "GENERATOR_WAIT_S" in error["message"] and "the job asks for 1" in error["message"]


@pytest.mark.parametrize(("name", "revision"), [("nobody-has-it", "1"), ("inflate", "from the future")])
def test_a_workshop_says_what_it_lacks_before_anything_is_loaded(name: str, revision: str) -> None:
    with pytest.raises(NotHere, match=name):
        Workshop("cpu").ready(name, revision)
