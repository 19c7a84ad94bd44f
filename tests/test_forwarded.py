"""Behind a proxy: which links go out, whose words about the caller count, and what a sub-path changes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import request
from pydantic import ValidationError
from redis import Redis

from api.deliveries import deliver_webhooks
from settings import Settings
from tests.house import House, picture
from tests.receivers import receiver
from tests.servers import wait_until

PUBLIC = "https://meshes.example.com/orfeas"
FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "meshes.example.com",
    "X-Forwarded-Prefix": "/orfeas",
}


@pytest.fixture
def make_house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(**settings: Any) -> House:
        houses.append(House(text_redis, redis_url, tmp_path, **settings).open())
        houses[-1].app.add_url_rule("/who", "pages.who", who)
        return houses[-1]

    yield make
    for house in houses:
        house.close()


def who() -> dict[str, Any]:
    return {"address": request.remote_addr, "url": request.base_url, "prefix": request.script_root}


def submit(house: House, **headers: str) -> Any:
    data = {"image": (io.BytesIO(picture()), "a.png")}
    return house.http.post("/api/jobs", data=data, headers={"Authorization": "Bearer key", **headers})


@pytest.mark.parametrize("public", [PUBLIC, f"{PUBLIC}/", "http://10.0.0.5:8080", "https://[2001:db8::1]/a/b"])
def test_every_link_begins_with_the_public_url(make_house: Callable[..., House], public: str) -> None:
    house = make_house(public_url=public, api_keys=("key",))
    base = public.rstrip("/")
    answer = submit(house)
    job_id = answer.json["id"]
    house.work()
    headers = {"Authorization": "Bearer key"}
    bodies = [
        answer.json,
        house.http.get(f"/api/jobs/{job_id}", headers=headers).json,
        house.http.get("/api/jobs", headers=headers).json["jobs"][0],
        house.http.post(
            "/api/jobs/batch", data={"images": (io.BytesIO(picture()), "a.png")}, headers=headers
        ).json["jobs"][0],
        *events(house.http.get(f"/api/jobs/{job_id}/events", headers=headers).text),
    ]  # fmt: skip
    assert answer.headers["Location"] == bodies[0]["urls"]["self"]
    assert len(bodies) == 5
    for body in bodies:
        assert body["urls"]["self"] == f"{base}/api/jobs/{body['id']}"
        assert all(url.startswith(f"{base}/api/jobs/{body['id']}") for url in body["urls"].values())
    servers = house.http.get("/openapi.json", headers=headers).json["servers"]
    assert [one["url"] for one in servers] == [base, "/"]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


def test_webhooks_lead_back_to_the_public_url(make_house: Callable[..., House]) -> None:
    settings = {"webhook_secret": ("whsec_" + "A" * 32,), "webhook_allow_private": True, "public_url": PUBLIC}
    house = make_house(**settings)
    with receiver() as hook:
        data = {"image": (io.BytesIO(picture()), "a.png"), "webhook_url": hook.url}
        house.http.post("/api/jobs", data=data)
        house.work()
        deliverer = deliver_webhooks(house.services)
        wait_until(lambda: hook.got, what="the webhook")
        deliverer.close()
        house.http.post("/api/webhooks/test", json={"url": hook.url})
        bodies = [json.loads(body) for _, _, body in hook.got]
    assert [body["urls"]["self"] for body in bodies] == [f"{PUBLIC}/api/jobs/{body['id']}" for body in bodies]
    assert len(bodies) == 2


def test_without_settings_links_are_paths_and_nobody_is_believed(make_house: Callable[..., House]) -> None:
    house = make_house(api_keys=("key",))
    answer = submit(house, **FORWARDED)
    assert answer.headers["Location"] == f"/api/jobs/{answer.json['id']}" == answer.json["urls"]["self"]
    told = house.http.get("/who", headers=FORWARDED).json
    assert told == {"address": "127.0.0.1", "url": "http://localhost/who", "prefix": ""}


TRUSTED = {
    "127.0.0.1": ("127.0.0.1",), "10.1.2.3": ("10.0.0.0/8",), "10.9.9.9": ("10.0.0.0/8", "192.0.2.1"),
    "::1": ("::1",), "2001:db8::5": ("2001:db8::/32",), "::ffff:10.0.0.1": ("10.0.0.0/8",), "": ("unix",),
}  # fmt: skip
STRANGERS = {
    "203.0.113.9": ("10.0.0.0/8", "unix"), "127.0.0.1": ("unix",), "": ("127.0.0.1",), "11.0.0.1": ("10.0.0.0/8",),
    "::1": ("127.0.0.0/8",), "nonsense": ("0.0.0.0/0",),
}  # fmt: skip


@pytest.mark.parametrize("peer", TRUSTED)
def test_a_trusted_proxy_is_believed(make_house: Callable[..., House], peer: str) -> None:
    house = make_house(api_keys=("key",), trusted_proxies=TRUSTED[peer])
    told = house.http.get("/who", headers=FORWARDED, environ_overrides={"REMOTE_ADDR": peer}).json
    assert told == {"address": "203.0.113.7", "url": "https://meshes.example.com/orfeas/who", "prefix": "/orfeas"}
    answer = house.http.post(
        "/api/jobs", data={"image": (io.BytesIO(picture()), "a.png")}, environ_overrides={"REMOTE_ADDR": peer},
        headers={"Authorization": "Bearer key", **FORWARDED},
    )  # fmt: skip
    assert answer.headers["Location"] == f"/orfeas/api/jobs/{answer.json['id']}" == answer.json["urls"]["self"]


@pytest.mark.parametrize("peer", STRANGERS)
def test_nobody_else_is_believed(make_house: Callable[..., House], peer: str) -> None:
    house = make_house(api_keys=("key",), trusted_proxies=STRANGERS[peer])
    told = house.http.get("/who", headers=FORWARDED, environ_overrides={"REMOTE_ADDR": peer}).json
    assert told["address"] in (peer, None) and told["prefix"] == "" and told["url"] == "http://localhost/who"


@pytest.mark.parametrize(
    ("passed_on", "caller"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.3, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.9, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("", "10.0.0.1"),
    ],
)
def test_the_caller_stands_before_the_last_trusted_proxy(
    make_house: Callable[..., House], passed_on: str, caller: str
) -> None:
    """Whoever sends `X-Forwarded-For` of its own stands further left, where nobody looks."""
    house = make_house(api_keys=("key",), trusted_proxies=("10.0.0.0/8",))
    headers = {"X-Forwarded-For": passed_on} if passed_on else {}
    told = house.http.get("/who", headers=headers, environ_overrides={"REMOTE_ADDR": "10.0.0.1"}).json
    assert told["address"] == caller


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "https://evil.example", "x", "/a/../b?c", "/%0d%0a/\r"])
def test_a_prefix_that_is_no_path_is_ignored(make_house: Callable[..., House], prefix: str) -> None:
    house = make_house(api_keys=("key",), trusted_proxies=("127.0.0.1",))
    try:
        answer = house.http.get("/who", headers={"X-Forwarded-Prefix": prefix})
    except ValueError:
        return  # no client can send it
    assert answer.json["prefix"] == ""


def test_a_prefix_that_the_proxy_passes_on_is_taken_away(make_house: Callable[..., House]) -> None:
    house = make_house(public_url=PUBLIC, api_keys=("key",))
    assert house.http.get("/orfeas/who").json["prefix"] == "/orfeas"
    for path in ("/orfeas/", "/orfeas/static/js/page.js", "/orfeas/docs", "/", "/static/js/page.js", "/health"):
        assert house.http.get(path).status_code == 200, path
    answer = house.http.get("/orfeas")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/orfeas/")
    for path in ("/orfeasx/", "/orfeas/orfeas/", "/other/"):
        assert house.http.get(path).status_code == 404, path


@pytest.mark.parametrize("prefix", ["/api", "/static/x", "/health"])
def test_a_prefix_that_is_also_a_path_of_ours_is_the_proxys_to_take_away(
    make_house: Callable[..., House], prefix: str
) -> None:
    house = make_house(public_url=f"https://example.com{prefix}", api_keys=("key",))
    assert submit(house).headers["Location"].startswith(f"https://example.com{prefix}/api/jobs/")
    assert house.http.get("/static/js/page.js").status_code == 200


def test_without_keys_the_host_of_the_public_url_is_answered_and_no_other(make_house: Callable[..., House]) -> None:
    house = make_house(public_url=PUBLIC, trusted_proxies=("127.0.0.1",))
    public, strange = {"Host": "meshes.example.com"}, {"Host": "evil.example"}
    assert house.http.get("/api/jobs", headers=public).status_code == 200
    assert house.http.get("/api/jobs", headers=FORWARDED).status_code == 200
    for headers in (strange, {"X-Forwarded-Host": "evil.example"}, strange | {"X-Forwarded-Host": "localhost"}):
        answer = house.http.get("/api/jobs", headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, "strange_host"), headers
    own, other = {"Origin": "https://meshes.example.com"}, {"Origin": "https://evil.example"}
    assert submit(house, **own).status_code == 202
    assert submit(house, **other).json["code"] == "cross_site"


def test_addresses_behind_a_trusted_proxy_are_limited_one_by_one(make_house: Callable[..., House]) -> None:
    house = make_house(rate_limit="2/minute", trusted_proxies=("127.0.0.1",))
    statuses = [
        house.http.get("/api/jobs", headers={"X-Forwarded-For": address}).status_code
        for address in ("203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2")
    ]
    assert statuses == [200, 200, 429, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_url": "meshes.example.com"}, {"public_url": "ftp://x"}, {"public_url": "https://"},
        {"public_url": "https://x/?a=b"}, {"public_url": "https://x/#a"}, {"trusted_proxies": "proxy.example"},
        {"trusted_proxies": "10.0.0.0/99"}, {"trusted_proxies": "127.0.0.1,*"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_at_start(wrong: dict[str, str]) -> None:
    (name,) = wrong
    with pytest.raises(ValidationError, match=name.upper()):
        Settings(**wrong)
    assert Settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,unix").trusted_proxies == ("127.0.0.1", "10.0.0.0/8", "unix")
