"""The watch sends what stayed unsent, takes over from the dead, and floods nobody."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from jobs.errors import NoSurface
from jobs.fleet import Fleet, WorkerInfo
from jobs.records import PRIORITIES, Work
from jobs.store import SEND_AFTER_MS, JobStore
from jobs.watch import Watch
from tests.job_fleet import a_request, a_worker, claimed, finish, submitted


class Broker:
    """Counts what is sent; a message stays until somebody takes it."""

    def __init__(self) -> None:
        self.messages: list[Work] = []
        self.refuses = False

    def send(self, work: Work) -> None:
        if self.refuses:
            raise ConnectionError("refused")
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
    store.redis.zadd(f"{store.prefix}:due", dict.fromkeys(keys, 0))


def sent_long_ago(store: JobStore, broker: Broker, *pictures: str) -> None:
    """The messages of these pictures were sent, and no worker has come since."""
    for picture in pictures:
        for work in store.due(only=a_request(picture).key):
            broker.send(work)
            store.sent(work)
    store.redis.zadd(f"{store.prefix}:sent:generate", {a_request(picture).key: 0 for picture in pictures})


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
    sent_long_ago(store, broker, "a")
    for _ in range(3):
        watch.round()
    assert len(broker.messages) == 1


def test_a_message_that_vanished_is_sent_again(store: JobStore, watch: Watch, broker: Broker) -> None:
    for picture in "abc":
        submitted(store, picture)
    sent_long_ago(store, broker, *"abc")
    broker.messages.pop(0)
    for _ in range(3):
        watch.round()
    assert len(broker.messages) == 3


def test_a_message_that_could_not_be_sent_is_tried_again_soon(store: JobStore, broker: Broker, watch: Watch) -> None:
    submitted(store)
    make_due(store, a_request().key)
    broker.refuses = True
    with pytest.raises(ConnectionError):
        watch.round()
    broker.refuses = False
    make_due(store, a_request().key)
    watch.round()
    assert len(broker.messages) == 1 and store.redis.zcard(f"{store.prefix}:due") == 0


def test_taken_over_work_does_not_wait_for_the_messages_of_others(
    store: JobStore, broker: Broker, watch: Watch
) -> None:
    """The broker holds more messages than works wait, so nothing seems to be missing."""
    Fleet(store).register(a_worker("w1"), [])
    submitted(store, "a")
    claimed(store, "a")
    submitted(store, "b")
    sent_long_ago(store, broker, *"b")
    broker.messages *= 5
    watch.round()
    assert broker.messages[-1].key == a_request("a").key
    assert broker.messages[-1].priority < broker.messages[0].priority, "it goes before those that wait"


def test_low_priority_moves_up_the_longer_it_waits(store: JobStore, broker: Broker) -> None:
    watch = Watch(store, Fleet(store), broker, aging_s=60)
    submitted(store, "a", priority="low")
    waits_since(store, "a", 59)
    watch.round()
    assert broker.messages == []
    waits_since(store, "a", 61)
    watch.round()
    waits_since(store, "a", 121)
    watch.round()
    watch.round()
    assert [work.priority for work in broker.messages] == [PRIORITIES["normal"], PRIORITIES["high"]]
    submitted(store, "b", priority="high")
    assert store.redis.zrange(f"{store.prefix}:queued:generate", 0, 0) == [a_request("a").key]


def waits_since(store: JobStore, picture: str, seconds: float) -> None:
    """As if the work had waited for so long already."""
    key = a_request(picture).key
    since = int((time.time() - seconds) * 1000)
    priority = int(store.redis.hget(f"{store.prefix}:work:{key}", "priority"))
    store.redis.hset(f"{store.prefix}:work:{key}", "created_at", since)
    store.redis.zadd(f"{store.prefix}:queued:generate", {key: priority * 1e14 + since})


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


def test_a_process_that_ends_hands_the_watch_over_at_once(store: JobStore, watch: Watch, broker: Broker) -> None:
    other = Watch(store, Fleet(store), broker)
    assert watch.round() is True
    watch.hand_over()
    assert watch.round() is False
    assert other.round() is True


def test_a_due_time_far_ahead_is_a_clock_that_jumped_back(store: JobStore, watch: Watch, broker: Broker) -> None:
    submitted(store)
    store.redis.zadd(f"{store.prefix}:due", {a_request().key: 9e12})
    watch.round()
    assert len(broker.messages) == 1


def test_a_redis_that_is_away_does_not_end_the_watch() -> None:
    nowhere = JobStore(Redis(port=1, retry=None))
    watch = Watch(nowhere, Fleet(nowhere), Broker())
    rounds = iter([False, False, True])
    watch.run(threading.Event(), pause=lambda _: next(rounds))


def test_a_message_sent_in_the_future_was_sent_before_the_clock_jumped_back(
    store: JobStore, watch: Watch, broker: Broker
) -> None:
    submitted(store)
    sent_long_ago(store, broker, "a")
    hour_ahead = int((time.time() + 3600) * 1000)
    store.redis.zadd(f"{store.prefix}:sent:generate", {a_request().key: hour_ahead})
    broker.messages.clear()
    watch.round()
    assert len(broker.messages) == 1


def test_a_clock_that_jumps_ahead_sends_nothing_that_is_not_missing(
    store: JobStore, watch: Watch, broker: Broker
) -> None:
    """To a server whose clock is an hour ahead, every message looks an hour old."""
    for picture in "abc":
        submitted(store, picture)
    sent_long_ago(store, broker, *"abc")
    watch.round()
    assert len(broker.messages) == 3


def test_each_message_has_an_id_of_its_own_and_the_job_says_the_newest(
    store: JobStore, watch: Watch, broker: Broker
) -> None:
    """Every worker discards a revoked id, and teaches it to those that come later."""
    job_id = submitted(store)
    first = store.job(job_id).task_id
    sent_long_ago(store, broker, "a")
    broker.messages.clear()
    watch.round()
    (again,) = broker.messages
    assert again.task_id != first and store.job(job_id).task_id == again.task_id
    work = claimed(store, worker="w1")
    store.release(work)
    store.redis.delete(f"{store.prefix}:watch")
    watch.round()
    third = broker.messages[-1]
    assert len({first, again.task_id, third.task_id}) == 3
    assert store.claim(a_request().key, "w2", task_id=third.task_id).task_id == third.task_id
    assert store.job(job_id).task_id == third.task_id


def idle_since(store: JobStore, worker: WorkerInfo, seconds: float) -> None:
    """The worker beats and has had nothing to do for so long."""
    fleet = Fleet(store)
    fleet.register(worker, [])
    fleet.beat(worker)
    store.redis.hincrby(f"{store.prefix}:worker:{worker.id}", "idle_since", -int(seconds * 1000))


@pytest.mark.parametrize("idle", [True, False])
def test_work_beside_an_idle_worker_is_noticed_and_sent_again_whatever_the_broker_holds(
    store: JobStore, broker: Broker, idle: bool
) -> None:
    watch = Watch(store, Fleet(store), broker)
    idle_since(store, a_worker("w1"), 60 if idle else 1)
    for picture in "ab":
        submitted(store, picture)
    sent_long_ago(store, broker, *"ab")
    watch.round()
    assert len(broker.messages) == (4 if idle else 2)
    assert store.stalls() == {"generate": 2 if idle else 0, "render": 0}
    for picture in "ab" * idle:
        store.redis.zadd(f"{store.prefix}:sent:generate", {a_request(picture).key: 0})
    watch.round()
    assert len(broker.messages) <= 4, "never more than twice as many messages as works"


@pytest.mark.parametrize(
    "other", [replace(a_worker("w1"), consuming=False), a_worker("w1", queue="render")], ids=["deaf", "other queue"]
)
def test_work_beside_a_worker_that_could_not_take_it_is_no_stall(
    store: JobStore, broker: Broker, other: WorkerInfo
) -> None:
    idle_since(store, other, 60)
    submitted(store)
    sent_long_ago(store, broker, "a")
    Watch(store, Fleet(store), broker).round()
    assert store.stalls() == {"generate": 0, "render": 0} and len(broker.messages) == 1


@pytest.mark.parametrize("ends", ["canceled", "failed", "succeeded"])
def test_an_ended_job_says_which_task_it_was(store: JobStore, watch: Watch, broker: Broker, ends: str) -> None:
    job_id = submitted(store)
    sent_long_ago(store, broker, "a")
    broker.messages.clear()
    watch.round()
    if ends == "canceled":
        store.cancel(job_id)
    elif ends == "failed":
        store.fail(claimed(store), NoSurface("no"), max_attempts=1)
    else:
        finish(store, claimed(store))
    job = store.job(job_id)
    assert (job.status, job.task_id) == (ends, broker.messages[0].task_id)


@pytest.mark.parametrize("broken", ["worker:w1", "cards", "mended"])
def test_a_step_of_the_watch_that_fails_holds_up_no_other(
    store: JobStore, watch: Watch, broker: Broker, broken: str
) -> None:
    """Whatever it is that somebody has written into Redis there."""
    Fleet(store).register(a_worker("w1"), [])
    submitted(store)
    make_due(store, a_request().key)
    store.redis.delete(f"{store.prefix}:{broken}")
    store.redis.rpush(f"{store.prefix}:{broken}", "no hash and no string")
    if broken == "mended":
        watch.round()
    else:
        store.redis.zadd(f"{store.prefix}:announced", {"inflate": 1})
        with pytest.raises(ResponseError):
            watch.round()
    assert [work.key for work in broker.messages] == [a_request().key]


@pytest.mark.parametrize("beats", [0, 1, 2])
def test_a_worker_that_has_work_is_not_idle(store: JobStore, broker: Broker, beats: int) -> None:
    idle_since(store, a_worker("w1"), 60)
    for picture in "ab":
        submitted(store, picture)
    sent_long_ago(store, broker, *"ab")
    assert store.overdue("generate").idle_workers == 1
    work = claimed(store, "a", worker="w1")
    for _ in range(beats):
        Fleet(store).beat(a_worker("w1"))
    assert store.overdue("generate").idle_workers == 0
    store.release(work)
    Fleet(store).beat(a_worker("w1"))
    assert store.overdue("generate").idle_workers == 0, "it has been idle for a moment only"
