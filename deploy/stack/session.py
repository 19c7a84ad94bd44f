"""Every process of a running stack, found by the session that its supervisor leads.

The supervisor starts as the leader of a new session (setsid(2)), and none of our programs leaves it; so "ours" is
what getsid(2) says, whatever forked from what and whoever died in between. The kernel gives the number to nobody
else while one member lives. A record in DATA_DIR lets the next start find what a killed supervisor left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

KILLED_WITHIN_S = 5.0
_CLOCK_SLACK_S = 2.0


@dataclass(frozen=True)
class Session:
    """A session's number, which is its leader's process id, and the Unix time at which the leader began."""

    id: int
    began_s: float

    @classmethod
    def led_by(cls, pid: int) -> Session:
        """Raises: psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def members(self) -> list[psutil.Process]:
        """Its living processes, but never the caller."""
        if psutil.boot_time() > self.began_s + _CLOCK_SLACK_S:
            return []
        pids = (pid for pid in psutil.pids() if pid != os.getpid() and _session_of(pid) == self.id)
        return [process for pid in pids if (process := self._member(pid))]

    def end(self, grace_s: float) -> int:
        """Ask the programs to stop, then kill what is left; answers how many processes there were."""
        members = self.members()
        # Leaders of their groups alone: they stop their own children in their own order.
        send(signal.SIGTERM, (process for process in members if _leads_group(process.pid)))
        psutil.wait_procs(members, timeout=grace_s)
        remaining = self.members()
        send(signal.SIGKILL, remaining)
        psutil.wait_procs(remaining, timeout=KILLED_WITHIN_S)
        return len(members)

    def orphans(self) -> list[psutil.Process]:
        """Members whose program died without them: the leader of their group is gone."""
        members = self.members()
        return [process for process in members if not psutil.pid_exists(_group_of(process.pid) or process.pid)]

    def _member(self, pid: int) -> psutil.Process | None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            # A number that was given out anew after the last member had ended: not ours.
            foreign_leader = pid == self.id and abs(process.create_time() - self.began_s) > _CLOCK_SLACK_S
            if process.status() != psutil.STATUS_ZOMBIE and not foreign_leader:
                return process
        return None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Session | None:
        """The recorded session; `None` when there is no readable record."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(path.read_text()))
        return None


def send(number: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _session_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None


def _group_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return None


def _leads_group(pid: int) -> bool:
    return _group_of(pid) == pid
