"""Standard streams and signals as whoever started the command left them, made fit for it."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
_closed: set[str] = set()


def prepare() -> None:
    """Opens what was closed, lets any name be printed, and ends on SIGTERM and SIGHUP as on Ctrl-C: tidied up."""
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _open_nowhere(number, name, mode)
        elif mode == "w" and isinstance(stream := getattr(sys, name), TextIOWrapper):
            # A file name need not be UTF-8, a terminal need not know every letter; JSON reads this as an escape too.
            stream.reconfigure(errors="backslashreplace")
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(signal_number, lambda *_: signal.raise_signal(signal.SIGINT))


def require_stdout() -> None:
    """Raises: OSError: standard output was closed when the command began."""
    if "stdout" in _closed:
        raise OSError("standard output is closed; nothing can be written there")


def _open_nowhere(number: int, name: str, mode: str) -> None:
    """As cron and daemons close them: the number is taken, so that no other file gets it and is written into."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)
    setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # for as long as the process lives
    _closed.add(name)
