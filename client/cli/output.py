"""Where words go: people's text and bars to standard error, what was asked for to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.cli.streams import require_stdout

UNFOLDED_COLUMNS = 240


class _Results(Console):
    def on_broken_pipe(self) -> None:
        # Rich's own answer is to exit with 1; whoever closed the pipe has what was wanted.
        raise BrokenPipeError


class _People(Console):
    def on_broken_pipe(self) -> None:
        # Nobody reads on; what was asked for goes on.
        _redirect_to_nowhere(sys.stderr)


@cache
def stdout() -> Console:
    """For results; what is piped on is not cut to the width of a terminal."""
    return _Results(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED_COLUMNS)


@cache
def stderr() -> Console:
    """For people."""
    return _People(stderr=True, highlight=False, width=None if sys.stderr.isatty() else UNFOLDED_COLUMNS)


def say(text: str, style: str | None = None) -> None:
    """A line for people."""
    stderr().print(text, style=style, markup=False, soft_wrap=True)


def say_error(text: str) -> None:
    """What went wrong, in one line for people."""
    stderr().print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)


def write_json(value: Any) -> None:
    """One JSON document on standard output, indented when a person reads it."""
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False, default=str), flush=True)


def write_bytes(data: bytes) -> None:
    """A file's bytes on standard output.

    Raises: OSError: it cannot be written, or was closed from the start.
    """
    require_stdout()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """A table of results; the columns named in `numbers` are set to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    stdout().print(table)


def leave_quietly_on_closed_pipe() -> None:
    """`orfeas list | head` is no error: what is left in the buffers goes nowhere."""
    _redirect_to_nowhere(sys.stdout)


def _redirect_to_nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
