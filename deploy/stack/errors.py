"""Why a stack is not up.

StackError
├── AlreadyRunning   another stack uses the same DATA_DIR
├── PortInUse        something else listens where one of our programs shall
├── NoRedisServer    neither REDIS_URL, nor a server for this platform
└── NotReady         it was started, but cannot accept work
"""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """Base of the tree; messages are for the person at the terminal."""


class AlreadyRunning(StackError):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"another stack is running in {data_dir}; stop it, or set another DATA_DIR and other ports")


class PortInUse(StackError):
    def __init__(self, program: str, host: str, port: int, setting: str) -> None:
        super().__init__(f"{program} cannot listen on {host}:{port}, the port is in use; set {setting} to a free one")


class NoRedisServer(StackError):
    pass


class NotReady(StackError):
    pass
