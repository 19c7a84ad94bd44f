"""Every command of the documents is run as it stands there, against a real stack, or named with what proves it.

Who adds a command to a page has it run here, or names it in `document_tables.py`.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from standardwebhooks import Webhook

from client import Client
from deploy.stack import Stack
from settings import Settings
from tests.document_commands import PAGES, ROOT, Command, commands, python_blocks
from tests.document_tables import ELSEWHERE, LISTED, NOT_HERE
from tests.receivers import Receiver, receiver
from tests.servers import free_port
from tests.tools import tool

SECRET = "whsec_" + "c2VjcmV0" * 5
RUN = [command for command in commands(LISTED) if command.text not in LISTED]
PYTHON = ("docs/use/python-client.md",)
PYTHON_ELSEWHERE = ("docs/cache.md", "docs/use/webhooks.md")  # test_cache_docs.py, and below


@dataclass(frozen=True)
class House:
    """A running service with a receiver of webhooks, and what a command of this machine knows of them."""

    url: str
    hook: Receiver
    environment: dict[str, str]
    job: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    own = {
        "PORT": free_port(),
        "REDIS_PORT": free_port(),
        "FLOWER_PORT": 0,
        "DATA_DIR": tmp_path_factory.mktemp("data"),
    }
    own |= {"REDIS_URL": "", "WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW_PRIVATE": 1, "DEVICE": "cpu"}
    environment = {name: str(value) for name, value in own.items()}
    settings = Settings(**{name.lower(): value for name, value in environment.items()})
    with Stack(settings) as stack, receiver() as hook, Client(stack.url) as client:
        stack.wait_ready(90)
        picture = ROOT / "assets/rocket.png"
        job = client.submit(picture, params={"resolution": 96}, webhook_url=hook.url)
        yield House(stack.url, hook, environment, client.wait(job, timeout_s=90).id)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder that looks like the checkout to who pastes a command, holds pictures, and keeps what is written."""
    for name in ("assets", "settings.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, colour in (("cup.png", "navy"), ("mug.png", "teal"), ("mug.jpg", "maroon")):
        picture = Image.new("RGB", (120, 120), "white")
        ImageDraw.Draw(picture).ellipse((20, 30, 100, 90), fill=colour)
        picture.save(tmp_path / name)
    return tmp_path


def typed(text: str, house: House) -> str:
    """The command with this machine's addresses, programs and names in place of those that the reader has."""
    for there, here in (
        (r"http://(localhost|127\.0\.0\.1|HOST):5000", house.url),
        (r"https://example\.com/orfeas", house.hook.url),
        (r"(?m)^(\./)?orfeas\b|(?<=\| )\./orfeas\b", f"{sys.executable} -m client"),
        (r"(?m)^python\b", sys.executable),
        (r"(?m)^redis-cli", f"{sys.executable} -m tests.redis_cli"),
        (r"\bJOB\b", house.job),
        (r"\bNAME\b", "inflate"),
        (r"\bWORD\b", "cup"),
    ):
        text = re.sub(there, here, text)
    return text


def run(text: str, house: House, desk: Path) -> str:
    if " jq " in text:
        tool("jq", how="apt-get install jq")
    environment = os.environ | house.environment | {"ORFEAS_URL": house.url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed(text, house)],
        cwd=desk, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_works_as_it_stands(command: Command, house: House, desk: Path) -> None:
    assert "urn:orfeas:problem" not in run(command.text, house, desk)


@pytest.mark.slow
def test_the_rest_pages_first_block_leaves_a_mesh_and_a_picture(house: House, desk: Path) -> None:
    (block,) = (command.text for command in RUN if "model.stl" in command.text)
    run(block, house, desk)
    assert (desk / "model.stl").stat().st_size > 100_000
    assert (desk / "preview.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("block", python_blocks("docs/use/python-client.md"))
def test_an_example_of_the_python_client_runs(block: str, house: House, desk: Path) -> None:
    block = re.sub(r"Client\(\)", f'Client("{house.url}")', typed(block, house))
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=desk, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if "on_progress" in block:
        assert re.search(r"^(MISS|HIT-\w+) [\d.]+ \d+ True$", done.stdout, re.MULTILINE)
        assert (desk / "cup.stl").stat().st_size > 1000
    if "ValidationFailed" in block:
        assert "depth" in done.stdout


@pytest.mark.slow
def test_the_example_of_a_webhooks_receiver_reads_what_was_sent(house: House) -> None:
    (block,) = python_blocks("docs/use/webhooks.md")
    _, headers, body = house.hook.got[0]
    told: dict[str, object] = {"secret": SECRET, "body": body, "headers": dict(headers)}
    exec(block, told)
    assert told["job"]["id"] == house.job and told["Webhook"] is Webhook


def test_what_is_proven_elsewhere_names_a_test_that_there_is() -> None:
    for name in ELSEWHERE:
        file, _, test = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


@pytest.mark.parametrize("command", NOT_HERE)
def test_what_cannot_be_typed_here_speaks_of_what_there_is(command: str) -> None:
    file, what = NOT_HERE[command]
    assert re.search(what, (ROOT / file).read_text(), re.MULTILINE)


def test_no_row_of_the_tables_is_stale() -> None:
    assert LISTED - {command.text for command in commands(LISTED)} == set()


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    found = {command.text for command in commands(LISTED)}
    assert {"./orfeas doctor", "./orfeas demo", "redis-cli INFO persistence", "python settings.py"} <= found
    assert any("./orfeas cache clear" in block for block in found)
    assert not found & {"orfeas", "python", "orfeas-key", "supervisor"}


def test_every_page_with_python_is_run_by_a_test() -> None:
    pages = {str(page.relative_to(ROOT)) for page in PAGES if python_blocks(str(page.relative_to(ROOT)))}
    assert pages == {*PYTHON, *PYTHON_ELSEWHERE}
