"""Bytes in, bytes out, found by key: a local LRU, a shared LRU in Redis, a durable archive, and the three as one.

Usable on its own by any Python program; it knows nothing of jobs, pictures or meshes.
"""

from __future__ import annotations

from cache.agent import CacheAgent
from cache.archive import Archive
from cache.decorators import cached_result, cached_result_sync
from cache.entry import CacheEntry
from cache.errors import (
    ArchiveError,
    ArchiveFull,
    ArchiveUnavailable,
    BadEntry,
    CacheError,
    InvalidKey,
    SharedUnavailable,
)
from cache.fleet import FleetCache
from cache.keys import canonical_json, content_key, is_key
from cache.lru import LRUCache, clear_cache, get_cache
from cache.missing import MISSING, Missing
from cache.redis import RedisCache
from cache.tiered import TieredCache
from cache.trace import TraceLog
from cache.values import JSON, Described, Entry, Found, Meta, Tier

__all__ = [
    "JSON",
    "MISSING",
    "Archive",
    "ArchiveError",
    "ArchiveFull",
    "ArchiveUnavailable",
    "BadEntry",
    "CacheAgent",
    "CacheEntry",
    "CacheError",
    "Described",
    "Entry",
    "FleetCache",
    "Found",
    "InvalidKey",
    "LRUCache",
    "Meta",
    "Missing",
    "RedisCache",
    "SharedUnavailable",
    "Tier",
    "TieredCache",
    "TraceLog",
    "cached_result",
    "cached_result_sync",
    "canonical_json",
    "clear_cache",
    "content_key",
    "get_cache",
    "is_key",
]
