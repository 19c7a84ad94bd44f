"""Who never saw Orfeas gets from a clone to a printed-size STL of a photo of their own by the first screen alone."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh
from PIL import Image

from tests.document_commands import ROOT
from tests.pictures import photograph
from tests.servers import free_port

FIRST_SCREEN_LINES = 30


def commands_of_the_first_screen() -> list[str]:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN_LINES])
    (block,) = re.findall(r"```sh\n(.*?)```", screen, re.DOTALL)
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


@pytest.mark.slow
def test_the_first_screen_leads_to_a_printed_size_mesh_of_ones_own_photo(tmp_path: Path) -> None:
    (command,) = (line for line in commands_of_the_first_screen() if "photo.jpg" in line)
    Image.open(io.BytesIO(photograph("coffee.png")())).convert("RGB").save(tmp_path / "photo.jpg", quality=90)
    own = {"PORT": free_port(), "REDIS_PORT": free_port(), "FLOWER_PORT": 0, "DATA_DIR": tmp_path / "data"}
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORFEAS_")}
    variables |= {name: str(value) for name, value in own.items()} | {"PYTHONPATH": str(ROOT), "REDIS_URL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "client", *command.split()[1:]],
        cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "starting one for this call" in done.stderr
    mesh = trimesh.load_mesh(tmp_path / "out/photo.stl")
    assert mesh.is_watertight and max(mesh.extents) == pytest.approx(80, rel=1e-3)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own["PORT"])), "the service that was started for the call went on"


def test_the_first_screen_says_the_four_words() -> None:
    assert [line.split()[1] for line in commands_of_the_first_screen()] == ["demo", "generate", "up", "test"]
