"""The virtual environment and the stamps that say what is installed in it.

A stamp is written last and holds a hash of everything that decides what gets installed; without a valid one the next
run takes up where the last one stopped. Two at once wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deploy.bootstrap.errors import SetupError
from deploy.bootstrap.pip import ROOT, Pip
from deploy.bootstrap.progress import Progress
from deploy.bootstrap.torch_build import check_build, index_for, refuse_cuda

CONSTRAINTS = "constraints.txt"
LOCK = "orfeas-lock"
# Packages are built for a minor version; a newer patch release keeps the environment.
PYTHON = "{}.{}".format(*sys.version_info)


class Environment:
    """The virtual environment in `folder`, with the CPU or the CUDA build of torch."""

    def __init__(self, folder: Path, torch_build: str = "cpu") -> None:
        check_build(torch_build)
        self.python = folder / "bin" / "python"
        self._folder = folder
        self._torch_build = torch_build
        self._progress = Progress()
        self._pip = Pip(self.python, folder / "orfeas-install.log", self._progress)

    def make_ready(self, requirements: Sequence[str]) -> None:
        """Install what the files in `requirements` (relative to the root) name; returns at once when it is there.

        Raises:
            SetupError: with what a person can do about it.
        """
        if self.is_ready(requirements):
            return
        with self._locked():
            if not self.is_ready(requirements):
                self._create()
                self._forget_half_installed()
                self._install(requirements)
                self._stamp(requirements).write_text(self._fingerprint(requirements))
                self._progress.stage("ready")

    def is_ready(self, requirements: Sequence[str]) -> bool:
        stamp = self._stamp(requirements)
        return stamp.exists() and self.python.exists() and stamp.read_text() == self._fingerprint(requirements)

    def _stamp(self, requirements: Sequence[str]) -> Path:
        return self._folder / f"orfeas-stamp-{Path(requirements[-1]).stem}"

    def _fingerprint(self, requirements: Sequence[str]) -> str:
        machine = (platform.python_implementation(), PYTHON, platform.machine(), self._torch_build)
        digest = hashlib.sha256(repr(machine).encode())
        for path in [ROOT / CONSTRAINTS, *with_included(requirements)]:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOCK).open("w") as lock:
            announced = False
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if not announced:
                    self._progress.stage(f"waiting: another ./orfeas is setting up {self._folder}")
                    announced = True
                time.sleep(0.2)
            yield

    def _create(self) -> None:
        if self._version() != PYTHON:
            self._progress.stage(f"first run: setting up {self._folder} with Python {platform.python_version()}")
            self._empty()
            if subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._folder]).returncode != 0:
                raise SetupError(f"{sys.executable} has no venv module; on Debian: apt-get install python3-venv")
        self._pip.make_present()

    def _version(self) -> str | None:
        ask: list[str | Path] = [self.python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        return None

    def _empty(self) -> None:
        for path in self._folder.iterdir():
            if path.name == LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _forget_half_installed(self) -> None:
        # pip writes INSTALLER last: a package without it was interrupted, and pip would take it for installed.
        for metadata in self._folder.glob("lib/python*/site-packages/*.dist-info"):
            if not (metadata / "INSTALLER").exists():
                shutil.rmtree(metadata)

    def _install(self, requirements: Sequence[str]) -> None:
        index = index_for(self._torch_build)
        self._progress.stage(f"choosing packages; torch from {index or 'where pip is configured to look'}")
        source = ["--extra-index-url", index] if index else []
        packages = self._resolve(requirements, source)
        refuse_cuda(packages, self._torch_build)
        torch = f", torch {packages['torch']}" if "torch" in packages else ""
        self._progress.stage(f"installing {len(packages)} packages{torch}")
        exactly = [f"{name}=={version}" for name, version in packages.items()]
        self._pip.run(["install", "--no-deps", "--no-compile", *source, *exactly])

    def _resolve(self, requirements: Sequence[str], source: Sequence[str]) -> dict[str, str]:
        # First a dry run, so that gigabytes can be refused before they are fetched; what it chose is what is installed.
        report = self._folder / "orfeas-report.json"
        files = [argument for name in requirements for argument in ("--requirement", name)]
        options = ["--dry-run", "--ignore-installed", "--constraint", CONSTRAINTS, "--report", str(report)]
        self._pip.run(["install", *options, *source, *files])
        chosen = [package["metadata"] for package in json.loads(report.read_text())["install"]]
        return {package["name"]: package["version"] for package in chosen}


def with_included(requirements: Iterable[str]) -> list[Path]:
    """The requirement files and those that they include by `-r`."""
    paths = [ROOT / name for name in requirements]
    for path in paths:
        paths += [path.parent / line.split()[1] for line in path.read_text().splitlines() if line.startswith("-r ")]
    return paths
