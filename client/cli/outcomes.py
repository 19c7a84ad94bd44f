"""What the command's exit codes mean, and which error ends in which; messages go to standard error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from client.cli.output import leave_quietly_on_closed_pipe, say_error
from client.errors import (
    ApiError,
    BadSetting,
    JobCanceled,
    JobFailed,
    NotReachable,
    OrfeasError,
    RateLimited,
    ServerFault,
    Unavailable,
    UnexpectedAnswer,
    WaitTimeout,
)


class Exit(IntEnum):
    """Exit codes, documented in `docs/use/cli.md`."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    TIMEOUT = 5
    INTERRUPTED = 130


class NotStarted(OrfeasError):
    """The service of this machine could not be started."""


_CODES: tuple[tuple[tuple[type[BaseException], ...], Exit], ...] = (
    ((JobFailed, JobCanceled), Exit.JOB_FAILED),
    ((WaitTimeout,), Exit.TIMEOUT),
    ((NotStarted, NotReachable, UnexpectedAnswer, Unavailable, RateLimited, ServerFault), Exit.UNREACHABLE),
    ((BadSetting,), Exit.USAGE),
    ((ApiError,), Exit.REFUSED),
    ((KeyboardInterrupt, asyncio.CancelledError), Exit.INTERRUPTED),
    ((OrfeasError, OSError), Exit.JOB_FAILED),
)


def exit_code(error: BaseException | None) -> Exit:
    """The code that tells a script what happened."""
    if error is None:
        return Exit.OK
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), Exit.JOB_FAILED)


def joint_code(codes: Iterable[Exit]) -> Exit:
    """One code for many jobs: their common one, or `JOB_FAILED` when they went wrong in different ways."""
    wrong = {code for code in codes if code != Exit.OK}
    return Exit.OK if not wrong else wrong.pop() if len(wrong) == 1 else Exit.JOB_FAILED


@contextmanager
def spoken() -> Iterator[None]:
    """Turn the client's errors and Ctrl-C into a sentence and an exit code."""
    try:
        yield
    except BrokenPipeError:
        leave_quietly_on_closed_pipe()
        raise typer.Exit(Exit.OK) from None
    except (OrfeasError, OSError) as error:
        say_error(str(error))
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        say_error("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None
