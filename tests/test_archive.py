from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache import MISSING, Archive, ArchiveUnavailable, InvalidKey
from tests.cache_keys import KEYS, key
from tests.servers import free_port


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A bucket on an S3 server of our own; obstore reads its address from the usual variables."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name, value in {"ALLOW_HTTP": "true", "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        patch.setenv(f"AWS_{name}", value)
    patch.setenv("AWS_REGION", "us-east-1")
    patch.setenv("NO_PROXY", "127.0.0.1")
    import boto3

    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="meshes")
    yield "s3://meshes/orfeas"
    patch.undo()
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    if request.param == "s3":
        return Archive.open(request.getfixturevalue("s3_url"), prefix=f"results-{tmp_path.name}")
    return Archive.open({"folder": tmp_path.as_uri(), "memory": "memory://"}[request.param])


def test_a_value_comes_back_as_it_was_written(archive: Archive) -> None:
    data = os.urandom(200_000)
    assert archive.get(key(1)) is MISSING
    assert archive.put(key(1), data, {"faces": 12, "name": "Käse"}) is True
    entry = archive.get(key(1))
    assert (entry.data, entry.meta) == (data, {"faces": 12, "name": "Käse"})
    assert archive.describe(key(1)) == {"faces": 12, "name": "Käse"}
    assert archive.put(key(2), b"", {}) is True
    assert archive.get(key(2)).data == b""


def test_a_value_is_written_once(archive: Archive) -> None:
    archive.put(key(1), b"first", {"n": 1})
    assert archive.put(key(1), b"second", {"n": 2}) is False
    assert archive.get(key(1)).data == b"first"
    archive.replace(key(1), b"third", {"n": 3})
    assert archive.get(key(1)).data == b"third"
    assert archive.describe(key(1)) == {"n": 3}


def test_a_deleted_value_is_gone(archive: Archive) -> None:
    archive.put(key(1), b"value", {})
    assert archive.delete(key(1)) is True
    assert archive.get(key(1)) is MISSING
    assert archive.describe(key(1)) is MISSING
    assert archive.entry(key(1)) is MISSING
    assert archive.delete(key(1)) is False


def test_pages_of_entries_meet_every_entry_once(archive: Archive) -> None:
    for number, name in enumerate(KEYS):
        archive.put(name, b"x" * (number + 1), {"n": number, "cost_s": 1.5})
    seen, cursor = [], ""
    while True:
        page, cursor = archive.entries(limit=7, cursor=cursor)
        seen += page
        if not cursor:
            break
    assert sorted(row["key"] for row in seen) == sorted(KEYS)
    assert [row["timestamp"] for row in seen] == sorted((row["timestamp"] for row in seen), reverse=True)
    row = next(row for row in seen if row["key"] == KEYS[3])
    assert (row["meta"]["n"], row["cost_s"], row["expired"]) == (3, 1.5, False)
    with pytest.raises(ValueError, match="cursor"):
        archive.entries(cursor="../../etc/passwd")


def test_old_values_go_when_asked_to(archive: Archive) -> None:
    for name in KEYS[:5]:
        archive.put(name, b"x", {})
    left = archive.trim(max_age_s=3600)
    assert (left.objects, left.deleted) == (5, 0)
    left = archive.trim(max_age_s=-5, spare=lambda item: item.key == KEYS[3])
    assert (left.objects, left.deleted) == (1, 4)
    assert [row["key"] for row in archive.entries()[0]] == [KEYS[3]]
    assert archive.clear() == 1
    assert archive.entries() == ([], "")


def aged(archive: Archive, folder: Path, names: list[str]) -> None:
    """Stores a megabyte under each name; the first is the oldest, by an hour each."""
    for hours, name in enumerate(reversed(names)):
        archive.put(name, bytes(2**20), {})
        written = time.time() - 3600 * hours
        os.utime(folder / "results" / name[:2] / name, (written, written))


@pytest.mark.parametrize("step", [2, 10_000])
def test_over_the_limit_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr("cache.archive_trim.STEP", step)
    archive, names = Archive.open(str(tmp_path)), KEYS[:8]
    aged(archive, tmp_path, names)
    assert archive.trim(max_bytes=9 * 2**20).deleted == 0
    left = archive.trim(max_bytes=3.5 * 2**20, spare=lambda item: item.key == names[1])
    assert left.deleted == 5
    assert left.size_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    rows, _ = archive.entries()
    assert [row["key"] for row in rows] == [names[7], names[6], names[1]], "the newest first, and what was spared"


def test_what_may_not_go_is_kept_over_the_limit(tmp_path: Path) -> None:
    archive = Archive.open(str(tmp_path))
    aged(archive, tmp_path, KEYS[:3])
    assert archive.trim(max_bytes=1, spare=lambda item: True).objects == 3


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "\n"])
def test_nothing_but_a_key_reaches_a_path(archive: Archive, bad: str) -> None:
    for call in (archive.get, archive.describe, archive.delete, archive.entry):
        with pytest.raises(InvalidKey):
            call(bad)
    with pytest.raises(InvalidKey):
        archive.put(bad, b"", {})


def damage(folder: Path, name: str, content: bytes) -> None:
    (folder / "results" / name[:2] / name).write_bytes(content)


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "foreign", "header"])
def test_a_damaged_object_is_a_miss_and_is_written_anew(tmp_path: Path, change: str) -> None:
    archive = Archive.open(str(tmp_path))
    archive.put(key(1), b"the value", {"n": 1})
    good = (tmp_path / "results" / key(1)[:2] / key(1)).read_bytes()
    damage(tmp_path, key(1), {
        "flip": good[:-1] + bytes([good[-1] ^ 1]), "cut": good[:-1], "empty": b"", "foreign": b"cached99" + good[8:],
        "header": good.replace(b'"length"', b'"longth"'),
    }[change])  # fmt: skip
    assert archive.get(key(1)) is MISSING
    assert archive.stats()["corruptions"] == 1
    if change != "flip":  # its length is right, and only reading the data would tell
        assert archive.describe(key(1)) is MISSING
    assert archive.put(key(1), b"the value", {"n": 1}) is True
    assert archive.get(key(1)).data == b"the value"


def test_an_unreachable_bucket_is_unavailable_within_the_time_out(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    archive = Archive.open(s3_url, timeout_s=1)
    begun = time.monotonic()
    for call in (archive.get, archive.describe, archive.delete):
        with pytest.raises(ArchiveUnavailable):
            call(key(1))
    with pytest.raises(ArchiveUnavailable):
        archive.put(key(1), b"", {})
    assert time.monotonic() - begun < 10
    assert archive.stats()["faults"] == 4


def test_a_place_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveUnavailable):
        Archive.open(str(tmp_path / "file")).put(key(1), b"", {})


WRITE_TOO_MUCH = """
import resource, signal, sys
from cache import Archive, ArchiveFull, MISSING
from tests.cache_keys import key
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
archive = Archive.open(sys.argv[1])
try:
    archive.put(key(1), b"x" * 200_000, {})
except ArchiveFull as error:
    print("full:", error)
assert archive.get(key(1)) is MISSING and archive.describe(key(1)) is MISSING
"""


def test_no_room_is_told_from_no_answer(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", WRITE_TOO_MUCH, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("full: the archive could not write results/")


WRITE_FOR_EVER = """
import itertools, sys
from cache import Archive
from tests.cache_keys import key
archive = Archive.open(sys.argv[1])
for number in itertools.count():
    archive.put(key(number), bytes([number % 256]) * 3_000_000, {"n": number})
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_objects_only(tmp_path: Path) -> None:
    archive, said = Archive.open(str(tmp_path)), -1
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, tmp_path], stdout=subprocess.PIPE, text=True)
        said = max(said, *(int(writer.stdout.readline()) for _ in range(3)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    names = {row["key"] for row in archive.entries(limit=1000)[0]}
    assert {key(number) for number in range(said + 1)} <= names
    for name in names:
        entry = archive.get(name)
        assert entry.data == bytes([entry.meta["n"] % 256]) * 3_000_000


def test_unfinished_files_of_killed_writers_are_cleaned_up(tmp_path: Path) -> None:
    archive = Archive.open(str(tmp_path))
    archive.put(key(1), b"x", {})
    leftover = tmp_path / "results" / key(1)[:2] / f"{key(2)}#1"
    leftover.write_bytes(b"half")
    archive.trim(max_age_s=10_000)
    assert leftover.exists()  # perhaps its writer lives
    os.utime(leftover, (0, 0))
    archive.trim(max_age_s=10_000)
    assert not leftover.exists()


def test_a_written_value_is_on_the_disk_before_put_returns(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = "/usr/bin/strace"
    if not Path(strace).exists():
        pytest.skip("strace is not installed")
    write = "import sys; from cache import Archive; Archive.open(sys.argv[1]).put('a' * 64, b'x', {})"
    command = [strace, "-f", "-e", "trace=linkat,fsync", "-o", trace, sys.executable, "-c", write, tmp_path / "archive"]
    subprocess.run(command, check=True)
    calls = [line.split(maxsplit=1)[1].partition("(")[0] for line in trace.read_text().splitlines() if "(" in line]
    assert [call for call in calls if call in ("linkat", "fsync")] == ["linkat", "fsync", "fsync", "fsync"]
