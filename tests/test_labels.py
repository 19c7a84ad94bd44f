"""By what name a job goes: the label that its caller gave, else the name of the uploaded file."""

from __future__ import annotations

import base64
import io
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


@pytest.mark.parametrize(
    ("file", "fields", "label"),
    [
        ("cup.png", {}, "cup.png"),
        ("cup.png", {"label": "mine"}, "mine"),
        ("cup.png", {"label": ""}, "cup.png"),
        ("pictures/cup.png", {}, "cup.png"),
        ("../../cup.png", {}, "cup.png"),
        ("a" * 300 + ".png", {}, "a" * 196 + ".png"),
        ("blob", {}, None),  # what programs say when there is no file
    ],
)
def test_a_picture_goes_by_its_label_or_by_its_files_name(
    house: House, file: str, fields: dict[str, str], label: str | None
) -> None:
    one = house.http.post("/api/jobs", data={"image": (io.BytesIO(picture()), file), **fields}).json
    assert one["label"] == label
    data = {"images": [(io.BytesIO(picture()), file), (io.BytesIO(picture("blue")), "mug.png")], **fields}
    first, second = house.http.post("/api/jobs/batch", data=data).json["jobs"]
    assert (first["label"], second["label"]) == (label, fields.get("label") or "mug.png")


def test_bytes_in_json_have_no_name(house: House) -> None:
    image = base64.b64encode(picture()).decode()
    assert house.http.post("/api/jobs", json={"image": image}).json["label"] is None
    assert house.http.post("/api/jobs/batch", json={"images": [image]}).json["jobs"][0]["label"] is None
