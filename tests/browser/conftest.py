"""One browser for the whole folder, one real stack for whole journeys, and a house whose worker the test holds back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from redis import Redis
from werkzeug.serving import make_server

from deploy.stack import Stack
from settings import Settings
from tests.browser import chromium
from tests.browser.watched_page import WatchedPage
from tests.house import House
from tests.servers import RedisServer, free_port

READY_WITHIN_S = 90
# A coarse grid in the form, as a visitor who came back has it: a machine without a graphics card draws it quickly.
COARSE = """localStorage["orfeas.settings"] ??= JSON.stringify({params: {inflate: {resolution: 96}}})"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # For this folder alone: while Playwright runs, no other test's event loop can.
    with sync_playwright() as playwright:
        browser = chromium.start(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A whole stack with real workers."""
    ports = {"port": free_port(), "redis_port": free_port(), "redis_url": "", "flower_port": 0}
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("service"), **ports)) as stack:
        stack.wait_ready(READY_WITHIN_S)
        yield stack.url


Visit = Callable[..., WatchedPage]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages, each with a fresh profile; at the end of the test none may have noted a fault."""
    opened: list[tuple[WatchedPage, Any]] = []

    def visit(url: str, *, expected: tuple[str, ...] = (), **options: Any) -> WatchedPage:
        context = browser.new_context(**{"reduced_motion": "reduce", "accept_downloads": True} | options)
        context.add_init_script(COARSE)
        opened.append((WatchedPage(context.new_page(), url, expected), context))
        return opened[-1][0]

    yield visit
    faults = [fault for watched, _ in opened for fault in watched.faults]
    for _, context in opened:
        context.close()
    assert not faults, faults


@dataclass
class ServedHouse:
    """A house behind a real HTTP server; its worker works only when the test says so."""

    house: House
    url: str


@pytest.fixture
def serve(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., ServedHouse]]:
    """Starts houses with these settings, on a Redis of their own where a test means to break it."""
    stops: list[Callable[[], None]] = []

    def serve(own: RedisServer | None = None, **settings: object) -> ServedHouse:
        redis = own.client(decode_responses=True) if own else text_redis
        house = House(redis, own.url if own else redis_url, tmp_path, **settings).open()
        server = make_server("127.0.0.1", 0, house.app, threaded=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stops.extend((server.shutdown, thread.join, house.close))
        return ServedHouse(house, f"http://127.0.0.1:{server.server_port}")

    yield serve
    for stop in stops:
        stop()
