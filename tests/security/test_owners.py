"""Nobody sees, hears of, or changes another's job, over whichever route there is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.house import House, picture
from tests.security.served import ADMIN_KEY, OTHER_KEY, SECRET, USER_KEY


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    keys = {"api_keys": (USER_KEY, OTHER_KEY), "admin_keys": (ADMIN_KEY,), "webhook_secret": (SECRET,)}
    house = House(text_redis, redis_url, tmp_path, **keys).open()
    yield house
    house.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def submit(house: House, colour: str) -> str:
    data = {"image": (io.BytesIO(picture(colour)), "a.png"), "label": "mine alone"}
    return house.http.post("/api/jobs", data=data, headers=bearer(USER_KEY)).json["id"]


def routes(house: House, job_id: str) -> Iterator[tuple[str, str]]:
    """Every call about this job, but the page that shows it, which holds nobody's data."""
    for rule in house.app.url_map.iter_rules():
        if "<job_id>" in rule.rule and rule.endpoint != "pages.read_view":
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, rule.rule.replace("<job_id>", job_id).replace("<format>", "glb")


@pytest.mark.parametrize("done", [False, True], ids=["queued", "succeeded"])
def test_every_route_denies_that_anothers_job_exists(house: House, done: bool) -> None:
    job_id = submit(house, "red")
    if done:
        house.work()
    before = house.http.get(f"/api/jobs/{job_id}", headers=bearer(USER_KEY)).json
    tried = list(routes(house, job_id))
    assert len(tried) >= 6
    for method, path in tried:
        theirs = house.http.open(path, method=method, headers=bearer(OTHER_KEY))
        nobodys = house.http.open(path.replace(job_id, "f" * 32), method=method, headers=bearer(OTHER_KEY))
        assert theirs.status_code == nobodys.status_code == 404, (method, path)
        assert theirs.json["detail"].replace(job_id, "") == nobodys.json["detail"].replace("f" * 32, "")
        assert "mine alone" not in theirs.text
    assert house.http.get(f"/api/jobs/{job_id}", headers=bearer(USER_KEY)).json["status"] == before["status"]


def test_lists_and_events_leave_anothers_jobs_out(house: House) -> None:
    job_id = submit(house, "blue")
    listed = house.http.get("/api/jobs?label=mine+alone&limit=100", headers=bearer(OTHER_KEY)).json
    assert listed["jobs"] == [] and job_id not in str(listed)
    assert house.http.get(f"/api/jobs?cursor={job_id}", headers=bearer(OTHER_KEY)).json["jobs"] == []
    assert house.http.get(f"/api/events?job={job_id}", headers=bearer(OTHER_KEY)).status_code == 404


def test_only_admins_administer(house: House) -> None:
    for rule in house.app.url_map.iter_rules():
        if rule.rule.startswith("/api/cache"):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                path = rule.rule.replace("<key>", "a" * 64)
                assert house.http.open(path, method=method, headers=bearer(USER_KEY)).status_code == 403, path


def test_webhook_secrets_differ_from_key_to_key(house: House) -> None:
    told = [
        house.http.get("/api/webhooks/secret", headers=bearer(key)).json["secrets"] for key in (USER_KEY, OTHER_KEY)
    ]
    assert told[0] != told[1]
    assert SECRET not in str(told)
