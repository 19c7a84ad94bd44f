"""Does the archive take a value, give it back, and delete it?"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from cache.archive import Archive
from cache.archive_store import folder_of
from cache.errors import ArchiveError
from cache.keys import content_key
from cache.missing import MISSING
from deploy.doctor.findings import Finding, fail, ok, warn

PREFIX = "doctor"
GB = 10**9
LITTLE_GB = 2
PATIENCE_S = 10.0


def archive_findings(location: str) -> Iterator[Finding]:
    """A probe through the whole life of a value, and the room on the disk of a folder."""
    folder = folder_of(location)
    yield _probe(location, folder)
    if folder is not None:
        yield _room(folder)


def _probe(location: str, folder: Path | None) -> Finding:
    key, data = content_key({"probe": uuid.uuid4().hex}), b"a probe of `orfeas doctor`"
    shown = folder or location
    began = time.monotonic()
    try:
        archive = Archive.open(location, prefix=PREFIX, timeout_s=PATIENCE_S)
        archive.put(key, data, {})
        found = archive.get(key)
        archive.delete(key)
    except (ArchiveError, OSError) as error:
        return fail("archive", f"{shown}: {error}", _mend(folder))
    finally:
        if folder is not None:
            shutil.rmtree(folder / PREFIX, ignore_errors=True)
    if found is MISSING or found.data != data:
        return fail("archive", f"{shown} does not give back what was written", _mend(folder))
    return ok("archive", f"{shown} takes, gives and deletes, in {(time.monotonic() - began) * 1000:.0f} ms")


def _room(folder: Path) -> Finding:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free_gb = shutil.disk_usage(there).free / GB
    if free_gb < LITTLE_GB:
        mend = "make room; ARCHIVE_RETENTION_S deletes old results by age"
        return warn("archive room", f"{free_gb:.1f} GB are free on its disk", mend)
    return ok("archive room", f"{free_gb:.0f} GB are free on its disk")


def _mend(folder: Path | None) -> str:
    if folder is None:
        return "look at the bucket's name and policy, AWS_* variables, and ARCHIVE_URL"
    return "is its disk full or read-only, and may this user write there? ARCHIVE_URL names another place"
