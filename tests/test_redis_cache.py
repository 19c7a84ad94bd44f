from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from cache import MISSING, BadEntry, InvalidKey, RedisCache
from cache.redis_stream import PART_BYTES, WINDOW_BYTES, Interrupted, receive, send
from tests.cache_keys import KEYS, key
from tests.redis_invariants import check_invariants
from tests.servers import RedisServer, wait_until

EDGES = [length + more for length in (PART_BYTES, WINDOW_BYTES, WINDOW_BYTES + PART_BYTES) for more in (0, 1)]
MakeCache = Callable[..., RedisCache]


@pytest.fixture
def make_cache(real_redis: redis.Redis, redis_url: str) -> Iterator[MakeCache]:
    yield lambda **options: RedisCache(redis_url, **options)
    check_invariants(real_redis)


@pytest.fixture
def cache(make_cache: MakeCache) -> RedisCache:
    return make_cache()


def order(cache: RedisCache) -> list[str]:
    """Most recently used first."""
    return [row["key"] for row in cache.entries(1000)[0]]


@pytest.mark.parametrize(
    "length",
    [0, 1, 44, 45, 8192, 100_000, 5 * WINDOW_BYTES, 9_999_999, *EDGES],
)
def test_a_value_of_any_length_comes_back_as_it_was_stored(cache: RedisCache, length: int) -> None:
    data = os.urandom(length)
    assert cache.lookup(key(1)) is MISSING
    assert cache.store(key(1), data, {"faces": 12, "name": "Käse  und Brot"}) is True
    entry = cache.lookup(key(1))
    assert (entry.data, entry.meta) == (data, {"faces": 12, "name": "Käse  und Brot"})
    assert cache.describe(key(1)) == entry.meta
    assert cache.stats()["hits"] == 2


def test_the_least_recently_used_entry_leaves_first(make_cache: MakeCache) -> None:
    cache = make_cache(max_size=3)
    for name in KEYS[:3]:
        cache.store(name, b"x", {})
    cache.lookup(KEYS[0])
    cache.describe(KEYS[1])
    cache.store(KEYS[3], b"x", {})
    assert order(cache) == [KEYS[3], KEYS[1], KEYS[0]]
    assert cache.stats()["evictions_by_count"] == 1


def test_two_processes_see_one_order_and_one_limit(make_cache: MakeCache) -> None:
    first, second = make_cache(max_size=3), make_cache(max_size=3)
    for number, name in enumerate(KEYS[:10]):
        (first if number % 2 else second).store(name, b"x", {})
    assert order(first) == order(second) == KEYS[9:6:-1]


@pytest.fixture
def quiet_redis(own_redis: Callable[..., RedisServer]) -> Iterator[redis.Redis]:
    """A server without other clients, for tests that weigh it.

    On the shared one `used_memory` also moves with the buffers of clients that earlier tests left behind (2 MB each),
    which the server frees when it notices that they are gone.
    """
    with own_redis().client() as client:
        yield client
        check_invariants(client)


def url_of(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def test_bytes_are_limited_as_redis_charges_them(quiet_redis: redis.Redis) -> None:
    cache = RedisCache(url_of(quiet_redis), max_memory_mb=20)
    cache.stats()
    before = quiet_redis.info("memory")["used_memory"]
    for name in KEYS:
        assert cache.store(name, os.urandom(1_100_000), {"note": "x" * 500})
    grown = quiet_redis.info("memory")["used_memory"] - before
    stats = cache.stats()
    assert stats["evictions_by_size"] == len(KEYS) - stats["current_items"] > 0
    assert stats["current_memory_mb"] <= 20
    assert stats["current_memory_mb"] * 2**20 == pytest.approx(grown, rel=0.05)


def test_small_entries_are_charged_with_what_surrounds_them(quiet_redis: redis.Redis) -> None:
    cache = RedisCache(url_of(quiet_redis))
    cache.store(key("first"), b"x", {})  # scripts and buffers, which the server takes once, belong to no entry
    before = quiet_redis.info("memory")["used_memory"]
    for number in range(2000):
        cache.store(key(("small", number)), b"x" * 100, {"faces": number})
    grown = quiet_redis.info("memory")["used_memory"] - before
    assert cache.stats()["current_memory_mb"] * 2**20 == pytest.approx(grown, rel=0.25)


def test_a_value_over_the_limit_is_refused_and_disturbs_nothing(make_cache: MakeCache) -> None:
    cache = make_cache(max_memory_mb=2)
    cache.store(KEYS[0], b"x", {})
    assert cache.store(KEYS[1], b"x" * 3_000_000, {}) is False
    assert cache.store(KEYS[2], b"x" * (2 * 2**20 - 100), {}) is False  # with what surrounds it, it is over
    assert order(cache) == [KEYS[0]]
    assert cache.stats()["refused"] == 2
    assert cache.stats()["evictions"] == 0


def test_storing_again_replaces_and_counts_once(cache: RedisCache) -> None:
    cache.store(key(1), b"x" * 5_000_000, {"n": 1})
    cache.store(key(1), b"y", {"n": 2})
    entry = cache.lookup(key(1))
    assert (entry.data, entry.meta) == (b"y", {"n": 2})
    assert cache.stats()["current_memory_mb"] < 0.01


def test_entries_expire_on_the_servers_clock(make_cache: MakeCache) -> None:
    cache = make_cache(ttl_s=0.02)
    cache.store(key(1), b"x", {})
    cache.store(key(2), b"x", {}, ttl_s=3600)
    wait_until(lambda: cache.describe(key(1)) is MISSING)
    assert cache.lookup(key(2)) is not MISSING
    assert cache.stats()["expirations"] == 1
    assert order(cache) == [key(2)]


@pytest.mark.parametrize("policy", ["lru", "gdsf"])
@pytest.mark.parametrize(
    "squeeze",
    [
        lambda cache: cache.store(KEYS[20], b"x", {}),
        lambda cache: cache.store(KEYS[20], b"x" * 700_000, {}),
        lambda cache: cache.update_limits(max_size=2),
        lambda cache: cache.update_limits(max_memory_mb=0.3),
    ],
    ids=["one entry more", "many bytes more", "fewer entries", "fewer bytes"],
)
def test_what_is_expired_leaves_before_what_is_alive_and_counts_as_expiry(
    make_cache: MakeCache, squeeze: Callable[[RedisCache], bool], policy: str
) -> None:
    cache = make_cache(max_size=7, max_memory_mb=1, ttl_s=None, policy=policy)
    cache.store(KEYS[0], b"the least recently used" * 4000, {})
    for name in KEYS[1:6]:
        cache.store(name, b"x" * 100_000, {}, ttl_s=0.02, cost_s=1000)
    cache.store(KEYS[6], b"alive", {})
    wait_until(lambda: sum(row["expired"] for row in cache.entries()[0]) == 5)
    assert squeeze(cache)
    assert cache.lookup(KEYS[0]) is not MISSING and cache.lookup(KEYS[6]) is not MISSING
    stats = cache.stats()
    assert (stats["expirations"], stats["evictions"]) == (5, 0)


def test_expired_entries_go_when_anything_is_stored(make_cache: MakeCache) -> None:
    cache = make_cache(ttl_s=0.02)
    for name in KEYS[:5]:
        cache.store(name, b"x", {})
    wait_until(lambda: all(row["expired"] for row in cache.entries()[0]))
    cache.store(KEYS[9], b"x", {})
    assert cache.stats()["expirations"] == 5


def test_clearing_is_seen_at_once_and_frees_everything(cache: RedisCache, real_redis: redis.Redis) -> None:
    for name in KEYS:
        cache.store(name, b"x" * 100_000, {})
    assert cache.clear() == len(KEYS)
    assert all(cache.lookup(name) is MISSING for name in KEYS)
    assert not list(real_redis.scan_iter("*:blob:*"))
    assert cache.stats()["current_memory_mb"] == 0
    assert cache.store(KEYS[0], b"new", {}) is True
    assert cache.lookup(KEYS[0]).data == b"new"


@pytest.mark.parametrize("policy", ["lru", "gdsf"])
def test_what_was_cleared_is_gone_for_readers_before_it_is_deleted(
    make_cache: MakeCache, real_redis: redis.Redis, policy: str
) -> None:
    cache = make_cache(policy=policy)
    names = [key(number) for number in range(300)]
    for name in names:
        cache.store(name, b"x", {}, cost_s=1000)
    assert cache.link.run("clear", 1, 0)[0][2] == b"300"
    shown = cache.stats()
    assert (shown["current_items"], shown["current_memory_mb"]) == (0, 0)
    assert cache.entries() == ([], "")
    assert cache.entry(names[0]) is cache.lookup(names[0]) is MISSING
    assert cache.delete(names[1]) is False
    assert cache.store(names[2], b"anew", {}), "a store tidies too, but no more than its share"
    assert real_redis.hlen("{orfeas:cache:2}:entries") > 100
    assert cache.clear() == 1, "what was cleared before does not count again"
    assert cache.stats()["evictions"] == cache.stats()["expirations"] == 0
    assert list(real_redis.scan_iter("{orfeas:cache:2}:blob:*")) == []


def test_after_a_change_of_policy_worth_counts_from_the_first_entry_on(make_cache: MakeCache) -> None:
    cache = make_cache(max_size=2)
    for name in KEYS[:2]:
        cache.store(name, b"x", {})
    cache.update_limits(policy="gdsf")
    assert cache.entries() == ([], "")
    for name, cost_s in zip(KEYS[2:5], (7.002, 7.0, 0.001), strict=True):
        cache.store(name, b"x", {}, cost_s=cost_s)
    assert [row["key"] for row in cache.entries()[0]] == [KEYS[2], KEYS[4]], "a millisecond of work in kilobytes counts"
    cache.update_limits(policy="lru")
    for name in KEYS[5:8]:
        cache.store(name, b"x", {})
    assert [row["key"] for row in cache.entries()[0]] == [KEYS[7], KEYS[6]]


def test_another_process_that_has_not_heard_of_a_clear_stores_and_reads_after_it(make_cache: MakeCache) -> None:
    first, second = make_cache(), make_cache()
    first.store(key(1), b"old", {})
    assert second.lookup(key(1)).data == b"old"
    first.clear()
    first.store(key(1), b"new", {})
    assert second.lookup(key(1)).data == b"new"
    first.clear()
    assert second.store(key(2), b"x", {}) is True


def test_a_store_begun_before_a_clear_is_refused(make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, other = make_cache(), make_cache()

    def send_then_clear(*args: object) -> None:
        send(*args)
        other.clear()

    monkeypatch.setattr("cache.redis_transfer.send", send_then_clear)
    assert cache.store(key(1), b"x" * 3_000_000, {}) is False
    assert other.lookup(key(1)) is MISSING


def test_a_copy_read_before_a_delete_is_refused(cache: RedisCache) -> None:
    cache.store(key(1), b"x", {})
    version = cache.version
    cache.delete(key(1))
    assert cache.store(key(1), b"x", {}, unless_changed_since=version) is False
    assert cache.store(key(1), b"x", {}, unless_changed_since=cache.version) is True


def test_limits_changed_by_one_process_hold_for_all_and_survive_a_restart(make_cache: MakeCache) -> None:
    first, second = make_cache(max_size=100), make_cache(max_size=100)
    for name in KEYS:
        second.store(name, b"x", {})
    assert first.update_limits(max_size=5, max_memory_mb=7, ttl_s=60) is True
    assert len(order(second)) == 5
    assert second.limits() == {"max_size": 5, "max_memory_mb": 7, "ttl_s": 60, "policy": "lru"}
    assert make_cache(max_size=100).limits()["max_size"] == 5  # a restart with the same settings
    assert make_cache(max_size=50).limits()["max_size"] == 50  # the settings were changed


@pytest.mark.parametrize("field", ["max_size", "max_memory_mb", "ttl_s", "policy"])
def test_nonsense_limits_are_refused_by_name(cache: RedisCache, redis_url: str, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        RedisCache(redis_url, **{field: -1})
    with pytest.raises(ValueError, match=field):
        cache.update_limits(**{field: 0})


def test_deleting_one_entry(cache: RedisCache) -> None:
    cache.store(key(1), b"x", {})
    assert cache.delete(key(1)) is True
    assert cache.delete(key(1)) is False
    assert cache.lookup(key(1)) is MISSING


@pytest.mark.parametrize("flaw", ["flipped", "short", "gone"])
def test_a_damaged_value_is_a_miss_is_counted_and_forgotten(
    cache: RedisCache, real_redis: redis.Redis, flaw: str
) -> None:
    cache.store(key(1), b"x" * 3_000_000, {}, cost_s=2)
    (blob,) = real_redis.scan_iter("*:parts:*")
    if flaw == "flipped":
        real_redis.lset(blob, 7, b"y" * PART_BYTES)
    elif flaw == "short":
        real_redis.rpop(blob)
    else:
        real_redis.delete(blob)
    assert cache.lookup(key(1)) is MISSING
    stats = cache.stats()
    assert (stats["corruptions"], stats["hits"], stats["misses"], stats["gpu_seconds_saved"]) == (1, 0, 1, 0)
    assert stats["current_items"] == 0


def test_a_value_that_goes_while_it_is_read_is_noticed_and_not_waited_for(cache: RedisCache) -> None:
    """What is short of the expected answer would never come: the connection's time-out would have to tell."""
    cache.store(key(1), b"x" * 3_000_000, {})
    with pytest.raises(Interrupted):
        receive(cache.link.client, "absent", 3_000_000, lambda: None)
    with pytest.raises(Interrupted):
        receive(cache.link.client, f"{cache.link.tag}:parts:{key(1)}", 4_000_000, lambda: None)
    assert cache.lookup(key(1)).data == b"x" * 3_000_000, "and nobody reads what was left of the answer"


def test_hits_count_what_they_save(cache: RedisCache) -> None:
    cache.store(key(1), b"x", {}, cost_s=12.5)
    cache.store(key(2), b"x", {"cost_s": 3})
    cache.lookup(key(1))
    cache.describe(key(1))
    cache.lookup(key(2))
    cache.lookup(key(1), saves_work=False)  # a download
    assert cache.stats()["gpu_seconds_saved"] == 28


def test_pages_meet_every_entry_once_while_others_are_deleted(cache: RedisCache) -> None:
    for name in KEYS:
        cache.store(name, b"x", {})
    seen, cursor = [], ""
    while True:
        page, cursor = cache.entries(7, cursor)
        seen += [row["key"] for row in page]
        if not cursor:
            break
        cache.delete(seen[-1])
    assert seen == KEYS[::-1]


def test_an_entry_shows_what_is_promised(cache: RedisCache) -> None:
    cache.store(key(1), b"x" * 3_000_000, {"generator": "inflate"}, cost_s=4, ttl_s=60)
    cache.lookup(key(1))
    row = cache.entry(key(1))
    assert row == cache.entries()[0][0] | {"age_seconds": row["age_seconds"]}
    assert row["size_mb"] == pytest.approx(3, rel=0.1)
    assert row["expires_at"] - row["timestamp"] == pytest.approx(60)
    assert (row["access_count"], row["expired"], row["meta"]) == (1, False, {"generator": "inflate"})
    assert cache.entry(key(2)) is MISSING


def test_nothing_but_a_key_reaches_redis(cache: RedisCache) -> None:
    for call in (cache.lookup, cache.describe, cache.delete, cache.entry):
        with pytest.raises(InvalidKey):
            call("*")
    with pytest.raises(InvalidKey):
        cache.store("a b", b"", {})


def test_metadata_that_is_no_json_or_too_long_is_refused(cache: RedisCache) -> None:
    with pytest.raises(BadEntry, match="MAX_META_BYTES"):
        cache.store(key(1), b"", {"x": "y" * 20_000})
    with pytest.raises(BadEntry):
        cache.store(key(1), b"", {"x": {1, 2}})


def test_compression_is_used_where_it_pays(make_cache: MakeCache, real_redis: redis.Redis) -> None:
    cache = make_cache(compress=True)
    plain, noise = b"vertex 0.0 1.0 2.0\n" * 100_000, os.urandom(500_000)
    cache.store(key(1), plain, {})
    cache.store(key(2), noise, {})
    assert cache.lookup(key(1)).data == plain
    assert cache.lookup(key(2)).data == noise
    assert cache.entry(key(1))["size_mb"] < 0.1
    assert make_cache().lookup(key(1)).data == plain  # read by one that does not compress


def test_other_keys_of_the_same_redis_are_left_alone(make_cache: MakeCache, real_redis: redis.Redis) -> None:
    real_redis.lpush("celery", "task")
    other = make_cache(namespace="other")
    cache = make_cache(max_size=2)
    other.store(key(1), b"other", {})
    for name in KEYS:
        cache.store(name, b"x", {})
    cache.clear()
    assert real_redis.lrange("celery", 0, -1) == [b"task"]
    assert other.lookup(key(1)).data == b"other"


def test_every_key_shares_one_hash_tag(cache: RedisCache, real_redis: redis.Redis) -> None:
    for name in KEYS[:3]:
        cache.store(name, b"x", {})
    cache.delete(KEYS[0])
    cache.clear()
    assert all(name.startswith(b"{orfeas:cache:2}:") for name in real_redis.scan_iter("*"))


def test_many_threads_leave_it_in_order(make_cache: MakeCache, real_redis: redis.Redis) -> None:
    cache = make_cache(max_size=10, max_memory_mb=3, timeout_s=10)

    def work(seed: int) -> None:
        for step in range(60):
            name = KEYS[(seed * 7 + step * step) % 25]
            if step % 3:
                entry = cache.lookup(name)
                assert entry is MISSING or entry.data == name.encode() * 5000
            elif step % 20 == 0:
                cache.clear()
            else:
                assert cache.store(name, name.encode() * 5000, {}) in (True, False)
        done.append(seed)

    done: list[int] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        check_invariants(real_redis, stages=6)
    assert len(done) == 6
    assert cache.link.fault_counts() == {}
    assert cache.stats()["corruptions"] == 0


def test_a_clock_that_steps_back_does_not_turn_the_order_round(cache: RedisCache, real_redis: redis.Redis) -> None:
    for name in KEYS[:3]:
        cache.store(name, b"x", {})
    an_hour_ahead = real_redis.time()[0] * 10**6 + 3600 * 10**6
    real_redis.zadd(f"{cache.link.tag}:order", {KEYS[2]: an_hour_ahead})  # used before the clock stepped back
    cache.lookup(KEYS[0])
    cache.store(KEYS[3], b"x", {})
    assert order(cache) == [KEYS[3], KEYS[0], KEYS[2], KEYS[1]]
