"""No path is answered with a server error: every rule of the URL map, pages included, with odd values in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.house import House

ODD_VALUES = (
    "x", "0" * 32, "0" * 64, "0" * 65, "f" * 255, "f" * 256, "a" * 5000, "A" * 32, "é" * 40, "%C3%A9" * 33,
    "%00", "%00" * 70, "%ff", "%ff%fe" * 40, "%ed%a0%80", "%0d%0aX-Injected:%201", "%2e%2e", "..%2f..%2fsettings.py",
    "%2fetc%2fpasswd", "%5c..%5c", "%7Borfeas%7D", "*", "%2a", "%25", "%", "%2", "{}", "$(id)", "'", '"', "%20", "+",
    "-1", "1e999", "nan", "null", "a.b.c", ".", "%E2%80%AE", "%F0%9F%92%A9" * 20, "a;b=c", "a?b", "a%3Fb", "a%23b",
)  # fmt: skip
ACCEPTS = ("*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json", "", ";;q=x", "text/html;q=é")
METHODS = ("HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
ODD_QUERIES = (
    "%00", "%ff=%fe", "wait=%ff", "cursor=%00", "limit=" + "9" * 5000, "job=" + "0" * 65, "tier=%ed%a0%80",
    "size_px=1e999", "label=%00", "status=%C3%28", "&&&=", "wait[]=1",
)  # fmt: skip
FORMATS = ("glb", "fbx", "g" * 300)


@pytest.fixture(params=[(), ("key",)], ids=["without keys", "with keys"])
def house(request: pytest.FixtureRequest, text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, admin_keys=request.param, rate_limit="0").open()
    yield house
    house.close()


def paths(house: House) -> Iterator[str]:
    for rule in house.app.url_map.iter_rules():
        variables = re.findall(r"<(?:\w+:)?(\w+)>", rule.rule)
        for value in ODD_VALUES if variables else ("",):
            others = FORMATS if "format" in variables else ("",)
            for other in others:
                filled = re.sub(r"<(?:\w+:)?format>", other, rule.rule)
                yield re.sub(r"<[^>]+>", lambda _, value=value: value, filled)
    yield from (f"/{value}" for value in ODD_VALUES)
    yield from (f"/.//{value}/%2e%2e//" for value in ODD_VALUES)


def asked(house: House, path: str, method: str, **headers: str) -> tuple[int, str]:
    """Status and body; a stream is left after its head."""
    with house.app.test_client() as http:
        answer = http.open(path, method=method, headers={"Authorization": "Bearer key", **headers})
        text = "" if answer.is_streamed else answer.get_data(as_text=True)[:200]
        answer.close()
    return answer.status_code, text


def test_no_rule_answers_a_server_error_to_an_odd_path(house: House) -> None:
    tried = {path: asked(house, path, "GET") for path in paths(house)}
    assert len(tried) > 500
    assert {path[:100]: answer for path, answer in tried.items() if answer[0] >= 500} == {}


def test_nor_to_another_method(house: House) -> None:
    chosen = list(paths(house))
    wrong = {
        (method, path[:100]): answer
        for number, method in enumerate(METHODS)
        for path in chosen[number :: len(METHODS)]
        if (answer := asked(house, path, method))[0] >= 500
    }
    assert wrong == {}


def test_the_page_of_a_job_that_cannot_be_is_not_found(house: House) -> None:
    names = [one for one in ODD_VALUES if "?" not in one and "%2f" not in one and one not in (".", "%2e%2e")]
    for value in names:
        for accept in ACCEPTS:
            status, _ = asked(house, f"/api/jobs/{value}/view", "GET", Accept=accept)
            assert status == 404, (value, accept)


def test_nor_to_an_odd_query(house: House) -> None:
    wrong = {}
    for rule in house.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "0" * 32, rule.rule)
        for query in ODD_QUERIES:
            answer = asked(house, f"{path}?{query}", "GET")
            if answer[0] >= 500:
                wrong[f"{path}?{query}"] = answer
    assert wrong == {}
