"""The files of the page: served without a key, without anything from elsewhere, under a strict policy."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from redis import Redis

from jobs.errors import JobError
from tests.house import House, picture

STATIC = Path(__file__).parent.parent / "api" / "static"
PAGES = ("/", "/docs")
ADDRESSES = {"index.html": "/", "docs.html": "/docs", "view.html": f"/api/jobs/{'0' * 32}/view"}


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, api_keys=("key",)).open()
    yield house
    house.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_key_and_allows_no_inline_script(house: House, path: str) -> None:
    answer = house.http.get(path)
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe-eval" not in policy
    assert "style-src 'self';" in policy or path == "/docs"


@pytest.mark.parametrize("page", sorted(path.name for path in STATIC.glob("*.html")))
def test_no_page_holds_inline_script_or_style(page: str) -> None:
    html = (STATIC / page).read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_every_file_that_a_page_names_is_served_without_a_key(house: House) -> None:
    named = {
        urljoin(address, link)
        for page, address in ADDRESSES.items()
        for link in re.findall(r'(?:src|href)="([^"#]+)"', (STATIC / page).read_text())
    } - {"/", "/openapi.json"}
    imports = {
        "/" + str((file.parent / found).resolve().relative_to(STATIC.parent))
        for file in STATIC.rglob("*.js")
        for found in re.findall(r'from "(\.[^"]+)"', file.read_text())
    }
    assert len(named) > 5 and len(imports) > 15
    missing = {path for path in named | imports if house.http.get(path).status_code != 200}
    assert not missing


def test_no_page_and_no_script_knows_where_the_service_begins() -> None:
    """Under a sub-path, what begins with a slash leads elsewhere."""
    assert ADDRESSES.keys() == {page.name for page in STATIC.glob("*.html")}
    absolute = {
        (path.name, found)
        for path in (*STATIC.rglob("*.html"), *STATIC.rglob("*.css"))
        for found in re.findall(r'(?:src|href)="/[^"]*"|url\(["\']?/[^)]*', path.read_text())
    }
    scripts = {path.name for path in STATIC.rglob("*.js") if re.search(r"fetch\((?!ROOT)|job\.urls", path.read_text())}
    assert (absolute, scripts) == (set(), set())


def test_nothing_is_fetched_from_elsewhere() -> None:
    namespaces = {"http://www.w3.org/2000/svg"}
    elsewhere = {
        (path.name, found)
        for path in STATIC.rglob("*.*")
        for found in re.findall(r"\bhttps?://[\w./-]+|[\"'(]//[\w.]+", path.read_text())
        if found not in namespaces
    }
    assert not elsewhere


def test_a_kept_file_is_asked_for_again_and_not_sent_twice(house: House) -> None:
    first = house.http.get("/static/js/page.js")
    assert first.headers["Cache-Control"] == "no-cache" and "javascript" in first.content_type
    again = house.http.get("/static/js/page.js", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../pages.py", "/static/%2e%2e/pages.py", "/static/nothing.js", "/docs/swagger/x"]
)
def test_only_the_pages_own_files_are_served(house: House, path: str) -> None:
    assert house.http.get(path).status_code == 404


def test_the_3d_page_is_there_for_known_jobs_alone(house: House) -> None:
    headers = {"Authorization": "Bearer key"}
    data = {"image": (io.BytesIO(picture()), "picture.png")}
    job = house.http.post("/api/jobs", data=data, headers=headers).json
    assert house.http.get(job["urls"]["view"]).mimetype == "text/html"
    unknown = f"/api/jobs/{'0' * 32}/view"
    assert house.http.get(unknown).json["code"] == "job_not_found"
    told = house.http.get(unknown, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (told.status_code, told.mimetype) == (404, "text/html"), "a visitor reads it on the page"
    assert house.http.get("/api/jobs/nonsense/view").status_code in (404, 422)


def test_a_picture_larger_than_one_read_of_the_form_parser_is_taken(house: House) -> None:
    noise = io.BytesIO(picture(size=(700, 700), kind="BMP"))
    assert len(noise.getvalue()) > 1_000_000
    answer = house.http.post("/api/jobs", data={"image": (noise, "a.bmp")}, headers={"Authorization": "Bearer key"})
    assert answer.status_code == 202


def test_the_page_has_advice_for_the_errors_that_there_are() -> None:
    words = (STATIC / "js/words.js").read_text()
    (table,) = re.findall(r"const ADVICE = {\n(.*?)};", words, re.DOTALL)
    told = set(re.findall(r"^  (\w+):", table, re.MULTILINE)) - {"unreachable"}  # the page's own
    sources = "\n".join(
        path.read_text() for room in ("api", "jobs") for path in (STATIC.parents[1] / room).glob("*.py")
    )
    codes = set(re.findall(r'(?:code = |Problem\(\d+, |unavailable\(\s*)"(\w+)"', sources))
    assert told - codes == set(), "no error has this code"
    of_jobs = {kind.code for kind in kinds_of(JobError)} - {"job_error", "bad_input", "canceled", "superseded"}
    assert of_jobs - told == set(), "a visitor who meets it is not told what to do"


def kinds_of(kind: type[JobError]) -> set[type[JobError]]:
    return {kind}.union(*(kinds_of(one) for one in kind.__subclasses__()))
