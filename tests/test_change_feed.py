"""Whoever waits for a job is woken by its change, and not kept waiting by a lost one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from jobs.feed import ChangeFeed
from jobs.store import PREFIX, JobStore
from tests.job_fleet import claimed, finish, submitted
from tests.servers import RedisServer


@pytest.fixture
def store(text_redis: Redis) -> JobStore:
    return JobStore(text_redis)


@pytest.fixture
def feed(redis_server: RedisServer) -> Iterator[ChangeFeed]:
    feed = ChangeFeed(lambda: redis_server.client(decode_responses=True), prefix=PREFIX)
    yield feed
    feed.close()


def test_a_waiter_is_answered_as_soon_as_the_job_ends(store: JobStore, feed: ChangeFeed) -> None:
    job_id = submitted(store)
    threading.Timer(0.3, lambda: finish(store, claimed(store))).start()
    started = time.monotonic()
    job = feed.wait_for(lambda: store.job(job_id), lambda job: job.ended, job_id, timeout_s=20)
    assert job.status == "succeeded"
    assert time.monotonic() - started < 1.5, "it was woken, it did not look again by chance"


def test_a_waiter_gets_what_there_is_when_the_time_is_over(store: JobStore, feed: ChangeFeed) -> None:
    job_id = submitted(store)
    job = feed.wait_for(lambda: store.job(job_id), lambda job: job.ended, job_id, timeout_s=0.2)
    assert job.status == "queued"


def test_nobody_is_remembered_who_has_stopped_waiting(feed: ChangeFeed) -> None:
    with feed.watching("a", "b"):
        assert set(feed._waiting) == {"a", "b"}
    assert not feed._waiting


def test_an_event_that_comes_before_the_reader_reads_is_not_needed(store: JobStore, feed: ChangeFeed) -> None:
    job_id = submitted(store)
    finish(store, claimed(store))
    assert feed.wait_for(lambda: store.job(job_id), lambda job: job.ended, job_id, timeout_s=5).ended
