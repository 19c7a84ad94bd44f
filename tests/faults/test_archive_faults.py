"""The archive is full, read-only, failing or slow: no success is claimed that is not kept, no GPU minute is lost."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.processes import Running
from tests.faults.bucket import Bucket
from tests.servers import wait_until

ROOM_BYTES = 300_000
BIG = {"subdivisions": 6}  # a mesh of more than that
OBEDIENT = (sys.executable, "-m", "tests.faults.obedient")

ReadOnly = Callable[[Path], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), through=OBEDIENT, max_attempts=1) as fleet:
        yield fleet.start("api", "generate1", "render")


def files(fleet: Fleet) -> set[Path]:
    """What a reader of the archive could see, finished or not."""
    return {path for path in (fleet.settings.data_dir / "archive" / "results").rglob("*") if path.is_file()}


def was_refused(worker: Running, since: int) -> bool:
    return "not archived" in worker.log.read_text()[since:]


@contextlib.contextmanager
def full_disk(worker: Running) -> Iterator[None]:
    """No file of the worker may grow over ROOM_BYTES: what a quota answers, for this one process."""
    child = next(one for one in worker.children())
    child.rlimit(psutil.RLIMIT_FSIZE, (ROOM_BYTES, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Nobody may write there, not even root, who gave that up at the start of this fleet."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for one in folders:
        one.chmod(0o500)
    try:
        yield
    finally:
        for one in folders:
            one.chmod(0o700)


@contextlib.contextmanager
def remounted(folder: Path) -> Iterator[None]:
    """As after an I/O error, when the kernel remounts a disk; where the test may do so."""
    mount(["--bind", str(folder), str(folder)])
    try:
        mount(["-o", "remount,ro,bind", str(folder)])
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(arguments: list[str]) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"may not mount, and permissions are tried anyway: {done.stderr.strip()}")


def test_a_full_disk_is_waited_out_with_the_mesh_in_hand(fleet: Fleet) -> None:
    worker = fleet.running["generate1"]
    since = len(worker.log.read_text())
    before = files(fleet)
    with full_disk(worker):
        job_id = fleet.submit("full-then-not", **BIG)
        wait_until(lambda: was_refused(worker, since), 20, "the archive to refuse it")
        assert fleet.job(job_id)["status"] == "running"
        assert files(fleet) == before, "nothing of it is visible, not even half of it"
    freed_at = time.monotonic()
    assert fleet.succeeded(job_id)["result"]["size_bytes"] > ROOM_BYTES
    print(f"measured: full, then not: the job was done {time.monotonic() - freed_at:.1f} s later")
    assert fleet.runs("full-then-not") == {"begun": 1, "finished": 1}


def test_a_disk_that_stays_full_ends_in_a_clear_error(fleet: Fleet) -> None:
    before = files(fleet)
    with full_disk(fleet.running["generate1"]):
        begun = time.monotonic()
        job = fleet.ended(fleet.submit("full", **BIG))
        print(f"measured: full for long: failed after {time.monotonic() - begun:.1f} s")
    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "storage_failed", True)
    assert str(fleet.settings.data_dir) not in job["error"]["message"], "callers need not know where"
    assert files(fleet) == before
    fleet.succeeded(fleet.submit("full", **BIG))
    fleet.assert_nothing_left()


@pytest.mark.parametrize("read_only", [forbidden, remounted])
def test_a_read_only_archive_is_waited_out_with_the_mesh_in_hand(fleet: Fleet, read_only: ReadOnly) -> None:
    worker, name = fleet.running["generate1"], f"read-only-{read_only.__name__}"
    job_id = fleet.submit(name, pause_at="generate")
    fleet.paused(name, "generate")
    since = len(worker.log.read_text())
    with read_only(fleet.settings.data_dir / "archive"):
        fleet.let_go(name)
        wait_until(lambda: was_refused(worker, since), 20, "the archive to refuse it")
        refused = fleet.post("other")
        assert (refused.status_code, refused.json()["code"]) == (503, "archive_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
    back_at = time.monotonic()
    fleet.succeeded(job_id)
    print(f"measured: read-only, then not: the job was done {time.monotonic() - back_at:.1f} s later")
    assert fleet.runs(name) == {"begun": 1, "finished": 1}


def test_a_bucket_that_fails_or_dawdles_is_waited_out(
    own_fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    fleet = own_fleet(archive_url=bucket.url).start("api", "generate1", "render")
    job_id = fleet.submit("bucket", pause_at="generate")
    fleet.paused("bucket", "generate")
    bucket.broken = True
    fleet.let_go("bucket")
    wait_until(lambda: was_refused(fleet.running["generate1"], 0), 30, "the bucket to refuse it")
    assert fleet.job(job_id)["status"] == "running"
    assert bucket.keys("results") == []
    refused = fleet.post("other")
    assert (refused.status_code, refused.json()["code"]) == (503, "archive_unavailable")
    bucket.broken = False
    back_at = time.monotonic()
    fleet.succeeded(job_id)
    print(f"measured: bucket broken, then not: the job was done {time.monotonic() - back_at:.1f} s later")
    assert fleet.runs("bucket") == {"begun": 1, "finished": 1}
    bucket.delay_s = 1.0
    begun = time.monotonic()
    fleet.succeeded(fleet.submit("slow"))
    print(f"measured: bucket that takes a second for each answer: done after {time.monotonic() - begun:.1f} s")
    bucket.close()
