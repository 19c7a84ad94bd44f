"""Where archived objects lie: a folder, a bucket or this process' memory, and their faults in our words.

Nothing here knows what is inside an object.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from cache.errors import ArchiveFull, ArchiveUnavailable
from cache.values import MB

_NO_ROOM = "|".join(str(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_FULL = re.compile(rf"os error ({_NO_ROOM})\b|QuotaExceeded|InsufficientStorage|StorageFull|\b507\b")
_LEFTOVER = re.compile(r"#\d+$")  # of a writer that was killed; obstore names its unfinished files so
_LEFTOVER_AGE_S = 3600


def open_store(url: str, timeout_s: float) -> tuple[Any, Path | None]:
    """The store that a URL or a path names, and the folder when it is one.

    Raises:
        ArchiveUnavailable: it names nothing usable.
    """
    try:
        if url.startswith("memory:"):
            return MemoryStore(), None
        if (folder := folder_of(url)) is not None:
            return LocalStore(folder, mkdir=True), folder
        patience = timedelta(seconds=timeout_s)
        return from_url(
            url,
            # allow_http: an endpoint set as http:// is meant; AWS_ALLOW_HTTP is not looked at beside these options
            client_options={
                "timeout": patience,
                "connect_timeout": min(patience, timedelta(seconds=2)),
                "allow_http": True,
            },
            retry_config={"max_retries": 2, "retry_timeout": patience},
        ), None
    except (BaseError, OSError, ValueError) as error:
        raise ArchiveUnavailable(f"the archive at {url} cannot be opened: {_first_line(error)}") from error


def folder_of(url: str) -> Path | None:
    """The folder that a path or a `file://` URL names, all of it; `None` for other stores."""
    scheme, separator, rest = re.sub(r"^(?i:file):/(?!/)", "file:///", url).partition("://")
    if not separator:
        return Path(url).expanduser().resolve()
    if scheme.lower() != "file":
        return None
    return Path(os.fsdecode(unquote_to_bytes("/" + rest.partition("/")[2]))).resolve()


@contextmanager
def faults_as_ours(action: str) -> Iterator[None]:
    """Faults of the store as `ArchiveFull` or `ArchiveUnavailable`; "not there" and "already there" are no faults."""
    try:
        yield
    except (FileNotFoundError, AlreadyExistsError):
        raise
    except (BaseError, OSError) as error:
        kind = ArchiveFull if _FULL.search(str(error)) else ArchiveUnavailable
        raise kind(f"the archive could not {action}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def make_durable(folder: Path, path: str) -> None:
    """Wait until the file and the names that lead to it are on the disk; obstore alone leaves them in memory."""
    target = folder / path
    for item in (target, target.parent, target.parent.parent):
        handle = os.open(item, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> int:
    """Delete unfinished files of writers that were killed over an hour ago, and say how many."""
    removed = 0
    for file in folder.glob("*/*#*"):
        if _LEFTOVER.search(file.name) and time.time() - file.stat().st_mtime > _LEFTOVER_AGE_S:
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def free_mb(folder: Path) -> float:
    """What the folder's disk has left."""
    return shutil.disk_usage(folder).free / MB
