"""What the intake does beside asking the store."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.house import House, picture


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def submit(house: House, **fields: str) -> int:
    data = {**fields, "image": (io.BytesIO(picture()), "a.png")}
    return house.http.post("/api/jobs", data=data).status_code


def test_an_upload_that_a_new_job_needs_is_young_again(house: House, tmp_path: Path) -> None:
    """Else the janitor might take it while the job still waits."""
    assert submit(house) == 202
    (upload,) = (path for path in (tmp_path / "archive" / "inputs").rglob("*") if path.is_file())
    os.utime(upload, (0, 0))
    assert submit(house, depth="0.7") == 202
    assert time.time() - upload.stat().st_mtime < 60
