"""What Celery's remote control may do to a worker: commands that would leave work waiting are refused in words.

The rest is Celery's own. Importing this module replaces the commands.
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command, nok

_SIZE = "refused: the number of processes is the worker's -c; one generate worker per GPU (GENERATE_WORKERS)"


@control_command(args=[("n", int)], signature="[N=1]")
def pool_grow(state: Any, n: int = 1, **_: Any) -> Any:
    """Refused."""
    return nok(_SIZE)


@control_command(args=[("n", int)], signature="[N=1]")
def pool_shrink(state: Any, n: int = 1, **_: Any) -> Any:
    """Refused: Celery would go on to take messages for processes that are not there."""
    return nok(_SIZE)


@control_command(args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(state: Any, max: int | None = None, min: int | None = None) -> Any:
    """Refused."""
    return nok(_SIZE)


@control_command(
    args=[("task_name", str), ("rate_limit", str)], signature="<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>"
)
def rate_limit(state: Any, task_name: str, rate_limit: str, **_: Any) -> Any:
    """Refused: a worker would hold messages that idle ones could run."""
    return nok("refused: tasks have no rate limits; RATE_LIMIT limits requests, QUEUE_LIMIT what may wait")
