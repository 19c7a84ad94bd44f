"""The program that outlives the supervisor: ends the stack when the supervisor, or whoever started it, was killed.

    python -m deploy.stack.guard OWNER_PID GRACE_S LOG_FORMAT

It runs under the supervisor, which holds the other end of its stdin: end of file is the kernel's own word that the
supervisor is gone, however it died. It restarts nothing; that is the supervisor's work.
"""

from __future__ import annotations

import os
import select
import signal
import sys

import psutil

import logs
from deploy.stack.session import Session, send

LOOK_EVERY_S = 1.0


def main(owner_pid: int, grace_s: float) -> None:
    session = Session.led_by(os.getsid(0))
    owner = _process(owner_pid)
    while not _supervisor_is_gone(LOOK_EVERY_S):
        # A program that was killed leaves children at work that its successor does not know of.
        send(signal.SIGKILL, session.orphans())
        if owner is None or not _lives(owner):
            os.kill(session.id, signal.SIGTERM)
            owner = psutil.Process(session.id)
    session.end(grace_s)


def _supervisor_is_gone(wait_s: float) -> bool:
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], wait_s)
    return bool(readable) and os.read(sys.stdin.fileno(), 1) == b""


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    logs.configure(as_json=sys.argv[3] == "json")
    main(int(sys.argv[1]), float(sys.argv[2]))
