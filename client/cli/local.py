"""A service on this machine, for `up`, `demo` and `doctor`: the client's only place that knows of the server side."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from client.cli.outcomes import Exit, NotStarted
from client.cli.output import say
from client.errors import OrfeasError
from client.retries import RetryPolicy
from client.sync import Client

if TYPE_CHECKING:
    from deploy.doctor import Finding
    from deploy.stack import Stack
    from settings import Settings

READY_TIMEOUT_S = 120.0


def load_settings() -> Settings:
    """The settings of this process' environment.

    Raises:
        typer.BadParameter: one of them is out of range.
    """
    from pydantic import ValidationError

    from settings import Settings, problems

    try:
        return Settings()
    except ValidationError as error:
        raise typer.BadParameter("; ".join(problems(error))) from None


def answers(url: str, api_key: str | None) -> bool:
    """Whether an Orfeas runs there already."""
    try:
        with Client(url, api_key, retries=RetryPolicy(attempts=1)) as client:
            client.health()
    except OrfeasError:
        return False
    return True


@dataclass(frozen=True)
class Service:
    """Where a command finds its service, with which key, and whether it goes on when the command has ended."""

    url: str
    api_key: str | None
    goes_on: bool = True


@contextmanager
def service(url: str | None, api_key: str | None, *, lasting: bool = False) -> Iterator[Service]:
    """The service that was named, or that of this machine: found here, or started and stopped again at the end.

    Raises:
        NotStarted: none runs here, and it did not come up, or a `lasting` one is needed.
    """
    if url is not None:
        yield Service(url, api_key)
        return
    settings = load_settings()
    here, key = own_url(settings), api_key or next(iter(settings.api_keys + settings.admin_keys), None)
    if answers(here, key):
        yield Service(here, key)
        return
    if lasting:
        raise NotStarted(f"no service answers at {here}; start one that goes on: ./orfeas up")
    say(f"No service answers at {here}: starting one for this call; `./orfeas up` leaves one running")
    with running_stack(settings) as stack:
        yield Service(stack.url, key, goes_on=False)


@contextmanager
def running_stack(settings: Settings) -> Iterator[Stack]:
    """The whole service on free ports, ready for work; stopped at the end, also by SIGTERM.

    Raises:
        NotStarted: it did not come up; says why.
    """
    from deploy.stack import Stack, StackError

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Stack(settings, usual_ports=False) as stack:
            stack.wait_ready(READY_TIMEOUT_S, on_progress=say)
            yield stack
    except StackError as error:
        raise NotStarted(str(error)) from error


def keep_running(settings: Settings) -> Exit:
    """Run the whole service until Ctrl-C, SIGTERM or SIGHUP."""
    from deploy.stack.foreground import run

    return Exit.UNREACHABLE if run(settings, say, timeout_s=READY_TIMEOUT_S) else Exit.OK


def examined(settings: Settings) -> Iterator[Finding]:
    """What `orfeas doctor` finds, one after the other."""
    from deploy.doctor import examine

    return examine(settings)


def own_url(settings: Settings) -> str:
    """Where this machine's service answers: the one that runs with these settings, on whichever port it took."""
    from deploy.stack import as_running

    return as_running(settings).local_url


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
