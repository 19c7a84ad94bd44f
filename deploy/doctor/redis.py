"""Is Redis there, new enough, safe for a queue, with room, kept on disk, and by the same clock?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.doctor.findings import Finding, fail, ok, warn
from settings import Settings

MB = 2**20
OLDEST = (6, 2)
OLDEST_TRIED = (7, 0)
NEARLY_FULL = 0.9
SKEW_NOTICED_S = 2.0
SKEW_HARMFUL_S = 60.0

Info = Mapping[str, Any]


def connect(url: str) -> Redis:
    return Redis.from_url(
        url, decode_responses=True, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0)
    )


def where(url: str) -> str:
    """The server and database of a URL, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}:{parts.port or 6379}{parts.path if parts.hostname else ''}"


def redis_findings(name: str, url: str, settings: Settings, *, embedded: bool) -> Iterator[Finding]:
    """What one server says of itself; nothing but that it is away, when it does not answer."""
    redis = connect(url)
    try:
        began = time.time()
        seconds, micros = redis.time()
        ended = time.time()
        info: Info = redis.info()
    except RedisError as error:
        yield _away(name, url, error, embedded=embedded)
        return
    finally:
        redis.close()
    yield _version(name, url, info)
    yield _policy(name, info)
    yield _room(name, info, settings)
    yield _persistence(name, info, embedded=embedded)
    yield _clock(name, seconds + micros / 1e6 - (began + ended) / 2)


def _away(name: str, url: str, error: RedisError, *, embedded: bool) -> Finding:
    if embedded:
        return warn(name, f"the embedded server at {where(url)} does not run", "it starts with `./orfeas up`")
    return fail(name, f"{where(url)} does not answer: {error}", "start it, or correct REDIS_URL or CACHE_REDIS_URL")


def _version(name: str, url: str, info: Info) -> Finding:
    told = str(info.get("valkey_version") or info.get("redis_version", "0"))
    kind = "Valkey" if info.get("valkey_version") else "Redis"
    version = tuple(int(part) for part in told.split(".")[:2] if part.isdigit())
    says = f"{kind} {told} at {where(url)}"
    if version < OLDEST:
        return fail(name, f"{says}; 6.2 is the oldest that can do it", "use Redis 7 or newer, or Valkey")
    if version < OLDEST_TRIED:
        return warn(name, f"{says}; our tests run on 7 and newer", "use Redis 7 or newer, or Valkey")
    return ok(name, says)


def _policy(name: str, info: Info) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return ok(f"{name} policy", policy)
    return fail(
        f"{name} policy",
        f"maxmemory-policy is {policy}: at its limit this server deletes queued work",
        "`redis-cli CONFIG SET maxmemory-policy noeviction`, and the same in its configuration file",
    )


def _room(name: str, info: Info, settings: Settings) -> Finding:
    used_mb, limit_mb = int(info["used_memory"]) / MB, int(info["maxmemory"]) / MB
    wanted_mb = 2 * settings.cache_shared_max_memory_mb + 256
    name = f"{name} memory"
    if not limit_mb:
        return warn(name, "maxmemory is 0: it may take all memory of its machine", f"set `maxmemory {wanted_mb:.0f}mb`")
    says = f"{used_mb:.0f} of {limit_mb:.0f} MB in use"
    if used_mb > NEARLY_FULL * limit_mb:
        return fail(
            name, f"{says}: it will soon refuse writes", "raise `maxmemory`, or lower CACHE_SHARED_MAX_MEMORY_MB"
        )
    if settings.cache_shared_max_memory_mb > NEARLY_FULL * limit_mb:
        return warn(
            name,
            f"{says}; the shared tier alone may take {settings.cache_shared_max_memory_mb:g} MB",
            f"set `maxmemory {wanted_mb:.0f}mb`, or lower CACHE_SHARED_MAX_MEMORY_MB",
        )
    return ok(name, says)


def _persistence(name: str, info: Info, *, embedded: bool) -> Finding:
    name = f"{name} disk"
    broken = [
        word
        for word in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(word, "ok") != "ok"
    ]
    if broken:
        return fail(name, f"its last write failed ({', '.join(broken)})", "make room on its disk, then `BGREWRITEAOF`")
    if info.get("aof_enabled"):
        return ok(name, "append-only file")
    if embedded or name.startswith("redis"):
        mend = "set `appendonly yes` where Redis is started"
        return warn(name, "without an append-only file a restart loses queued jobs", mend)
    return ok(name, "none, and a cache needs none")


def _clock(name: str, ahead_s: float) -> Finding:
    name = f"{name} clock"
    says = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this host"
    if abs(ahead_s) < SKEW_NOTICED_S:
        return ok(name, "as this host's")
    grade = fail if abs(ahead_s) > SKEW_HARMFUL_S else warn
    return grade(name, f"{says}: times of jobs and webhooks are off", "let both hosts follow a time server (NTP)")
