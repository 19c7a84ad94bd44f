"""The whole service on one host: which programs, in which order, restarted when they die, gone when it stops.

Not for a fleet on many hosts: there each program is started by itself, by systemd, Docker or Kubernetes (`deploy/`).
"""

from __future__ import annotations

from deploy.stack.announced import as_running
from deploy.stack.errors import AlreadyRunning, NotReady, PortInUse, StackError
from deploy.stack.stack import ProgramState, Stack

__all__ = ["AlreadyRunning", "NotReady", "PortInUse", "ProgramState", "Stack", "StackError", "as_running"]
