"""The page where a proxy has put it, below a path: every request it makes stays there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ServedHouse, Visit
from tests.browser.watched_page import star

# Another port than the one that is visited: whoever used the links in bodies would be seen.
PUBLIC = "http://127.0.0.1:9/behind/orfeas"


@pytest.fixture
def served(serve: Callable[..., ServedHouse]) -> Iterator[ServedHouse]:
    served, stop = serve(public_url=PUBLIC), threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            served.house.agent.beat()
            served.house.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield served
    stop.set()
    thread.join()


def test_the_page_works_below_a_path(visit: Visit, served: ServedHouse, tmp_path: Path) -> None:
    below = f"{served.url}/behind/orfeas"
    watched = visit(below)
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    page = watched.open("/")
    expect(page.locator("#link")).to_have_text("Live")
    watched.make(star(tmp_path, "red"))
    watched.wait_mesh()
    with page.expect_download() as download:
        page.get_by_role("button", name="STL", exact=True).click()
    assert download.value.suggested_filename == "red.stl"
    view = page.get_by_role("link", name="3D page").get_attribute("href")
    page.get_by_role("tab", name="Fleet").click()
    expect(page.locator(".entry").first).to_be_visible()
    page.goto(f"{served.url}{view}")
    expect(page.locator(".viewer canvas")).to_be_visible()
    page.goto(f"{below}/docs")
    expect(page.locator("#docs").get_by_text("/api/jobs/batch").first).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith((f"{below}/", "blob:", "data:"))]
    assert len(asked) > 40 and elsewhere == [], [urlsplit(url).path for url in elsewhere]
