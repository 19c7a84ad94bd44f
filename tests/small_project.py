"""A project of two small packages that `./orfeas` sets up in seconds, from wheels made on the spot, with no network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from deploy.bootstrap.pip import ROOT

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
CLIENT = "import os, sys, tiny; print(tiny.GREETING, os.getcwd(), *sys.argv[1:])"


class SmallProject:
    """A copy of the bootstrap with a `client` of one line, the requirement `tiny`, and a folder of wheels."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.wheels = folder / "wheels"
        self.venv = self.root / ".venv"
        self.wheels.mkdir()
        self.root.mkdir()
        shutil.copy(ROOT / "orfeas", self.root)
        for package in ("deploy", "deploy/bootstrap", "client"):
            (self.root / package).mkdir()
        for path in (ROOT / "deploy" / "bootstrap").glob("*.py"):
            shutil.copy(path, self.root / "deploy" / "bootstrap")
        (self.root / "client" / "__main__.py").write_text(CLIENT)
        (self.root / "constraints.txt").write_text(f"pip=={distribution('pip').version}\n")
        self.require("tiny==1.0")
        (self.root / "requirements-test.txt").write_text("")
        self.add_wheel("tiny", "1.0", 'GREETING = "hello"\n')
        pack_pip(self.wheels / f"pip-{distribution('pip').version}-py3-none-any.whl")

    def require(self, *requirements: str) -> None:
        """The requirements stand in an included file, as the real ones do."""
        (self.root / "deploy" / "few.txt").write_text("\n".join(requirements) + "\n")
        (self.root / "requirements.txt").write_text("-r deploy/few.txt\n")

    def add_wheel(self, name: str, version: str, code: str, needs: Iterable[str] = ()) -> None:
        info = f"{name.replace('-', '_')}-{version}"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {n}" for n in needs)]
        files = {
            f"{name.replace('-', '_')}.py": code,
            f"{info}.dist-info/METADATA": "\n".join(metadata) + "\n",
            f"{info}.dist-info/WHEEL": WHEEL,
        }
        record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
        files[f"{info}.dist-info/RECORD"] = record + f"{info}.dist-info/RECORD,,\n"
        with zipfile.ZipFile(self.wheels / f"{info}-py3-none-any.whl", "w") as wheel:
            for path, text in files.items():
                wheel.writestr(path, text)

    def start(
        self, *arguments: str, python: str = sys.executable, cwd: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ORFEAS_", "PYTHON"))},
            "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_NO_CACHE_DIR": "1", **variables,
        }  # fmt: skip
        command = [sys.executable, str(self.root / "orfeas"), *arguments]
        return subprocess.Popen(
            command, cwd=cwd or self.root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, cwd=cwd, **variables)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def log(self) -> str:
        return (self.venv / "orfeas-install.log").read_text()


def pack_pip(target: Path, zipapp: bool = False) -> None:
    """The pip of this environment as a wheel, or as the zip application that pip's authors offer."""
    package = distribution("pip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in package.files or ():
            if path.parts[0] != ".." and path.suffix != ".pyc":
                archive.write(package.locate_file(path), str(path))
        if zipapp:
            archive.writestr("__main__.py", "import sys; from pip._internal.cli.main import main; sys.exit(main())\n")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
