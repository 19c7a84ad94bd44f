"""Fleets of real processes for the tests that break them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Shared by the tests of a file, each of which starts again what it killed."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet.start("api", "generate1", "generate2", "render")


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Builds a fleet with settings of its own, for one test; nothing is started but Redis."""
    built: list[Fleet] = []

    def build(**settings: object) -> Fleet:
        fleet = Fleet(tmp_path / f"fleet{len(built)}", **settings)
        built.append(fleet)
        return fleet.__enter__()

    yield build
    for fleet in built:
        fleet.__exit__(None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """The logs of all processes stand in the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, Fleet):
                report.sections.extend((f"log of {one.name}", one.tail()) for one in fixture.running.values())
