"""The API as it is deployed: gunicorn with two processes on a port of its own, and bytes on a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from deploy.stack.programs import programs
from settings import Settings
from tests.e2e.processes import Running
from tests.house import House
from tests.security.served import ADMIN_KEY, SECRET, USER_KEY
from tests.servers import RedisServer, free_port, wait_until

ANSWER_WITHIN_S = 10.0


class Live:
    """Two API processes, a Redis, and a house beside them whose worker has signed in but does not work."""

    def __init__(self, redis: RedisServer, folder: Path, **settings: object) -> None:
        keys = {"api_keys": (USER_KEY,), "admin_keys": (ADMIN_KEY,), "rate_limit": "0", "webhook_secret": (SECRET,)}
        self.settings = Settings(**{
            "data_dir": folder, "redis_url": redis.url, "host": "127.0.0.1", "port": free_port(), "api_processes": 2,
            "api_threads": 8, "max_upload_mb": 2, **keys, **settings,
        })  # fmt: skip
        self.house = House(redis.client(decode_responses=True), redis.url, folder).open()
        program = next(one for one in programs(self.settings) if one.name == "api")
        self.process = Running("api", program.command, self.settings.as_environment(), folder / "api.log")
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.settings.port}", timeout=ANSWER_WITHIN_S, trust_env=False,
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        )  # fmt: skip
        wait_until(self.alive, 60, f"the API to answer: {self.process.tail()}")

    def alive(self) -> bool:
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def say(self, raw: bytes) -> bytes:
        """What comes back for these bytes until the other side closes, or has nothing to say for a while."""
        with socket.create_connection(("127.0.0.1", self.settings.port), timeout=ANSWER_WITHIN_S) as connection:
            answer = b""
            with suppress(OSError):  # of a server that has heard enough
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while part := connection.recv(65_536):
                    answer += part
            return answer

    def close(self) -> None:
        self.http.close()
        self.process.close()
        self.house.close()


@contextmanager
def live_api(folder: Path, **settings: object) -> Iterator[Live]:
    with RedisServer() as redis:
        live = Live(redis, folder, **settings)
        try:
            yield live
        finally:
            live.close()


def status_of(answer: bytes) -> int:
    """0 for a connection that was closed without a word."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0
