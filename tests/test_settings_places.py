"""A folder that a setting names is one place to every program, however it is written and wherever they were started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cache.archive import Archive
from cache.archive_store import folder_of
from client import Client
from deploy.bootstrap.pip import ROOT
from deploy.doctor.archive import PREFIX, archive_findings
from deploy.doctor.findings import Level
from settings import Settings, drop_service_links
from tests.house import picture
from tests.servers import free_port, wait_until

KEY = "a" * 64
ODD = ["a b", "a#b", "a?b=c", "a%20b", "a%b", "ä€😀", "a;b #c", "it's", 'a"b', "$HOME", "a:b", "a&b+c", "[a]*", "a\\b"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("form", ["path", "url", "raw url"])
def test_every_program_finds_the_same_archive_under_an_odd_name(name: str, form: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    if form == "raw url" and "%" in name:
        pytest.skip("a percent sign in a URL is an escape")
    written = {"path": str(folder), "url": folder.as_uri(), "raw url": f"file://{folder}"}[form]
    location = Settings(archive_url=written).archive_location
    assert folder_of(location) == folder
    Archive.open(location).put(KEY, b"value", {})
    (probe, _) = archive_findings(location)
    assert probe.level == Level.OK and str(folder) in probe.says
    assert sorted(path.name for path in tmp_path.iterdir()) == [name], "neither a cut name nor a second one"
    assert not (folder / PREFIX).exists(), "the probe leaves nothing behind"
    assert [path.read_bytes()[-5:] for path in folder.rglob("*") if path.is_file()] == [b"value"]
    again = Settings(archive_url=location).archive_location
    assert again == location, "what is handed on to other programs means the same to them"


@pytest.mark.parametrize("name", ["meshes", "./meshes", "a b/#c", "../beside", "%41"])
def test_a_relative_archive_does_not_depend_on_where_a_program_was_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of(Settings(archive_url=name).archive_location) == (ROOT / name).resolve()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("written", ["file:///x/y", "file:/x/y", "FILE:///x/y", "file://localhost/x/y", "/x/./y/"])
def test_all_spellings_of_a_folder_are_one(written: str) -> None:
    assert Settings(archive_url=written).archive_location == "file:///x/y"


def test_a_home_and_a_bucket_are_understood_and_a_folder_of_another_host_is_refused() -> None:
    assert folder_of(Settings(archive_url="~/meshes").archive_location) == Path.home() / "meshes"
    assert Settings(archive_url="s3://bucket/pre#fix").archive_location == "s3://bucket/pre%23fix"
    for wrong in ("file://host/x", "file://meshes"):
        with pytest.raises(ValueError, match="another host"):
            Settings(archive_url=wrong)


@pytest.mark.parametrize("link", ["tcp://10.96.0.5:6379", "udp://10.0.0.1:53", "sctp://[fd00::1]:1"])
def test_what_kubernetes_says_of_a_service_is_no_port(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_PORT", "FLOWER_PORT", "FLOWER_PORT_5555_TCP"):
        monkeypatch.setenv(name, link)
    assert (Settings().redis_port, Settings().flower_port) == (6399, 5555)
    monkeypatch.setenv("FLOWER_BROKER_API", "kept")
    drop_service_links()
    assert "FLOWER_PORT" not in os.environ and os.environ["FLOWER_BROKER_API"] == "kept"
    monkeypatch.setenv("REDIS_PORT", "not-a-port")
    with pytest.raises(ValueError, match="redis_port"):
        Settings()


@pytest.mark.slow
def test_the_service_runs_from_any_checkout_with_any_data_dir_and_logs_json_alone(tmp_path: Path) -> None:
    checkout, data = tmp_path / 'it\'s ; #1 %20 "ä" $HOME', tmp_path / "data ;2 #%s 'é\""
    for name in ("api", "cache", "client", "deploy", "jobs", "worker"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("gunicorn.conf.py", "logs.py", "patience.py", "settings.py", "version.py"):
        shutil.copy(ROOT / name, checkout / name)
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "DATA_DIR": str(data), "PORT": str(port),
        "REDIS_PORT": str(free_port()), "FLOWER_PORT": str(free_port()), "ARCHIVE_URL": "meshes ;#?%41",
        "LOG_FORMAT": "json", "DEVICE": "cpu", "STOP_GRACE_S": "5",
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "client", "up"]
        stack = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: "ready after" in log.read_text() or stack.poll() is not None, 90, "the stack to be ready")
        with Client(url) as client:
            job = client.wait(client.submit(picture("red", (64, 48))), timeout_s=60)
        code = "from deploy.doctor.archive import *; from settings import load"
        look = f"{code}; print(next(archive_findings(load().archive_location)).says)"
        asked = [sys.executable, "-c", look]
        doctor = subprocess.run(asked, cwd="/", env=environment, capture_output=True, text=True, timeout=60)
    finally:
        stack.send_signal(signal.SIGINT)
        assert stack.wait(60) == 0, log.read_text()
    assert doctor.stdout.startswith(f"{checkout / 'meshes ;#?%41'} takes, gives and deletes"), doctor
    assert any(job.key in path.name for path in (checkout / "meshes ;#?%41").rglob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([checkout.name, data.name, "log"])
    logs = {path.stem: path.read_text().splitlines() for path in [log, *(data / "logs").glob("*.log")]}
    assert set(logs) == {"log", "api", "flower", "generate1", "guard", "redis", "render", "supervisor"}
    for name, lines in logs.items():
        assert all(isinstance(json.loads(line), dict) for line in lines), name
