"""A stack that lives as long as a terminal: started, shown, and stopped by Ctrl-C or a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import logs
from deploy.stack.errors import StackError
from deploy.stack.stack import Stack
from settings import Settings

LOOK_EVERY_S = 0.5
STARTED, FAILED = 0, 1


def run(settings: Settings, say: Callable[[str], None], *, timeout_s: float = 120.0) -> int:
    """Keep a stack up until SIGINT, SIGTERM or SIGHUP; `say` gets lines for people. Answers an exit status."""
    if settings.log_format == "json":
        say = _in_json(say)
    with signals_stop() as stopping:
        stack = Stack(settings)
        try:
            began_s = time.monotonic()
            stack.start()
            for line in moved(settings, stack.settings):
                say(line)
            stack.wait_ready(timeout_s, on_progress=say, stopping=stopping, wait_for_others=True)
            if not stopping.is_set():
                for line in greeting(stack, time.monotonic() - began_s):
                    say(line)
            while not stopping.wait(LOOK_EVERY_S):
                if not stack.is_running():
                    raise StackError(f"the supervisor was killed; its logs are in {stack.log_dir}")
            say("stopping")
        except StackError as error:
            say(f"error: {error}")
            return FAILED
        finally:
            stack.stop()
        say("stopped")
        return STARTED


def _in_json(say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda line: say(logs.line_of(line, "orfeas.stack").decode().rstrip())


def moved(asked: Settings, taken: Settings) -> list[str]:
    """What to say of ports that another program has."""
    return [
        f"port {getattr(asked, name)} is taken: {what} listens on {getattr(taken, name)} ({name.upper()} sets it)"
        for name, what in (("port", "the API"), ("flower_port", "Flower"), ("redis_port", "the embedded Redis"))
        if getattr(asked, name) != getattr(taken, name)
    ]


def greeting(stack: Stack, took_s: float) -> list[str]:
    lines = [f"ready after {took_s:.1f} s", f"  Orfeas  {stack.url}"]
    if stack.settings.flower_port:
        lines.append(f"  Flower  http://localhost:{stack.settings.flower_port}")
    return [*lines, f"  logs    {stack.log_dir}", "Ctrl-C stops everything."]


@contextlib.contextmanager
def signals_stop() -> Iterator[threading.Event]:
    """An event that the signals set which end a foreground program; a second one does not cut the stopping short."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
