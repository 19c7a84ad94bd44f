"""Bytes that released versions have written, which every later version must read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import redis

from cache import Archive, Entry, RedisCache
from cache.codec import checksum
from cache.stats import Snapshot
from tests.cache_keys import key

HEADER = b'{"length":9,"meta":{"faces":12},"sha256":"%s"}' % hashlib.sha256(b"the value").hexdigest().encode()
ARCHIVED_1 = b"cached01" + len(HEADER).to_bytes(4, "big") + HEADER + b"the value"
RECORD_2 = b'1795248838000001 9 0 900 12500 0 %s 0034819d9bdae63e raw {"faces":12}'
SNAPSHOT_1 = (
    b'{"id":"w","host":"h","queue":"generate","pid":7,"started":1.5,"enabled":true,"counters":{"hits":3},"loads":{}}'
)


def test_objects_of_the_archive_from_version_1_are_read(tmp_path: Path) -> None:
    place = tmp_path / "results" / key(1)[:2]
    place.mkdir(parents=True)
    (place / key(1)).write_bytes(ARCHIVED_1)
    archive = Archive.open(str(tmp_path))
    assert archive.get(key(1)) == Entry(b"the value", {"faces": 12})
    archive.put(key(2), b"the value", {"faces": 12})
    assert (tmp_path / "results" / key(2)[:2] / key(2)).read_bytes() == ARCHIVED_1


def test_records_of_the_shared_tier_from_version_2_are_read(real_redis: redis.Redis, redis_url: str) -> None:
    cache = RedisCache(redis_url)
    cache.store(key(1), b"the value", {"faces": 12}, cost_s=12.5, ttl_s=None)
    assert checksum(b"the value").encode() in RECORD_2
    epoch = real_redis.hget("{orfeas:cache:2}:state", "epoch")
    real_redis.hset("{orfeas:cache:2}:entries", key(1), RECORD_2 % epoch)
    assert cache.lookup(key(1)) == Entry(b"the value", {"faces": 12})
    assert cache.entry(key(1))["cost_s"] == 12.5
    assert cache.stats()["gpu_seconds_saved"] == 12.5


@pytest.mark.parametrize("text", [SNAPSHOT_1, SNAPSHOT_1[:-1] + b',"news":1}', b'{"id":"w","counters":{"hits":3}}'])
def test_snapshots_of_other_versions_are_read(text: bytes) -> None:
    snapshot = Snapshot.from_json(text)
    assert (snapshot.id, snapshot.stats()["hits"], snapshot.stats()["current_items"]) == ("w", 3, 0)
