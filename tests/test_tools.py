"""What a missing program means: whoever has a laptop may go on, CI must not look away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.tools import tool

ROOT = Path(__file__).parent.parent
CI = (ROOT / ".ci/run").read_text()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ORFEAS_TEST_BROWSER", raising=False)


@pytest.mark.usefixtures("bare")
def test_a_missing_program_is_an_error_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nothing"):
        tool("no-such-program", how="apt-get install nothing")
    with pytest.raises(pytest.fail.Exception, match="no chromium"):
        chromium.executable()


@pytest.mark.usefixtures("bare")
def test_a_missing_program_is_a_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        tool("no-such-program", how="apt-get install nothing")
    with pytest.raises(pytest.skip.Exception):
        chromium.executable()


def test_what_is_installed_is_found_by_any_of_its_names() -> None:
    assert tool("no-such-program", "sh", how="") == tool("sh", how="")


def test_ci_installs_every_program_that_its_tests_insist_on() -> None:
    asked = {
        package
        for file in (ROOT / "tests").rglob("*.py")
        if file != Path(__file__)
        for package in re.findall(r'how="apt-get install ([a-z-]+)', file.read_text())
    }
    assert asked == {"chromium", "prometheus", "jq", "nginx"}
    assert asked <= set(re.findall(r"^install \S+ (\S+)$", CI, re.MULTILINE))
