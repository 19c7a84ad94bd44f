"""How processes log: one line per event, JSON for machines or text for people, with request and work bound to it.

Modules log through the standard library; only the composition roots call `configure`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

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
    before = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    render = (
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet_level in _QUIET.items():
        logging.getLogger(name).setLevel(quiet_level)


def _keep_to_one_line(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nobody writes a second line, or colours, by what stands in a URL; JSON escapes by itself."""
    event["event"] = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(event.get("event", "")))
    return event


bind = structlog.contextvars.bind_contextvars
forget = structlog.contextvars.clear_contextvars
bound = structlog.contextvars.bound_contextvars
