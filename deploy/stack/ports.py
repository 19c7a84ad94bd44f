"""Looks whether the ports of our programs are free, before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from deploy.stack.errors import PortInUse
from deploy.stack.programs import Program


def check_ports(programs: Iterable[Program]) -> None:
    """Raises: PortInUse: names the port and the setting that moves it."""
    for program in programs:
        if program.port and not is_free(program.port.host, program.port.number):
            raise PortInUse(program.name, program.port.host, program.port.number, program.port.setting)


def is_free(host: str, port: int) -> bool:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: a connection of the last run that lingers in TIME_WAIT is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
