"""The documented example of a third party's generator, from its package to its mesh."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh
from PIL import Image, ImageDraw

from client import Client
from deploy.stack import Stack
from settings import Settings
from tests.servers import free_port

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs/extend/orfeas-lathe"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `pip install` put the package into."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(EXAMPLE)], check=True, timeout=120)
    return target


def vase() -> bytes:
    image = Image.new("RGB", (200, 300), "white")
    ImageDraw.Draw(image).polygon(
        [(60, 20), (140, 20), (110, 90), (170, 200), (130, 280), (70, 280), (30, 200), (90, 90)], "black"
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_example_is_as_short_as_it_says() -> None:
    assert len((EXAMPLE / "orfeas_lathe.py").read_text().splitlines()) <= 50


def test_an_installed_package_is_found_by_its_entry_point(installed: Path) -> None:
    code = "import json; from worker.generators.registry import discover; print(json.dumps(list(discover())))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(installed)}, capture_output=True, check=True
    )
    assert "lathe" in json.loads(found.stdout)


@pytest.mark.slow
def test_its_page_is_true(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install, _, generate = typed()
    assert install.endswith(f"pip install ./{EXAMPLE.relative_to(ROOT)}")
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{ROOT}")
    (tmp_path / "vase.png").write_bytes(vase())
    settings = Settings(data_dir=tmp_path / "data", port=free_port(), redis_port=free_port(), flower_port=0)
    with Stack(settings) as stack, Client(stack.url) as client:
        stack.wait_ready(60)
        (offered,) = (one for one in client.generators() if one.name == "lathe")
        assert offered.available and "segments" in offered.parameters["properties"]
        command = [sys.executable, "-m", "client", *generate.split()[1:], "--json", "--url", stack.url]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        (row,) = json.loads(done.stdout)
        job = client.job(row["job"]["id"])
        assert (job.cache, job.params["segments"]) == ("MISS", 64) and job.task_id, "a worker has made it"
        assert trimesh.load_mesh(io.BytesIO(client.model(job, format="stl")), file_type="stl").is_watertight


def typed() -> list[str]:
    """The page's commands, without their comments."""
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/extend/generators.md").read_text(), re.DOTALL)
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]
