"""What a user of Redis must be permitted to do, and which of it this one may not.

`python -m deploy.redis_permissions` prints it as ACL rules, for `docs/operate/redis.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

KEY = "{orfeas}:doctor"  # never written: what names it is queued in a transaction that is discarded

Arguments = tuple[str, ...]

# Commands with arguments that the server accepts as a call.
_BOTH: dict[str, Arguments] = {
    "ping": (), "time": (), "multi": (), "exec": (), "discard": (), "select": ("0",),
    "script|load": ("return 1",), "script|exists": ("0" * 40,), "evalsha": ("0" * 40, "1", KEY),
    "get": (KEY,), "set": (KEY, "1"), "del": (KEY,), "unlink": (KEY,), "exists": (KEY,), "expire": (KEY, "1"),
    "pexpire": (KEY, "1"), "incr": (KEY,), "rename": (KEY, KEY), "llen": (KEY,), "strlen": (KEY,),
    "hdel": (KEY, "f"), "hget": (KEY, "f"), "hgetall": (KEY,), "hincrby": (KEY, "f", "1"),
    "hmget": (KEY, "f"), "hset": (KEY, "f", "1"),
    "xadd": (KEY, "*", "f", "1"), "xrange": (KEY, "-", "+"), "xread": ("STREAMS", KEY, "0"),
    "zadd": (KEY, "1", "m"), "zcard": (KEY,), "zcount": (KEY, "0", "1"), "zrange": (KEY, "0", "1"),
    "zrangebyscore": (KEY, "0", "1"), "zrank": (KEY, "m"), "zrem": (KEY, "m"), "zscore": (KEY, "m"),
    "zrevrange": (KEY, "0", "1"), "zrevrank": (KEY, "m"),
}  # fmt: skip
_CACHE: dict[str, Arguments] = {
    "lrange": (KEY, "0", "1"), "rpush": (KEY, "1"), "rpushx": (KEY, "1"), "memory|usage": (KEY,), "persist": (KEY,),
    # For noticing a lost index and rebuilding it
    "hexists": (KEY, "f"), "hkeys": (KEY,), "hlen": (KEY,), "hrandfield": (KEY, "1"), "hscan": (KEY, "0"),
    "hvals": (KEY,), "scan": ("0",),
}  # fmt: skip
_JOBS: dict[str, Arguments] = {
    "hincrbyfloat": (KEY, "f", "1"), "hkeys": (KEY,), "xrevrange": (KEY, "+", "-"), "pttl": (KEY,),
    "hsetnx": (KEY, "f", "1"), "mget": (KEY,), "scan": ("0",),
    "sadd": (KEY, "m"), "scard": (KEY,), "sismember": (KEY, "m"), "smembers": (KEY,), "spop": (KEY, "1"),
    "srandmember": (KEY, "1"), "srem": (KEY, "m"), "sscan": (KEY, "0"),
    "zlexcount": (KEY, "-", "+"), "zrangebylex": (KEY, "-", "+"), "zremrangebyscore": (KEY, "0", "1"),
    "zrevrangebylex": (KEY, "+", "-"),
    # Celery's and Flower's
    "brpop": (KEY, "1"), "lpush": (KEY, "1"), "rpop": (KEY,), "lindex": (KEY, "0"), "ltrim": (KEY, "0", "1"),
    "publish": ("/0.orfeas", "1"), "watch": (KEY,), "unwatch": (),
    "subscribe": ("/0.orfeas",), "unsubscribe": ("/0.orfeas",),
    "psubscribe": ("/0.orfeas*",), "punsubscribe": ("/0.orfeas*",),
    # The rate limit's
    "incrby": (KEY, "1"),
}  # fmt: skip
_ALONE = {"multi", "exec", "discard", "watch", "unwatch"}  # not queued in a transaction


@dataclass(frozen=True)
class Needs:
    """Commands, patterns of keys and of channels; `{db}` stands for the number of the database.

    Who subscribes to a pattern of channels must be permitted that very pattern.
    """

    commands: Mapping[str, Arguments]
    keys: tuple[str, ...]
    channels: tuple[str, ...] = ()

    def rules(self, database: int = 0) -> list[str]:
        """As ACL rules, for a user who may do nothing yet."""
        channels = [f"&{channel.format(db=database)}" for channel in self.channels]
        return [*(f"~{key}" for key in self.keys), *channels, *(f"+{command}" for command in sorted(self.commands))]


_CACHE_KEYS = ("{orfeas:cache:*",)
CACHE = Needs(_BOTH | _CACHE, _CACHE_KEYS)
JOBS = Needs(
    _BOTH | _JOBS,
    (
        "{orfeas}*", "generate*", "render*", "unacked*", "_kombu.*", "celeryev*", "*.celery.pidbox*", "LIMITS:*",
    ),
    ("/{db}.celery.pidbox", "/{db}.celeryev/*", "/{db}.celeryev/worker.*"),
)  # fmt: skip
# REDIS_URL alone serves for both.
WHOLE = Needs({**JOBS.commands, **CACHE.commands}, JOBS.keys + CACHE.keys, JOBS.channels)


def missing(redis: Redis, needs: Needs, database: int) -> list[str]:
    """The ACL rules that this user lacks. Nothing is executed: the calls are queued in a transaction and discarded.

    Raises: redis.RedisError: other than a permission that is missing.
    """
    pool = redis.connection_pool
    one: Any = pool.get_connection()  # a client would read each answer as that of its command, which is only queued
    try:
        lacks = ["watch"] if "watch" in needs.commands and _denied(one, "watch", KEY) else []
        lacks += [name for name, words in (("unwatch", ()), ("multi", ())) if _denied(one, name, *words)]
        if "multi" not in lacks:
            lacks += [
                name for name, words in needs.commands.items() if name not in _ALONE and _denied(one, name, *words)
            ]
            lacks += ["discard"] if _denied(one, "discard") else []
        rules = [f"+{name}" for name in lacks if name in needs.commands]
        if rules:  # without the commands, keys cannot be told
            return rules
        one.send_command("MULTI")
        one.read_response()
        rules += [f"~{key}" for key in needs.keys if _denied(one, "exists", key.replace("*", "x"), command=False)]
        channels = [channel.format(db=database) for channel in needs.channels]
        return rules + [
            f"&{name}" for name in channels if _denied(one, "publish", name.replace("*", "x"), "1", command=False)
        ]
    finally:
        one.disconnect()
        pool.release(one)


def _denied(one: Any, name: str, *words: str, command: bool = True) -> bool:
    """Whether the user may not run the command at all; without `command`, or not on these keys and channels."""
    one.send_command(*name.upper().split("|"), *words)
    try:
        one.read_response()
    except NoPermissionError as error:
        return "run the" in str(error) or not command
    except ResponseError:
        return False
    return False


def lines() -> Iterator[str]:
    """ACL commands that make a user for REDIS_URL, and two users where the cache has a Redis of its own."""
    for name, needs in (("orfeas", WHOLE), ("orfeas-jobs", JOBS), ("orfeas-cache", CACHE)):
        yield f"ACL SETUSER {name} on >PASSWORD {' '.join(needs.rules())}"


if __name__ == "__main__":
    print("\n".join(lines()))
