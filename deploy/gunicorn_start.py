"""What is checked and handed on when gunicorn starts, whatever its command line says."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from pydantic import ValidationError

from settings import Settings, problems

REFUSED = 2


def follow_threads(server: Any) -> None:
    """Streams and long polls get a share of the threads that there are, not of those in API_THREADS."""
    os.environ["API_THREADS"] = str(server.cfg.threads)
    os.environ["API_PROCESSES"] = str(server.cfg.workers)


def refuse_strangers(server: Any) -> None:
    """End before the first request when others than this host could call without a key."""
    for listener in server.LISTENERS:
        if listener.sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                Settings(host=listener.sock.getsockname()[0])
            except ValidationError as error:
                for line in problems(error):
                    server.log.critical(line)
                sys.exit(REFUSED)
