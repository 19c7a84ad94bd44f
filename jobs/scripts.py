"""Loads the job store's Lua scripts, each behind what all share, and calls them with one JSON document."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

# A full Redis refuses new work, never the end of what was accepted: these take no room, or make some.
ALSO_WHEN_FULL = frozenset({
    "beat", "register", "forget", "claim", "complete_generation", "complete_rendition", "fail", "release", "cancel",
    "due", "sent", "age", "decline", "announce", "forget_cards", "mend", "mend_jobs", "end", "recheck", "trim",
})  # fmt: skip

# redis-py's annotations cannot tell a client that answers texts from one that answers bytes.
TextRedis: TypeAlias = Any

READ_ONLY = frozenset({"read", "overdue", "find"})  # answered by a full Redis and by a replica too

_FOLDER = Path(__file__).with_name("lua")
_SHARED = ("core", "listing", "works", "ending")  # put before each script, in this order


@cache
def _source(name: str) -> str:
    flags = "no-writes" if name in READ_ONLY else "allow-oom" if name in ALSO_WHEN_FULL else ""
    return "\n".join((f"#!lua flags={flags}", *((_FOLDER / f"{part}.lua").read_text() for part in (*_SHARED, name))))


class Scripts:
    """Calls `lua/<name>.lua`; every call is one atomic step on the server."""

    def __init__(self, redis: TextRedis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._loaded: dict[str, Any] = {}

    def __call__(self, script: str, **arguments: object) -> Any:
        """Raises: redis.RedisError."""
        if script not in self._loaded:
            self._loaded[script] = self._redis.register_script(_source(script))
        return self._loaded[script](keys=[self._prefix], args=[json.dumps(arguments)])
