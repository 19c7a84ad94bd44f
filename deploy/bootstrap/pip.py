"""Runs pip: its output goes to a log, its last line to the person who waits; and finds a pip where Python has none."""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from deploy.bootstrap.errors import PipFailed, SetupError
from deploy.bootstrap.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
ZIPAPP_URL = "https://bootstrap.pypa.io/pip/pip.pyz"
DEBIAN_WHEELS = Path("/usr/share/python-wheels")
# The first pip whose --dry-run reads the metadata alone, without downloading the wheels.
OLDEST = (23, 3)
LINE_LIMIT = 160
INSTALL_PIP = ("install", "--constraint", "constraints.txt", "--upgrade", "pip")


class Pip:
    """The pip of one virtual environment, whose interpreter is `python`."""

    def __init__(self, python: Path, log: Path, progress: Progress) -> None:
        self._python = python
        self._log = log
        self._progress = progress

    def run(self, arguments: Sequence[str], pip: Sequence[str] = ()) -> None:
        """Run one command from the repository's root.

        Raises:
            PipFailed: pip said no.
        """
        options = ("--disable-pip-version-check", "--no-input", "--no-color")
        command = [*(pip or (str(self._python), "-m", "pip")), *options, *arguments]
        # A person's own `user = true` would make pip refuse to install into a virtual environment.
        environment = {**os.environ, "PIP_USER": "0", "PIP_PROGRESS_BAR": "off", "PYTHONUNBUFFERED": "1"}
        tail: collections.deque[str] = collections.deque(maxlen=15)
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        reader = threading.Thread(target=self._copy_output, args=(child, tail), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(0.5)
                self._progress.detail(tail[-1] if tail else "asking pip")
        finally:
            # Already ended, unless a person pressed Ctrl-C.
            child.kill()
            code = child.wait()
        if code != 0:
            raise PipFailed("pip failed; the end of {}:\n\n{}".format(self._log, "\n".join(tail)))

    def make_present(self) -> None:
        """Put a pip into the environment that is new enough to resolve without downloading.

        Raises:
            SetupError: this Python offers no way to a pip.
        """
        if self._version() is None:
            self._add()
        if (self._version() or OLDEST) < OLDEST:
            self.run(INSTALL_PIP)

    def _copy_output(self, child: subprocess.Popen[str], tail: collections.deque[str]) -> None:
        assert child.stdout is not None
        with self._log.open("a") as log:
            for line in child.stdout:
                log.write(line)
                if line.strip() and not line.startswith("WARNING:"):
                    tail.append(line.strip()[:LINE_LIMIT])

    def _version(self) -> tuple[int, ...] | None:
        answer = subprocess.run([self._python, "-m", "pip", "--version"], capture_output=True, text=True)
        if answer.returncode != 0:
            return None
        return tuple(int(part) for part in answer.stdout.split()[1].split(".")[:2])

    def _add(self) -> None:
        # ensurepip is the usual way. Debian leaves it out of Python: three more ways that need no root follow.
        if subprocess.run([self._python, "-m", "ensurepip"], capture_output=True).returncode == 0:
            return
        # A pip that runs from an archive takes itself for installed.
        install = [*INSTALL_PIP, "--ignore-installed"]
        other_pips: list[list[str]] = [[sys.executable, "-m", "pip", "--python", str(self._python)]]
        other_pips += [[str(self._python), f"{wheel}/pip"] for wheel in DEBIAN_WHEELS.glob("pip-*.whl")]
        for other_pip in other_pips:
            with contextlib.suppress(PipFailed):
                self.run(install, pip=other_pip)
                return
        self.run(install, pip=[str(self._python), str(self._fetch_zipapp())])

    def _fetch_zipapp(self) -> Path:
        url = os.environ.get("ORFEAS_PIP_URL") or ZIPAPP_URL
        self._progress.stage(f"this Python comes without pip: fetching {url}")
        zipapp = self._log.with_name("pip.pyz")
        try:
            with urllib.request.urlopen(url, timeout=30) as source, zipapp.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise SetupError(
                f"{sys.executable} has neither ensurepip nor pip, and {url} did not answer ({error}). "
                "On Debian and Ubuntu: apt-get install python3-venv"
            ) from None
        return zipapp
