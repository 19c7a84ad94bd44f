"""One program in a process group of its own, with its log, to be killed, frozen and looked into by a test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """Started at once. `close` leaves no process of the group behind."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """Everything on this "host" at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def signal_children(self, number: signal.Signals) -> None:
        for child in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    def kill_group(self) -> None:
        self.signal_group(signal.SIGKILL)
        self._process.wait()

    def wait(self, limit_s: float) -> int:
        return self._process.wait(timeout=limit_s)

    def close(self) -> None:
        self.kill_group()

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
