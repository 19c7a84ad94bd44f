"""A background thread goes on whatever its steps raise, counts what failed, and is missed when it is gone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from api import deliveries
from api.services import follow_fleet
from cache.agent import CacheAgent
from cache.errors import ArchiveUnavailable
from cache.loops import THREADS, Loop, Threads
from jobs.feed import ChangeFeed
from jobs.store import JobStore
from jobs.threads import report_failures
from tests.house import House
from tests.servers import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Steps:
    """Raises what it is given, one after the other, then works."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.done = threading.Event()

    def __call__(self, *_: object, **__: object) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.done.set()


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), KeyError("id"), MemoryError(), SystemExit(3), KeyboardInterrupt(), RecursionError(),
     ResponseError("NOPERM"), ArchiveUnavailable("503")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_loop_goes_on_after_any_error_and_counts_it(error: BaseException) -> None:
    threads, steps = Threads(), Steps(error, error)
    loop = Loop("mine", steps, every_s=0.01, threads=threads).start()
    assert steps.done.wait(5) and loop.alive
    assert threads.take_failures() == {"mine": 2} and threads.take_failures() == {}
    assert threads.gone() == []
    loop.close(5)
    assert not loop.alive and threads.gone() == [], "who was closed is not missed"


def test_an_unexpected_error_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    steps = Steps(ZeroDivisionError("of nothing"))
    Loop("careful", steps, every_s=0.01, threads=Threads()).start().close(5)
    (record,) = [one for one in caplog.records if "careful" in one.getMessage()]
    assert record.exc_info is not None and record.levelname == "ERROR"


def test_after_a_failure_a_loop_that_does_not_wait_by_itself_pauses() -> None:
    waited: list[float] = []
    loop = Loop("hot", Steps(OSError("away")), wait=lambda seconds: bool(waited.append(seconds)) or True)
    loop.run()
    assert waited == [1.0]


def test_a_thread_that_is_gone_is_named() -> None:
    threads = Threads()
    loop = Loop("fragile", lambda: None, every_s=60, threads=threads).start()
    loop.stop.set()  # as nothing of ours does
    wait_until(lambda: threads.gone() == ["fragile"], 5)


def test_a_forked_child_does_not_miss_its_parents_threads() -> None:
    loop = Loop("parents", lambda: None, every_s=60).start()
    child = os.fork()
    if child == 0:
        os._exit(len(THREADS.gone()))
    assert os.waitpid(child, 0)[1] == 0
    loop.close()


def test_failures_are_counted_for_the_fleet_once_redis_takes_them(text_redis: Redis) -> None:
    threads = Threads()
    for name in ("watch", "watch", "pulse"):
        threads.count(name)
    with pytest.raises(Exception, match="1"):
        report_failures(JobStore(Redis(port=1, retry=None)), threads)
    threads.count("watch")
    store = JobStore(text_redis)
    report_failures(store, threads)
    report_failures(store, threads)
    assert text_redis.hgetall(f"{store.prefix}:counters") == {"thread_failed:watch": "3", "thread_failed:pulse": "1"}


def test_health_and_metrics_show_a_thread_that_is_gone(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path).open()
    loop = Loop("lost", lambda: None, every_s=60).start()
    try:
        assert house.http.get("/health").json["threads_gone"] == []
        loop.stop.set()
        wait_until(lambda: not loop.alive, 5)
        told = house.http.get("/health").json
        assert (told["threads_gone"], told["status"]) == (["lost"], "degraded")
        assert "orfeas_threads_gone 1.0" in house.http.get("/metrics").text
    finally:
        loop.close()
        house.close()


@pytest.mark.parametrize("error", [ValueError("no number"), KeyError("token"), ResponseError("WRONGTYPE")])
def test_webhooks_are_delivered_after_a_claim_that_failed_in_any_way(
    text_redis: Redis, redis_url: str, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_EVERY_S", 0.01)
    house = House(text_redis, redis_url, tmp_path, webhook_secret=(SECRET,)).open()
    steps = Steps(*[error] * 3)
    monkeypatch.setattr(deliveries.Outbox, "claim", steps)
    deliverer = deliveries.deliver_webhooks(house.services)
    assert deliverer is not None
    assert steps.done.wait(10), "the deliverers look on"
    deliverer.close()
    house.close()


def test_the_caches_beat_and_the_change_feed_go_on(
    text_redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(text_redis, redis_url, tmp_path, heartbeat_s=0.01).open()
    beats, news = Steps(TypeError("no beat")), Steps(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"))
    monkeypatch.setattr(CacheAgent, "beat", beats)
    monkeypatch.setattr(ChangeFeed, "_newest", news)
    follow_fleet(house.services)
    assert beats.done.wait(10)
    with house.services.feed.watching("some job") as changed:
        assert changed.wait(5), "who waits is woken to look by himself"
        assert news.done.wait(10)
    house.close()
