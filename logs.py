"""How processes log: one line per event, JSON for machines or text for people, with request and work bound to it.

Modules log through the standard library; only the composition roots call `configure`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import structlog

_ENDS_OF_LINES = re.compile(r"[\r\n]")  # progress bars write the former alone
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Their own lines say what ours say better, or what nobody reads.
_QUIET = {
    "urllib3": logging.WARNING,
    "kombu": logging.WARNING,
    "amqp": logging.WARNING,
    "celery.redirected": logging.WARNING,
}
# Without local variables: keys and passwords stand in them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(*, as_json: bool, level: str = "INFO") -> None:
    """Sends everything to stderr, in one format, whoever logged it."""
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    render: list[structlog.typing.Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if as_json
        else [
            _keep_to_one_line,
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
    )
    stream = sys.stderr.behind if isinstance(sys.stderr, _Lines) else sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet_level in _QUIET.items():
        logging.getLogger(name).setLevel(quiet_level)
    logging.captureWarnings(as_json)
    if as_json:
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def capture_output() -> None:
    """What libraries print becomes lines of the log; for servers, whose standard output nobody reads as an answer."""
    if not isinstance(sys.stderr, _Lines):
        stream = sys.stderr
        sys.stdout, sys.stderr = _Lines(stream, "stdout", logging.INFO), _Lines(stream, "stderr", logging.WARNING)


def line_of(event: str, logger: str, level: str = "info") -> bytes:
    """One line as JSON, for code that must not use `logging`: signal handlers, and other programs' output."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"event": event, "level": level, "logger": logger, "timestamp": now}).encode() + b"\n"


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        logging.getLogger("orfeas.uncaught").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


class _Lines(io.TextIOBase):
    """A standard stream of which each line is logged; `behind` is the stream that the log itself goes to."""

    def __init__(self, behind: TextIO, name: str, level: int) -> None:
        self.behind = behind
        self._log = logging.getLogger(f"orfeas.{name}")
        self._level = level
        self._of_thread = threading.local()

    def write(self, text: str) -> int:
        *lines, rest = _ENDS_OF_LINES.split(getattr(self._of_thread, "rest", "") + text)
        self._of_thread.rest = rest
        # A handler that fails prints why, to this stream: that goes by the log.
        if getattr(self._of_thread, "busy", False):
            return len(text)
        self._of_thread.busy = True
        try:
            for line in filter(str.strip, lines):
                self._log.log(self._level, line)
        finally:
            self._of_thread.busy = False
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        with contextlib.suppress(ValueError):  # closed, at the end of the process
            self.behind.flush()

    def fileno(self) -> int:
        return self.behind.fileno()

    def isatty(self) -> bool:
        return False

    encoding = "utf-8"


def _keep_to_one_line(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nobody writes a second line, or colours, by what stands in a URL; JSON escapes by itself."""
    event["event"] = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(event.get("event", "")))
    return event


bind = structlog.contextvars.bind_contextvars
forget = structlog.contextvars.clear_contextvars
bound = structlog.contextvars.bound_contextvars
