"""Many callers at once with one picture: one generation, nobody refused, and Redis is not taken for silent."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.fleet import PICTURE, Fleet
from tests.servers import wait_until

GENERATION_S = 2.0
AFTER_S = {50: 1.0, 200: 1.0, 1000: 10.0}  # 1 000 take two cores longer than the generation itself
SLACK_S = 4.0  # for a machine that does other things too
BOUNDARY = "a-boundary"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("warm"), api_threads=256, generate_workers=1, render_workers=1) as fleet:
        fleet.start("api", "generate1", "render")
        fleet.succeeded(fleet.submit("warm"))
        yield fleet


def request(name: str, picture: bytes) -> bytes:
    fields = {"generator": "lab", "name": name, "seconds": str(GENERATION_S)}
    form = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    )
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = (form + file).encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def call(port: int, raw: bytes, slowly: bool) -> tuple[int, str]:
    """The status and the job's id; 0 for a connection that was closed without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in (raw[:100], raw[100:300], raw[300:]) if slowly else (raw,):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.3 if slowly else 0)  # what these clients are like; it waits for nothing
        answer = await reader.read()
    finally:
        writer.close()
    status = int(answer.split(b" ", 2)[1]) if answer else 0
    return status, json.loads(answer.split(b"\r\n\r\n", 1)[1]).get("id", "") if answer else ""


async def at_once(port: int, count: int, raw: bytes, *, slowly: bool) -> list[tuple[int, str]]:
    return await asyncio.gather(*(call(port, raw, slowly) for _ in range(count)))


def burst(fleet: Fleet, count: int, name: str, *, picture: bytes = PICTURE, slowly: bool = False) -> float:
    """Submits all at once; answers the seconds until the last one was done."""
    began = time.time()
    answers = asyncio.run(at_once(fleet.settings.port, count, request(name, picture), slowly=slowly))
    assert set(Counter(status for status, _ in answers)) <= {200, 202}, Counter(status for status, _ in answers)
    ids = [job_id for _, job_id in answers]
    assert len(set(ids)) == count
    wait_until(lambda: all(job and job.ended for job in fleet.store.jobs(ids)), 60, "all to end")
    jobs = fleet.store.jobs(ids)
    assert Counter(job.status for job in jobs) == {"succeeded": count}
    assert fleet.runs(name) == {"begun": 1, "finished": 1}
    log = fleet.running["api"].log.read_text()
    assert "does not answer" not in log and "left alone" not in log
    took_s = max(job.finished_at.timestamp() for job in jobs) - began
    print(f"measured: {count} submissions of one picture at once, done within {took_s:.2f} s")
    return took_s


@pytest.mark.parametrize("count", [50, 200, 1000])
def test_a_burst_makes_one_generation_and_refuses_nobody(warm: Fleet, count: int) -> None:
    assert burst(warm, count, f"warm-{count}") < GENERATION_S + AFTER_S[count] + SLACK_S


def test_the_first_burst_after_a_start_is_no_worse(warm: Fleet) -> None:
    warm.running["api"].close()
    warm.start("api")
    assert burst(warm, 200, "cold") < GENERATION_S + AFTER_S[200] + SLACK_S


def test_clients_with_a_large_picture_or_a_slow_line_wait_and_are_not_cut_off(warm: Fleet) -> None:
    burst(warm, 400, "large", picture=PICTURE + b"\0" * 200_000)
    burst(warm, 400, "slow", slowly=True)
