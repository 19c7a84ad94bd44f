"""What API and workers send each other, over a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis

from jobs.broker import Sender, broker_settings
from jobs.store import JobStore
from tests.job_fleet import a_request, submitted


@pytest.fixture
def sender(redis_url: str, text_redis: Redis) -> Iterator[Sender]:
    app = Celery("test", set_as_current=False)
    app.conf.update(broker_settings(redis_url, longest_job_s=60))
    yield Sender(app)
    app.close()


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


def test_a_queue_without_messages_has_no_backlog(sender: Sender) -> None:
    assert sender.backlog("generate") == 0


def test_the_backlog_counts_messages_of_every_priority(sender: Sender, store: JobStore) -> None:
    for picture, priority in (("a", "high"), ("b", "normal"), ("c", "low")):
        submitted(store, picture, priority=priority)
        (work,) = store.due(only=a_request(picture).key)
        sender.send(work)
    assert sender.backlog("generate") == 3
    assert sender.backlog("render") == 0


def test_a_message_carries_the_generator_and_the_key_and_no_more(sender: Sender, store: JobStore) -> None:
    submitted(store)
    (work,) = store.due(only=a_request().key)
    sender.send(work)
    message = store.redis.lpop("generate\x06\x166") or ""
    assert work.task_id in message and len(message) < 2000
