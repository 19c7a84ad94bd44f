"""What open event streams cost: `python -m bench.streams` prints memory and latency beside 0 to 200 open streams.

A stack of its own with one API process. Half of the streams follow the fleet, half a job each; meanwhile jobs are made
and read over the same API. The load comes from the same machine and competes for its cores.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import psutil
from PIL import Image, ImageDraw

from deploy.stack import Stack
from settings import Settings

READS = 300
PAUSE_S = 0.01


@dataclass
class Listener:
    """Reads many event streams in one thread; notes when each job's end arrived, by wall clock."""

    host: tuple[str, int]
    opened: int = 0
    refused: int = 0
    lags_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest: dict[socket.socket, bytes] = {}

    def open(self, path: str) -> None:
        link = socket.create_connection(self.host)
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
        status = int(link.recv(4096).split(b" ", 2)[1])
        self.opened += status == 200
        self.refused += status == 503
        if status != 200:
            link.close()
            return
        self._rest[link] = b""
        self._selector.register(link, selectors.EVENT_READ)

    def listen(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for key, _ in self._selector.select(0.2):
                link: socket.socket = key.fileobj  # type: ignore[assignment]
                if data := link.recv(65_536):
                    self._take(link, data)
                else:
                    self._selector.unregister(link)

    def _take(self, link: socket.socket, data: bytes) -> None:
        now = time.time()
        *lines, self._rest[link] = (self._rest[link] + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and b'"finished_at":"' in line:
                ended = json.loads(line[6:])["finished_at"]
                self.lags_ms.append(1000 * (now - datetime.fromisoformat(ended).timestamp()))

    def close(self) -> None:
        for link in self._rest:
            link.close()


def dot(seed: int) -> bytes:
    """A small picture that is quickly made into a mesh, another one for each seed."""
    dice = random.Random(seed)
    image = Image.new("RGB", (64, 64), "white")
    radius = dice.uniform(10, 25)
    colour = tuple(dice.randrange(30, 200) for _ in range(3))
    ImageDraw.Draw(image).ellipse((32 - radius, 32 - radius, 32 + radius, 32 + radius), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def submit(http: httpx.Client, seed: int) -> str:
    answer = http.post("/api/jobs", files={"image": dot(seed)}, data={"resolution": 32, "mask": "border"})
    return answer.raise_for_status().json()["id"]


def measure(streams: int, threads: int) -> str:
    """One row of the table."""
    with running(threads) as (stack, settings), httpx.Client(base_url=stack.url, timeout=30) as http:
        listener, stop = Listener(("127.0.0.1", settings.port)), threading.Event()
        jobs = [submit(http, seed) for seed in range(max(20, streams // 2))]
        for number in range(streams):
            listener.open(f"/api/jobs/{jobs[number // 2]}/events" if number % 2 else "/api/events")
        thread = threading.Thread(target=listener.listen, args=(stop,))
        thread.start()
        reads_ms = [read_ms(http, jobs[number % len(jobs)]) for number in range(READS)]
        wait_ended(http, jobs)
        memory_mb = resident_mb(stack)
        stop.set()
        thread.join()
        listener.close()
    lags = f"{statistics.median(listener.lags_ms):7.0f}" if listener.lags_ms else "      –"
    p50, p95 = statistics.median(reads_ms), statistics.quantiles(reads_ms, n=20)[18]
    load = f"{threads:7} {streams:7} {listener.opened:6} {listener.refused:7}"
    return f"{load} {memory_mb:8.0f} {p50:8.1f} {p95:8.1f} {lags}"


def read_ms(http: httpx.Client, job_id: str) -> float:
    began = time.perf_counter()
    http.get(f"/api/jobs/{job_id}").raise_for_status()
    took_s = time.perf_counter() - began
    time.sleep(PAUSE_S)
    return 1000 * took_s


def wait_ended(http: httpx.Client, jobs: list[str]) -> None:
    for job_id in jobs:
        while not http.get(f"/api/jobs/{job_id}", params={"wait": 20}).json()["finished_at"]:
            pass


def resident_mb(stack: Stack) -> float:
    """Of the API's processes together."""
    master = psutil.Process(next(program.pid for program in stack.programs() if program.name == "api"))
    return sum(one.memory_info().rss for one in (master, *master.children(recursive=True))) / 2**20


@contextmanager
def running(threads: int) -> Iterator[tuple[Stack, Settings]]:
    with tempfile.TemporaryDirectory(prefix="streams-") as folder:
        settings = Settings(
            data_dir=Path(folder), port=free_port(), redis_port=free_port(), flower_port=0, api_threads=threads
        )
        with Stack(settings) as stack:
            stack.wait_ready(60)
            yield stack, settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--streams", type=int, nargs="+", default=[0, 50, 200])
    asked.add_argument("--threads", type=int, nargs="+", default=[32, 256], help="API_THREADS")
    chosen = asked.parse_args()
    print("threads streams   open refused  RSS MB  read p50 read p95  lag p50 (ms)")
    for threads in chosen.threads:
        for streams in chosen.streams:
            print(measure(streams, threads), flush=True)


if __name__ == "__main__":
    main()
