"""The watch sends what stayed unsent, takes over from the dead, and floods nobody."""

from __future__ import annotations

import threading

import pytest
from redis import Redis

from jobs.fleet import Fleet
from jobs.records import Work
from jobs.store import SEND_AFTER_MS, JobStore
from jobs.watch import Watch
from tests.job_fleet import a_request, a_worker, claimed, submitted


class Broker:
    """Counts what is sent; a message stays until somebody takes it."""

    def __init__(self) -> None:
        self.messages: list[Work] = []

    def send(self, work: Work) -> None:
        self.messages.append(work)

    def backlog(self, queue: str) -> int:
        return sum(1 for work in self.messages if work.queue == queue)


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def watch(store: JobStore, broker: Broker) -> Watch:
    return Watch(store, Fleet(store, max_attempts=3), broker, heartbeat_timeout_s=0)


def make_due(store: JobStore, *keys: str) -> None:
    """As if the seconds after the submission had passed."""
    store.redis.zadd(f"{store.prefix}:due", {key: 0 for key in keys})


def test_what_the_submitter_could_not_send_is_sent(store: JobStore, watch: Watch, broker: Broker) -> None:
    submitted(store)
    assert SEND_AFTER_MS > 1000, "the submitter comes first"
    watch.round()
    assert broker.messages == []
    make_due(store, a_request().key)
    watch.round()
    assert [work.key for work in broker.messages] == [a_request().key]


def test_a_message_that_still_stands_in_its_queue_is_not_doubled(store: JobStore, watch: Watch, broker: Broker) -> None:
    submitted(store)
    broker.messages = store.due(only=a_request().key)
    for _ in range(3):
        make_due(store, a_request().key)
        watch.round()
    assert len(broker.messages) == 1


def test_a_message_that_vanished_is_sent_again(store: JobStore, watch: Watch, broker: Broker) -> None:
    for picture in "abc":
        submitted(store, picture)
        broker.messages += store.due(only=a_request(picture).key)
    broker.messages.pop(0)
    make_due(store, *(a_request(picture).key for picture in "abc"))
    watch.round()
    assert len(broker.messages) == 3


def test_the_works_of_a_dead_worker_are_sent_to_others(store: JobStore, watch: Watch, broker: Broker) -> None:
    Fleet(store).register(a_worker("w1"), [])
    submitted(store)
    claimed(store)
    watch.round()
    assert [work.key for work in broker.messages] == [a_request().key]
    assert claimed(store, worker="w2").attempts == 2


def test_only_one_process_keeps_watch_at_a_time(store: JobStore, watch: Watch, broker: Broker) -> None:
    other = Watch(store, Fleet(store), broker)
    assert watch.round() is True
    assert other.round() is False
    assert watch.round() is True
    store.redis.delete(f"{store.prefix}:watch")
    assert other.round() is True


def test_a_due_time_in_the_far_future_is_a_clock_that_jumped_back(store: JobStore, watch: Watch, broker: Broker) -> None:
    submitted(store)
    store.redis.zadd(f"{store.prefix}:due", {a_request().key: 9e12})
    watch.round()
    assert len(broker.messages) == 1


def test_a_redis_that_is_away_does_not_end_the_watch() -> None:
    nowhere = JobStore(Redis(port=1, retry=None))
    watch = Watch(nowhere, Fleet(nowhere), Broker())
    rounds = iter([False, False, True])
    watch.run(threading.Event(), pause=lambda _: next(rounds))
