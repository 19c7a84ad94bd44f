"""When a request is tried again, and how long to wait before: a policy as a value. It sends and sleeps nothing.

Back-off is exponential with jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); a
`Retry-After` (RFC 9110 §10.2.3) is a lower bound that is never undercut.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({408, 425, 429, 502, 503, 504})


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds from now that a `Retry-After` header, a number or a date, asks for; `None` when absent or unreadable."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return None


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts` tries; waits double from `base_s` to `cap_s`; a wait over `longest_wait_s` is not waited."""

    attempts: int = 5
    base_s: float = 0.25
    cap_s: float = 8.0
    longest_wait_s: float = 60.0
    uniform: Callable[[float, float], float] = random.uniform

    def wait_s(self, failed_attempts: int, asked_s: float | None = None) -> float | None:
        """Seconds until the next try after so many failures, `None` to give up; `asked_s` is a `Retry-After`."""
        if failed_attempts >= self.attempts:
            return None
        backoff_s = min(self.cap_s, self.base_s * 2 ** (failed_attempts - 1))
        if asked_s is None:
            return self.uniform(backoff_s / 2, backoff_s)
        if asked_s > self.longest_wait_s:
            return None
        return asked_s + self.uniform(0.0, min(backoff_s, self.base_s))
