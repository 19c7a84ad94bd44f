"""What a browser brings along: other websites, frames, scripts; every answer says what it may do with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from tests.house import House, picture

ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
)
OURS: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
)


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path).open()
    yield house
    house.close()


def submit(house: House, headers: dict[str, str]) -> TestResponse:
    return house.http.post("/api/jobs", data={"image": (io.BytesIO(picture()), "a.png")}, headers=headers)


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_without_keys_another_website_changes_nothing(house: House, headers: dict[str, str]) -> None:
    assert submit(house, headers).json["code"] == "cross_site"
    for path in ("/api/cache/clear", "/api/cache/config"):
        assert house.http.post(path, headers=headers).status_code == 403
    assert house.http.get("/api/jobs").json["jobs"] == []


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_programs_and_the_own_page_are_no_other_website(house: House, headers: dict[str, str]) -> None:
    assert submit(house, headers).status_code in (200, 202)


@pytest.mark.parametrize(
    "name", ["evil.example", "10.0.0.5:5000", "169.254.169.254", "localhost.evil.example", "[::2]", "[", ""]
)
def test_without_keys_a_name_that_leads_to_loopback_is_not_answered(house: House, name: str) -> None:
    answer = house.http.get("/api/jobs", headers={"Host": name})
    assert answer.status_code in (400, 403) and "jobs" not in answer.json


@pytest.mark.parametrize("name", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "studio.localhost"])
def test_names_of_loopback_are_answered(house: House, name: str) -> None:
    assert house.http.get("/api/jobs", headers={"Host": name}).status_code == 200


def test_with_keys_names_and_origins_do_not_matter(text_redis: Redis, redis_url: str, tmp_path: Path) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("a-key",)).open()
    headers = {"Host": "meshes.example", "Origin": "https://shop.example", "Authorization": "Bearer a-key"}
    assert submit(house, headers).status_code == 202
    house.close()


def test_every_answer_has_safe_headers(house: House) -> None:
    url = submit(house, {}).headers["Location"]
    house.work()
    paths = ["/", "/static/icon.svg", "/openapi.json", "/health", "/ready", "/metrics", "/nowhere", "/api/generators"]
    paths += [
        "/api/cache/stats",
        "/api/jobs",
        url,
        f"{url}/model.glb",
        f"{url}/view",
        "/api/jobs/x",
    ]
    for path in paths:
        answer = house.http.get(path)
        told = answer.headers
        assert told["X-Content-Type-Options"] == "nosniff", path
        assert told["Referrer-Policy"] == "no-referrer", path
        assert told["Cross-Origin-Resource-Policy"] == "same-origin", path
        assert told["X-Request-ID"], path
        assert "Access-Control-Allow-Origin" not in told, path
        policy = dict(part.strip().partition(" ")[::2] for part in told["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'", path
        if answer.mimetype == "text/html":
            assert policy["base-uri"] == "'none'" and policy["form-action"] == "'none'", path


def test_pages_run_their_own_scripts_only(house: House) -> None:
    pages = [rule.rule for rule in house.app.url_map.iter_rules() if "GET" in rule.methods and "<" not in rule.rule]
    url = submit(house, {}).headers["Location"]
    seen = 0
    for path in [*pages, f"{url}/view"]:
        if path == "/api/events":
            continue
        answer = house.http.get(path, follow_redirects=True)
        if answer.mimetype == "text/html":
            policy = answer.headers["Content-Security-Policy"]
            if path == "/docs":  # its bundled program writes styles, but no scripts
                policy = policy.replace("style-src 'self' 'unsafe-inline'", "")
            assert not [word for word in ("unsafe", "*", "http:", "https:") if word in policy], (path, policy)
            inline = (b"<script>", b" onclick=", b" onload=", b"javascript:")
            assert not [word for word in inline if word in answer.data], path
            seen += 1
    assert seen >= 2


def test_a_mesh_is_a_download_of_a_harmless_name(house: House) -> None:
    url = submit(house, {}).headers["Location"]
    house.work()
    answer = house.http.get(f"{url}/model.glb")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="box-')
    assert answer.mimetype == "model/gltf-binary"
