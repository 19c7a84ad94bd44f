from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cache import MISSING, Archive, ArchiveUnavailable, LRUCache, RedisCache, TieredCache
from tests.cache_keys import key
from tests.servers import wait_until


@pytest.fixture
def tiers(real_redis: redis.Redis, redis_url: str, tmp_path: Path) -> TieredCache:
    return TieredCache(LRUCache(), RedisCache(redis_url), Archive.open(str(tmp_path)))


def test_a_value_is_found_in_the_nearest_tier_and_copied_up(tiers: TieredCache, redis_url: str) -> None:
    tiers.store(key(1), b"mesh", {"faces": 12}, cost_s=2.5)
    assert tiers.lookup(key(1)).tier == "L1"
    tiers.clear_local()
    assert tiers.lookup(key(1)).tier == "L2"
    assert tiers.lookup(key(1)).tier == "L1"
    tiers.shared.clear()
    tiers.clear_local()
    found = tiers.lookup(key(1))
    assert (found.tier, found.data, found.meta) == ("ARCHIVE", b"mesh", {"faces": 12, "cost_s": 2.5})
    tiers.clear_local()
    assert tiers.lookup(key(1)).tier == "L2"
    assert tiers.lookup(key(2)) is MISSING


def test_describing_moves_no_value(tiers: TieredCache) -> None:
    tiers.store(key(1), b"mesh", {"faces": 12})
    assert tiers.describe(key(1)).tier == "L1"
    tiers.clear_local()
    assert tiers.describe(key(1)).tier == "L2"
    tiers.shared.clear()
    assert tiers.describe(key(1)).tier == "ARCHIVE"
    assert tiers.describe(key(1)).meta == {"faces": 12}
    assert tiers.describe(key(2)) is MISSING
    assert len(tiers.local) == 0
    assert tiers.shared.stats()["current_items"] == 0


def test_disabled_no_tier_answers_and_only_the_archive_is_written(tiers: TieredCache) -> None:
    tiers.store(key(1), b"before", {})
    tiers.enabled = False
    tiers.store(key(2), b"while", {})
    for number in (1, 2):
        assert tiers.lookup(key(number)) is MISSING
        assert tiers.describe(key(number)) is MISSING
    assert len(tiers.local) == 0
    assert tiers.shared.stats()["current_items"] == 1
    tiers.enabled = True
    assert tiers.lookup(key(2)).tier == "ARCHIVE"


def test_a_value_that_the_archive_refuses_is_in_no_tier(tiers: TieredCache, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(ArchiveUnavailable):
        tiers.store(key(1), b"mesh", {})
    assert tiers.lookup(key(1)) is MISSING


def test_deleting_forgets_in_every_tier(tiers: TieredCache) -> None:
    tiers.store(key(1), b"mesh", {})
    assert tiers.delete(key(1)) is True
    assert tiers.lookup(key(1)) is MISSING
    assert tiers.delete(key(1)) is False


def test_without_redis_the_other_tiers_go_on(tmp_path: Path) -> None:
    tiers = TieredCache(LRUCache(), RedisCache("redis://127.0.0.1:1/0"), Archive.open(str(tmp_path)))
    tiers.store(key(1), b"mesh", {})
    assert tiers.lookup(key(1)).tier == "L1"
    tiers.clear_local()
    assert tiers.lookup(key(1)).tier == "ARCHIVE"


def test_callers_of_one_key_share_one_making(tiers: TieredCache) -> None:
    made: list[int] = []
    together = threading.Barrier(20)

    def make() -> tuple[bytes, dict]:
        made.append(1)
        return b"mesh", {}

    def call() -> None:
        together.wait()
        assert tiers.get_or_make(key(1), make).data == b"mesh"

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


class CountedReads:
    """Counts what is read from the archive; each read lasts until the lookups are `waiting` for it."""

    def __init__(self, tiers: TieredCache, waiting: Callable[[], bool] = lambda: True) -> None:
        self.number = 0
        self._read, self._waiting = tiers.archive.get, waiting
        tiers.archive.get = self  # type: ignore[method-assign, assignment]

    def __call__(self, name: str) -> object:
        self.number += 1
        wait_until(self._waiting)
        return self._read(name)


@pytest.mark.parametrize("number", [2, 30])
@pytest.mark.parametrize("without", ["nothing", "local", "shared", "both"])
def test_lookups_at_the_same_time_read_the_archive_once(
    redis_url: str, real_redis: redis.Redis, tmp_path: Path, number: int, without: str
) -> None:
    tiers = TieredCache(
        None if without in ("local", "both") else LRUCache(),
        None if without in ("shared", "both") else RedisCache(redis_url, timeout_s=10),
        Archive.open(str(tmp_path)),
    )
    tiers.archive.put(key(1), b"mesh", {"cost_s": 2.0})
    saves = [one % 2 == 0 for one in range(number)]  # downloads among them

    def waiting() -> bool:
        others = sum(tiers._flights.waiting((key(1), kind, 0)) for kind in (True, False))
        return others + tiers._reads.waiting((key(1), 0)) == number - 1

    reads, found = CountedReads(tiers, waiting), []
    threads = [
        threading.Thread(target=lambda kind=kind: found.append(tiers.lookup(key(1), saves_work=kind))) for kind in saves
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.data for entry in found] == [b"mesh"] * number
    assert reads.number == 1


def test_lookups_at_the_same_time_read_the_shared_tier_once(tiers: TieredCache) -> None:
    tiers.store(key(1), b"mesh", {})
    tiers.clear_local()
    read, reads, found = tiers.shared.lookup, [], []

    def counted(name: str, **more: bool) -> object:
        reads.append(name)
        wait_until(lambda: tiers._flights.waiting((name, True, 1)) == 9)
        return read(name, **more)

    tiers.shared.lookup = counted  # type: ignore[method-assign]
    threads = [threading.Thread(target=lambda: found.append(tiers.lookup(key(1)))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.data for entry in found] == [b"mesh"] * 10
    assert reads == [key(1)]


@pytest.mark.parametrize("shared", [True, False])
def test_a_lookup_whose_flight_landed_between_look_and_take_off_reads_nothing_again(
    redis_url: str, real_redis: redis.Redis, tmp_path: Path, shared: bool
) -> None:
    tiers = TieredCache(LRUCache(), RedisCache(redis_url) if shared else None, Archive.open(str(tmp_path)))
    tiers.archive.put(key(1), b"mesh", {})
    reads, look, looked = CountedReads(tiers), tiers.local.lookup, []

    def look_while_another_lands(name: str) -> object:
        found = look(name)
        if not looked:
            looked.append(name)
            assert tiers.lookup(name).tier == "ARCHIVE"
        return found

    tiers.local.lookup = look_while_another_lands  # type: ignore[method-assign]
    assert tiers.lookup(key(1)).tier == "L1"
    assert reads.number == 1


def test_with_the_cache_disabled_what_was_promised_is_fetched_from_the_archive(tiers: TieredCache) -> None:
    tiers.enabled = False
    tiers.store(key(1), b"mesh", {"faces": 12})
    found = tiers.fetch(key(1))
    assert (found.tier, found.data, found.meta) == ("ARCHIVE", b"mesh", {"faces": 12})
    assert tiers.fetch(key(2)) is MISSING
    assert len(tiers.local) == 0 and tiers.shared.stats()["current_items"] == 0


def test_what_was_deleted_while_it_was_copied_up_stays_deleted(tiers: TieredCache) -> None:
    tiers.store(key(1), b"mesh", {})
    tiers.clear_local()
    tiers.shared.clear()
    read = tiers.archive.get

    def read_then_delete(name: str) -> object:
        entry = read(name)
        tiers.delete(name)
        return entry

    tiers.archive.get = read_then_delete
    assert tiers.lookup(key(1)).data == b"mesh"  # begun before the delete
    assert tiers.lookup(key(1)) is MISSING
    assert tiers.shared.lookup(key(1)) is MISSING


MAKER = """
import sys, time
from cache import LRUCache, RedisCache, TieredCache
from tests.cache_keys import key
from tests.servers import wait_until
tiers = TieredCache(LRUCache(), RedisCache(sys.argv[1]), None)

def make():
    print("making", flush=True)
    time.sleep(float(sys.argv[2]))
    return b"mesh", {}

print(tiers.get_or_make(key(1), make).data.decode(), flush=True)
"""


def maker(url: str, takes_s: float) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", MAKER, url, str(takes_s)], stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_together_share_one_making(real_redis: redis.Redis, redis_url: str) -> None:
    makers = [maker(redis_url, 2.5) for _ in range(4)]  # longer than a lease that nobody keeps
    said = [process.communicate(timeout=60)[0].split() for process in makers]
    assert sorted(said) == [["making", "mesh"], ["mesh"], ["mesh"], ["mesh"]]


def test_another_takes_over_when_the_maker_is_killed(real_redis: redis.Redis, redis_url: str) -> None:
    first = maker(redis_url, 1000)
    assert first.stdout.readline() == "making\n"
    others = [maker(redis_url, 0.1) for _ in range(3)]
    first.kill()
    first.wait()
    first.stdout.close()
    said = [process.communicate(timeout=60)[0].split() for process in others]
    assert sorted(said) == [["making", "mesh"], ["mesh"], ["mesh"]]
