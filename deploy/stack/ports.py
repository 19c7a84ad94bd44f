"""Which ports the programs of this host listen on: those that the settings name, or the next free ones.

Looking whether a port is free and taking it are two steps. So every stack holds a lock for each port that it chose, and
of two that start at once, each from a checkout of its own, the later one takes the next port.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from deploy.stack.errors import PortInUse
from deploy.stack.programs import Program
from settings import Settings

TRIED = 100
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_ANY = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))
_CONNECT_WITHIN_S = 0.25


class Ports:
    """Chooses ports and holds them against other stacks of this user until `release`."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def choose(self, settings: Settings, *, usual: bool = True) -> Settings:
        """The same settings; a port that the environment does not name is the next one that nobody listens on.

        Without `usual` it is any: a service that ends with a call must not be found where lasting ones are.
        """
        chosen = {name: getattr(settings, name) for name in settings.model_fields_set}
        for name in _ports_of(settings):
            if name not in settings.model_fields_set:
                first = getattr(settings, name) if usual else _any_port()
                chosen[name] = self._next_free(first, {chosen.get(other) for other in _NAMES})
        return type(settings)(**chosen)

    def release(self) -> None:
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _next_free(self, first: int, named: set[object]) -> int:
        for port in range(first, min(first + TRIED, 65536)):
            if port not in named and is_unused(port) and self._hold(port):
                return port
        return first  # which is then refused with its reason

    def _hold(self, port: int) -> bool:
        path = Path(tempfile.gettempdir()) / f"orfeas-{os.getuid()}-port-{port}.lock"
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks.append(lock)
        return True


_NAMES = ("port", "flower_port", "redis_port")


def _ports_of(settings: Settings) -> list[str]:
    """The settings of the ports that this host's programs listen on."""
    return [name for name in _NAMES if getattr(settings, name) and not (name == "redis_port" and settings.redis_url)]


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_ports(programs: Iterable[Program]) -> None:
    """Raises: PortInUse: names the port and the setting that moves it."""
    for program in programs:
        if program.port and not is_free(program.port.host, program.port.number):
            raise PortInUse(program.name, program.port.host, program.port.number, program.port.setting)


def is_free(host: str, port: int) -> bool:
    """Whether a server can listen there."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return _can_bind(family, address)


def is_unused(port: int) -> bool:
    """Whether nobody at all listens on it, at whichever address: `localhost` may mean IPv4 or IPv6.

    On macOS one can bind 127.0.0.1 beside a server that listens on all addresses, so both are tried.
    """
    return all(_can_bind(family, (host, port)) for family, host in _ANY) and not any(
        _answers(family, host, port) for family, host in _LOOPBACK
    )


def _can_bind(family: int, address: tuple[object, ...]) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            probe = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # As servers do: a connection of the last run that lingers in TIME_WAIT is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        except OSError as error:
            # A host without IPv6 has nobody who listens there.
            return family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return True


def _answers(family: int, host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_WITHIN_S)
        probe.connect((host, port))
        return True
    return False
