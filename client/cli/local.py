"""A service on this machine, for `up` and `demo`: the only place of the client that knows the server side exists."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from client.cli.output import say

if TYPE_CHECKING:
    from deploy.stack import Stack
    from settings import Settings

READY_TIMEOUT_S = 120.0


def load_settings() -> Settings:
    """The settings of this process' environment.

    Raises:
        typer.BadParameter: one of them is out of range.
    """
    from pydantic import ValidationError

    from settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, row['loc'])).upper()}: {row['msg']}" for row in error.errors())
        raise typer.BadParameter(wrong) from None


def local_url(settings: Settings) -> str:
    """Where the service of these settings answers, seen from this machine."""
    host = "127.0.0.1" if settings.bind_host in ("0.0.0.0", "::") else settings.bind_host
    return f"http://{host}:{settings.port}"


def answers(url: str, api_key: str | None) -> bool:
    """Whether an Orfeas runs there already."""
    from client.errors import OrfeasError
    from client.retries import RetryPolicy
    from client.sync import Client

    try:
        with Client(url, api_key, retries=RetryPolicy(attempts=1)) as client:
            client.health()
    except OrfeasError:
        return False
    return True


@contextmanager
def running_stack(settings: Settings) -> Iterator[Stack]:
    """The whole stack, up and ready; stopped at the end, also by SIGTERM."""
    from deploy.stack import Stack

    signal.signal(signal.SIGTERM, _interrupt)
    with Stack(settings) as stack:
        stack.start()
        stack.wait_ready(timeout_s=READY_TIMEOUT_S, on_progress=say)
        yield stack


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
