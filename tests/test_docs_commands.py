"""The commands of the documents, run as they stand there, against a real stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import Stack
from settings import Settings
from tests.servers import free_port

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/use/rest.md")
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
# Run by tests of their own: they set up, start or stop things.
_ELSEWHERE = re.compile(
    r"^\./orfeas (demo|test|up)|^ORFEAS_|^GENERATE_|pip install|export |WEBHOOK_SECRET=", re.MULTILINE
)


def blocks() -> Iterator[object]:
    for page in PAGES:
        for number, block in enumerate(_BLOCK.findall((ROOT / page).read_text()), start=1):
            if not _ELSEWHERE.search(block):
                yield pytest.param(block, id=f"{page}-{number}")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), port=free_port(), redis_port=free_port(), flower_port=0,

    )  # fmt: skip
    with Stack(settings) as stack:
        stack.wait_ready(90)
        yield stack.url


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder that looks like the checkout to who pastes a command, and keeps what the command writes."""
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    return tmp_path


def run(block: str, url: str, desk: Path) -> str:
    script = block.replace("http://localhost:5000", url).replace("./orfeas ", f"{sys.executable} -m client ")
    environment = os.environ | {"ORFEAS_URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=desk,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", list(blocks()))
def test_a_pasted_block_works(block: str, url: str, desk: Path) -> None:
    said = run(block, url, desk)
    assert "urn:orfeas:problem" not in said


@pytest.mark.slow
def test_the_rest_pages_first_block_leaves_a_mesh_and_a_picture(url: str, desk: Path) -> None:
    run(_BLOCK.findall((ROOT / "docs/use/rest.md").read_text())[0], url, desk)
    assert (desk / "model.stl").stat().st_size > 100_000
    assert (desk / "preview.png").read_bytes().startswith(b"\x89PNG")
