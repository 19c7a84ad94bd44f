"""`redis-cli COMMAND…` for machines without one: says the command to the Redis of this environment's service."""

from __future__ import annotations

import sys

from redis import Redis

from settings import Settings

if __name__ == "__main__":
    settings = Settings()
    with Redis.from_url(settings.redis_url or f"redis://127.0.0.1:{settings.redis_port}/0") as redis:
        print(redis.execute_command(*sys.argv[1:]))
