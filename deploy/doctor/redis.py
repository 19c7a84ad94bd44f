"""Is Redis there, new enough, safe for a queue, with room, kept on disk, and by the same clock?"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis, RedisError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from cache.redis_client import make_plain_client
from cache.redis_url import RedisAddress
from deploy.doctor.findings import Finding, fail, ok, warn
from deploy.redis_permissions import WHOLE, Needs, missing
from settings import Settings

MB = 2**20
OLDEST = (6, 2)
OLDEST_TRIED = (7, 0)
NEARLY_FULL = 0.9
SKEW_NOTICED_S = 2.0
SKEW_HARMFUL_S = 60.0

_PAGE = "docs/operate/redis.md"
_PERMIT = f"permit it with ACL SETUSER; all that is needed is in {_PAGE}"

Info = Mapping[str, Any]


def connect(url: str) -> Redis:
    return make_plain_client(url, connect_timeout_s=2, timeout_s=5, decode_responses=True)


def where(url: str) -> str:
    """The server and database of a URL, without its user and password."""
    return RedisAddress.parse(url).shown


def redis_findings(
    name: str, url: str, settings: Settings, *, embedded: bool, needs: Needs = WHOLE
) -> Iterator[Finding]:
    """What one server says of itself; nothing but why, when it cannot be asked."""
    redis = connect(url)
    try:
        began = time.time()
        redis.ping()
        ended = time.time()
    except RedisError as error:
        yield _away(name, url, error, embedded=embedded)
        return
    try:
        yield from _figures(name, url, redis, settings, embedded=embedded)
        yield _permissions(name, redis, needs, RedisAddress.parse(url).database)
        seconds, micros = redis.time()
        yield _clock(name, seconds + micros / 1e6 - time.time() + (ended - began) / 2)
    except NoPermissionError as error:
        yield fail(name, f"{where(url)} answers, but {_said(error)}", _PERMIT)
    except RedisError as error:
        yield _away(name, url, error, embedded=embedded)
    finally:
        redis.close()


def _figures(name: str, url: str, redis: Redis, settings: Settings, *, embedded: bool) -> Iterator[Finding]:
    try:
        info: Info = redis.info()
    except NoPermissionError:
        says = f"{where(url)} answers; version, policy, memory and disk are not known: this user may not run INFO"
        yield warn(name, says, f"see that maxmemory-policy is noeviction, or permit +info ({_PAGE})")
        return
    yield _version(name, url, info)
    yield _policy(name, info)
    yield _room(name, info, settings)
    yield _persistence(name, info, embedded=embedded)


def _permissions(name: str, redis: Redis, needs: Needs, database: int) -> Finding:
    lacks = missing(redis, needs, database)
    if lacks:
        return fail(f"{name} permissions", f"this user lacks {' '.join(lacks)}", _PERMIT)
    return ok(f"{name} permissions", "all that is needed")


def _away(name: str, url: str, error: RedisError, *, embedded: bool) -> Finding:
    """Why the server cannot be asked; only one that nothing listens for is to be started."""
    place = where(url)
    address = "REDIS_URL" if name == "redis" else "CACHE_REDIS_URL"
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error) or "WRONGPASS" in str(error):
        return fail(name, f"{place} answers, but refuses user or password", f"correct them in {address}")
    if isinstance(error, NoPermissionError):
        return fail(name, f"{place} answers, but {_said(error)}", _PERMIT)
    if isinstance(error, BusyLoadingError):
        return fail(name, f"{place} answers, but is still loading its data", "wait until it has, and look again")
    if isinstance(error, ResponseError | InvalidResponse):
        return fail(name, f"{place} answers, but with: {_said(error)}", f"is it a Redis, and {address} right?")
    tls = _cause(error, ssl.SSLError)
    if isinstance(tls, ssl.SSLCertVerificationError):
        mend = f"name its authority in {address}: ?ssl_ca_certs=/path/to/ca.pem; host names must match too"
        return fail(name, f"{place} answers, but its certificate is not trusted: {tls.verify_message}", mend)
    if tls is not None:
        mend = f"does it expect TLS (rediss://), and the client's certificate? Correct {address}"
        return fail(name, f"{place} answers, but TLS fails: {_said(tls)}", mend)
    if _cause(error, socket.gaierror):
        return fail(name, f"the name in {place} is not known here", f"correct {address}, or this host's name service")
    if embedded:
        return warn(name, f"the embedded server at {place} does not run", "it starts with `./orfeas up`")
    if _cause(error, ConnectionRefusedError) or _cause(error, FileNotFoundError):
        return fail(name, f"nothing listens at {place}", f"start it, or correct {address}")
    if isinstance(error, RedisTimeout):
        return fail(
            name,
            f"{place} does not answer in time",
            "is it overloaded, kept away by a firewall, or without TLS where rediss:// asks for it?",
        )
    mend = f"does it expect TLS (rediss://), or refuse this host (protected-mode, maxclients)? Correct {address}"
    return fail(name, f"{place} ended the connection: {_said(error)}", mend)


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The error of this kind from which another came."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _said(error: BaseException) -> str:
    """In one line."""
    return " ".join(str(error).split())[:200]


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
