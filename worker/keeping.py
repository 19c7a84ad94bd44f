"""Asks the archive again for a while before a write counts as failed: making the mesh once more costs minutes of a GPU.

It does not decide what is kept or where; it calls what it is given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from cache.errors import ArchiveError

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_STEP_S = 0.5


def keep_patiently(
    write: Callable[[], None],
    tell: Callable[[], None],
    *,
    pauses_s: Sequence[float] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Calls `write` until the archive takes it, at most once more than there are pauses; `tell` runs while it waits,
    so that a cancel or the end of this process is not held up.

    Raises:
        cache.errors.ArchiveError: the archive did not take it in all that time.
        Whatever `tell` raises.
    """
    for pause_s in pauses_s:
        try:
            return write()
        except ArchiveError as error:
            log.warning("not archived: %s; asked again in %g s", error, pause_s)
        waited_s = 0.0
        while waited_s < pause_s:
            tell()
            sleep(min(_STEP_S, pause_s - waited_s))
            waited_s += _STEP_S
    return write()
