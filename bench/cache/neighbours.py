"""What others on the same Redis feel while 50 MB values move: the slowest PING of a second client, and the memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable

import redis

from bench.cache.servers import server
from bench.cache.shared import ours, plain
from bench.cache.tables import print_table

LENGTH = 50_000_000
SECONDS = 6.0
READERS = 10


def ping(url: str, seconds: float, answers: multiprocessing.Queue) -> None:
    """The slowest and the 99th of 100 PINGs, in ms."""
    client = redis.Redis.from_url(url)
    client.ping()
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        client.ping()
        took.append(1000 * (time.perf_counter() - begun))
        time.sleep(0.001)
    took.sort()
    answers.put((took[-1], took[len(took) * 99 // 100]))


def pings_while(url: str, work: Callable[[], object] | None) -> tuple[float, float]:
    answers: multiprocessing.Queue = multiprocessing.Queue()
    pinger = multiprocessing.Process(target=ping, args=(url, SECONDS, answers))
    pinger.start()
    while pinger.is_alive() and answers.empty():
        if work is None:
            time.sleep(0.05)
        else:
            work()
    worst = answers.get()
    pinger.join()
    return worst


def extra_mb(url: str, read: Callable[[], object]) -> float:
    """What the server holds beside its values while ten clients read at once, at most."""
    client = redis.Redis.from_url(url)
    before, most = client.info("memory")["used_memory"], 0
    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        most = max(most, client.info("memory")["used_memory"] - before)
    return most / 2**20


def main() -> None:
    data, rows = os.urandom(LENGTH), []
    with server() as url:
        idle = pings_while(url, None)
        rows.append(["nothing", f"{idle[0]:.1f}", f"{idle[1]:.2f}", ""])
        for name, (store, read) in {"plain SET and GET": plain(url), "**RedisCache**": ours(url)}.items():
            store(data)
            worst, usual = pings_while(url, lambda store=store, read=read: (store(data), read()))
            rows.append([name, f"{worst:.1f}", f"{usual:.2f}", f"{extra_mb(url, read):.1f}"])
    head = [
        "while 50 MB values move by",
        "slowest PING, ms",
        "99th of 100, ms",
        f"server memory beside {READERS} readers, MB",
    ]
    print_table("Neighbours", head, rows)
    print("\nTo reach: slowest PING ≤ 10 ms")
