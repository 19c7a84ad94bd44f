"""Keys: who gets in, who may administer, and that nobody sees another's jobs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from redis import Redis

from api.auth import Keyring
from settings import Settings
from tests.house import House, picture

ADA, BOB, ROOT = "ada-secret", "bob-secret", "root-secret"


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    hashed = f"sha256:{hashlib.sha256(BOB.encode()).hexdigest()}"
    house = House(text_redis, redis_url, tmp_path, api_keys=(ADA, hashed), admin_keys=(ROOT,)).open()
    yield house
    house.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def submit(house: House, key: str) -> str:
    data = {"image": (io.BytesIO(picture()), "a.png")}
    answer = house.http.post("/api/jobs", data=data, headers=bearer(key))
    assert answer.status_code in (200, 202)
    return answer.headers["Location"]


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": f"Basic {ADA}"}], ids=str)
def test_without_a_valid_key_nothing_is_answered(house: House, headers: dict[str, str]) -> None:
    for path in ("/api/jobs", f"/api/jobs/{'f' * 32}", "/api/generators", "/openapi.json"):
        answer = house.http.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.json["code"] == "key_needed"


def test_every_route_is_closed_but_the_public_ones(house: House) -> None:
    open_ones = set()
    for rule in house.app.url_map.iter_rules():
        path = rule.rule.replace("<job_id>", "f" * 32).replace("<format>", "glb").replace("<path:filename>", "x")
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            if house.http.open(path, method=method).status_code != 401:
                open_ones.add(house.app.view_functions[rule.endpoint].__module__)
    assert open_ones <= {"api.health", "api.pages", "api.docs", "flask.blueprints", "flask.app"}


def test_health_and_readiness_need_no_key(house: House) -> None:
    assert house.http.get("/health").status_code == 200
    assert house.http.get("/ready").status_code == 200


def test_a_caller_sees_only_its_own_jobs(house: House) -> None:
    url = submit(house, ADA)
    house.work()
    for path in (url, f"{url}/model.glb"):
        assert house.http.get(path, headers=bearer(BOB)).status_code == 404
        assert house.http.get(path, headers=bearer(ADA)).status_code == 200
    assert house.http.get(f"{url}/preview.png", headers=bearer(BOB)).status_code == 404
    assert house.http.delete(url, headers=bearer(BOB)).status_code == 404
    assert house.http.get("/api/jobs", headers=bearer(BOB)).json["jobs"] == []
    assert len(house.http.get("/api/jobs", headers=bearer(ADA)).json["jobs"]) == 1


def test_an_admin_sees_all_jobs(house: House) -> None:
    url = submit(house, ADA)
    assert house.http.get(url, headers=bearer(ROOT)).status_code == 200
    assert len(house.http.get("/api/jobs", headers=bearer(ROOT)).json["jobs"]) == 1


def test_owners_share_results_but_not_idempotency_keys(house: House) -> None:
    submit(house, ADA)
    house.work()
    data = {"image": (io.BytesIO(picture()), "a.png")}
    again = house.http.post("/api/jobs", data=data, headers=bearer(BOB))
    assert again.headers["X-Cache"] == "HIT-L2", "nothing is made twice"
    first = house.http.post(
        "/api/jobs", data={"image": (io.BytesIO(picture()), "a.png")}, headers=bearer(ADA) | {"Idempotency-Key": "1"}
    )
    other = house.http.post(
        "/api/jobs", data={"image": (io.BytesIO(picture()), "a.png")}, headers=bearer(BOB) | {"Idempotency-Key": "1"}
    )
    assert first.json["id"] != other.json["id"]


def test_keys_are_kept_as_digests_only() -> None:
    keyring = Keyring(Settings(api_keys=(ADA,), admin_keys=(ROOT,)))
    assert ADA not in repr(vars(keyring)) and ROOT not in repr(vars(keyring))
    assert keyring.caller(ADA).admin is False and keyring.caller(ROOT).admin is True
    assert ADA not in keyring.caller(ADA).owner


def test_settings_never_print_a_secret() -> None:
    shown = repr(Settings(api_keys=(ADA,), redis_url="redis://:hunter2@host/0"))
    assert ADA not in shown and "hunter2" not in shown
    with pytest.raises(ValidationError) as caught:
        Settings(admin_keys=(ROOT,), port=0)
    assert ROOT not in str(caught.value)


def test_without_keys_the_server_stays_on_loopback() -> None:
    assert Settings().bind_host == "127.0.0.1"
    assert Settings(api_keys=(ADA,)).bind_host == "0.0.0.0"
    with pytest.raises(ValidationError, match="API_KEYS"):
        Settings(host="0.0.0.0")


def test_who_asks_too_often_hears_when_to_come_back(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=(ADA, BOB), rate_limit="3/minute").open()
    answers = [house.http.get("/api/jobs", headers=bearer(ADA)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Remaining"] == "2"
    assert 0 < int(answers[3].headers["Retry-After"]) <= 60
    assert answers[3].json["code"] == "rate_limited" and answers[3].json["retryable"] is True
    assert house.http.get("/api/jobs", headers=bearer(BOB)).status_code == 200, "another key has its own budget"
    assert house.http.get("/health").status_code == 200


def test_a_wrong_key_is_limited_by_its_address(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=(ADA,), rate_limit="2/minute")
    codes = [house.http.get("/api/jobs", headers=bearer(f"guess-{number}")).status_code for number in range(4)]
    assert codes == [401, 401, 429, 429]
