"""The benchmarks that the documents name run and print their tables; here with as little work as they take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.document_commands import ROOT

# What each is given to be quick, and words of its table.
QUICK = {
    "repeats": ("--requests 6", "speed-up"),
    "generators": ("--rounds 1", "inflate"),
    "renditions": ("--rounds 1", "stl few"),
    "cache": ("neighbours", "slowest PING"),
    "cache_policy": ("--mb 16", "GPU seconds saved"),
}


def printed(name: str, arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *arguments.split()],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_prints_its_table(name: str, tmp_path: Path) -> None:
    arguments, word = QUICK[name]
    assert word in printed(name, arguments, tmp_path)


@pytest.mark.slow
def test_two_hundred_streams_are_open_beside_normal_traffic(tmp_path: Path) -> None:
    head, row = printed("streams", "--streams 200 --threads 256", tmp_path).splitlines()
    told = dict(zip(head.replace("RSS MB", "MB").replace("read ", "").split(), row.split(), strict=False))
    assert (told["streams"], told["open"], told["refused"]) == ("200", "200", "0"), row


@pytest.mark.slow
def test_the_pictures_of_the_page_are_drawn(tmp_path: Path) -> None:
    chromium.executable()
    printed("page_pictures", f"--into {tmp_path}", tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs/pictures").glob("page*.png")}
