"""`orfeas doctor` sees each thing that is wrong, says how to mend it, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.serving import make_server

from deploy.doctor import Finding, Level, examine
from deploy.doctor.archive import archive_findings
from deploy.doctor.devices import judged
from deploy.doctor.fleet import api_finding, worker_findings
from deploy.doctor.host import access_finding, package_finding, port_findings
from deploy.doctor.redis import _clock, redis_findings, where
from settings import Settings
from tests.house import House
from tests.servers import RedisServer, free_port

ROOT = Path(__file__).parent.parent
MakeRedis = Callable[..., RedisServer]


def settings(**values: Any) -> Settings:
    return Settings(**{"port": free_port(), "redis_port": free_port(), "flower_port": 0} | values)


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    found = list(findings)
    assert all(one.mend for one in found if one.level != Level.OK), "whatever is wrong can be mended"
    return {one.name: one for one in found}


def look(server: RedisServer, **values: Any) -> dict[str, Finding]:
    return by_name(redis_findings("redis", server.url, settings(**values), embedded=False))


def test_a_redis_as_we_start_it_is_well(own_redis: MakeRedis) -> None:
    found = look(own_redis(persist=True, maxmemory="3gb"))
    assert {name: one.level for name, one in found.items()} == dict.fromkeys(
        ("redis", "redis policy", "redis memory", "redis disk", "redis permissions", "redis clock"), Level.OK
    )


def test_an_eviction_policy_that_deletes_queued_work_fails(own_redis: MakeRedis) -> None:
    policy = look(own_redis(**{"maxmemory-policy": "allkeys-lru"}))["redis policy"]
    assert policy.level == Level.FAIL and "noeviction" in policy.mend


@pytest.mark.parametrize(
    ("maxmemory", "tier_mb", "level"),
    [("0", 1024, Level.WARN), ("100mb", 95, Level.WARN), ("100mb", 20, Level.OK)],
)
def test_memory_without_head_room_is_noticed(own_redis: MakeRedis, maxmemory: str, tier_mb: int, level: Level) -> None:
    assert look(own_redis(maxmemory=maxmemory), cache_shared_max_memory_mb=tier_mb)["redis memory"].level == level


def test_memory_that_is_nearly_used_up_fails(own_redis: MakeRedis) -> None:
    server = own_redis()
    with server.client() as client:
        client.set("much", b"0" * 20_000_000)
        client.config_set("maxmemory", 22_500_000)
    assert look(server, cache_shared_max_memory_mb=1)["redis memory"].level == Level.FAIL


def test_a_redis_that_keeps_nothing_is_a_warning_for_jobs_and_fine_for_a_cache(own_redis: MakeRedis) -> None:
    server = own_redis()
    assert look(server)["redis disk"].level == Level.WARN
    cache = by_name(redis_findings("cache redis", server.url, settings(), embedded=False))
    assert cache["cache redis disk"].level == Level.OK


def test_a_redis_that_is_away_fails_and_a_stopped_embedded_one_only_waits() -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    own = by_name(redis_findings("redis", url, settings(), embedded=False))
    embedded = by_name(redis_findings("redis", url, settings(), embedded=True))
    assert own["redis"].level == Level.FAIL and embedded["redis"].level == Level.WARN
    assert "hidden" not in own["redis"].says + embedded["redis"].says + where(url)


@pytest.mark.parametrize(
    ("user", "rules", "name", "level", "says"),
    [
        ("u", ("~*", "&*", "+@all", "-@dangerous"), "redis", Level.WARN, "may not run INFO"),
        ("u", ("~*", "&*", "+@all", "-@dangerous"), "redis permissions", Level.OK, "all"),
        ("u", ("~*", "&*", "+@all", "-xadd", "-memory|usage"), "redis permissions", Level.FAIL, "+xadd +memory|usage"),
        ("u", ("~{orfeas}:*", "~{orfeas:cache:*", "&*", "+@all"), "redis permissions", Level.FAIL, "~generate*"),
        ("u", ("~*", "&/0.celery.pidbox", "+@all"), "redis permissions", Level.FAIL, "&/0.celeryev/*"),
        ("u", ("~*", "+ping"), "redis", Level.FAIL, "time"),
        ("u", (), "redis", Level.FAIL, "ping"),
        ("stranger", ("~*", "+@all"), "redis", Level.FAIL, "refuses user or password"),
    ],
)
def test_what_a_user_of_redis_may_not_is_named_and_nobody_is_told_to_start_it(
    own_redis: MakeRedis, user: str, rules: tuple[str, ...], name: str, level: Level, says: str
) -> None:
    server = own_redis()
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "u", "on", ">hidden", *rules)
        url = f"redis://{user}:hidden@127.0.0.1:{server.port}/0"
        every = list(redis_findings("redis", url, settings(), embedded=False))
        assert not admin.keys("*"), "nothing is left behind"
    found = [one for one in every if one.name == name and one.level == level]
    assert any(says in one.says for one in found), every
    assert not any("start it" in one.mend or "hidden" in one.says + one.mend for one in every)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR max number of clients reached\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-DENIED Redis is running in protected mode\r\n",
        b"-NOAUTH HELLO\r\n",
        b"",
        b"*\xff\r\n",
    ],
)
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_server_that_answers_strangely_is_not_to_be_started(answer: bytes, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as strange:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = strange.accept()
                    one.recv(10)
                    one.sendall(answer)
                    one.close()

        threading.Thread(target=serve, daemon=True).start()
        url = f"{scheme}://127.0.0.1:{strange.getsockname()[1]}/0"
        found = by_name(redis_findings("redis", url, settings(), embedded=False))
        strange.shutdown(socket.SHUT_RDWR)
    assert found["redis"].level == Level.FAIL and "start it" not in found["redis"].mend


@pytest.mark.parametrize(
    "url", ["redis://no-such-host.invalid/0", "unix:///nowhere/redis.sock", "rediss://127.0.0.1:1/0"]
)
def test_a_redis_that_cannot_be_reached_is_a_finding(url: str) -> None:
    assert by_name(redis_findings("redis", url, settings(), embedded=False))["redis"].level == Level.FAIL


@pytest.mark.parametrize(("ahead_s", "level"), [(0.3, Level.OK), (-10.0, Level.WARN), (3600.0, Level.FAIL)])
def test_clocks_that_differ_are_noticed(ahead_s: float, level: Level) -> None:
    assert _clock("redis", ahead_s).level == level


def test_an_archive_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    found = by_name(archive_findings((tmp_path / "archive").as_uri()))
    assert found["archive"].level == Level.OK and found["archive room"].level == Level.OK
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "the probe is gone"


def test_an_archive_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = by_name(archive_findings((tmp_path / "file" / "archive").as_uri()))
    assert found["archive"].level == Level.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_archive_fails(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    found = by_name(archive_findings((tmp_path / "archive").as_uri()))
    tmp_path.chmod(stat.S_IRWXU)
    assert found["archive"].level == Level.FAIL


def told(*gpus: str, cuda: str | None = "13.0") -> dict[str, Any]:
    return {"torch": "2.13.0", "cuda": cuda, "seen": [{"name": gpu, "free": 2**35, "total": 2**36} for gpu in gpus]}


@pytest.mark.parametrize(
    ("device", "torch", "has_gpu", "level"),
    [
        ("auto", told("H200"), True, Level.OK),
        ("auto", told(cuda=None), False, Level.OK),
        ("cpu", told(cuda=None), True, Level.OK),
        ("auto", told(cuda=None), True, Level.WARN),
        ("cuda", told(cuda=None), True, Level.FAIL),
        ("cuda:1", told(), False, Level.FAIL),
    ],
)
def test_a_gpu_that_goes_unused_is_noticed(device: str, torch: dict[str, Any], has_gpu: bool, level: Level) -> None:
    finding = judged(device, torch, has_gpu=has_gpu)
    assert finding.level == level and (level == Level.OK or finding.mend)


def test_packages_of_other_versions_are_named(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# pins\nflask==0.1\nnot-installed-at-all==1\npytest>0\n")
    finding = package_finding(tmp_path / "constraints.txt")
    assert finding.level == Level.WARN and "flask" in finding.says and "pytest" not in finding.says


def test_access_without_keys_or_without_an_admin_is_a_warning() -> None:
    assert access_finding(settings()).level == Level.WARN
    assert "admin" in access_finding(settings(api_keys=("a",))).says
    assert access_finding(settings(api_keys=("a",), admin_keys=("b",))).level == Level.OK


def test_a_port_that_somebody_else_holds_fails_and_names_its_setting() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ours = settings(port=other.getsockname()[1])
        found = by_name(port_findings(ours, runs=False))[f"port {ours.port}"]
        assert found.level == Level.FAIL and "PORT" in found.mend
        assert by_name(port_findings(ours, runs=True))[f"port {ours.port}"].level == Level.OK


def test_another_program_in_the_place_of_the_api_is_told_from_it() -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    assert api_finding(settings(port=server.server_port)).level == Level.FAIL
    server.shutdown()
    server.server_close()


def test_a_queue_without_workers_fails_where_the_service_runs(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path).open()
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert api_finding(settings(port=server.server_port)).level == Level.OK
    server.shutdown()
    client = Redis.from_url(redis_url, decode_responses=True)
    found = by_name(worker_findings(client, house.settings, runs=True))
    assert found["generate workers"].level == Level.OK and found["render workers"].level == Level.FAIL
    assert by_name(worker_findings(client, house.settings, runs=False))["render workers"].level == Level.WARN
    house.close()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "FLOWER_PORT": "0"}
    environment |= {"PORT": str(free_port()), "REDIS_PORT": str(free_port())} | variables
    command = [sys.executable, "-m", "client", "doctor", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_ends_well_on_a_healthy_host_and_says_what_would_be_better(tmp_path: Path) -> None:
    done = run(DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "./orfeas up" in done.stdout and "failed" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_command_ends_with_1_and_json_when_something_fails(tmp_path: Path) -> None:
    done = run("--json", DATA_DIR=str(tmp_path), REDIS_URL=f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False and "hidden" not in done.stdout
    failed = [one["name"] for one in answer["findings"] if one["level"] == "fail"]
    assert failed == ["redis"]


def test_every_part_is_looked_at(own_redis: MakeRedis, tmp_path: Path) -> None:
    server, cache = own_redis(persist=True), own_redis()
    ours = settings(data_dir=tmp_path, redis_url=server.url, cache_redis_url=cache.url)
    names = set(by_name(examine(ours)))
    assert {
        "python", "packages", "access", "api", f"port {ours.port}", "redis", "redis policy", "redis memory",
        "redis disk", "redis clock", "cache redis", "generate workers", "render workers", "archive", "archive room",
        "device",
    } <= names  # fmt: skip
