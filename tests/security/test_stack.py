"""The whole service with every secret set, talking as much as it can: nobody else learns one, or gets in."""

from __future__ import annotations

import base64
import json
import pickle
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from kombu import Connection, Exchange, Producer
from kombu.serialization import registry

from deploy.stack import Stack
from settings import Settings
from tests.house import picture
from tests.servers import RedisServer, free_port, wait_until

USER_KEY, ADMIN_KEY, WRONG_KEY = "user-key-4f1c9a7e", "admin-key-9d27b305", "wrong-key-77aa01cd"
PASSWORD = "redis-password-5be2c8"
SECRET = "whsec_" + base64.b64encode(b"a webhook secret of 32 bytes....").decode()
SECRETS = (USER_KEY, ADMIN_KEY, WRONG_KEY, PASSWORD, SECRET, SECRET.removeprefix("whsec_"))


@dataclass
class Running:
    """A stack, the server behind it, and a client that holds the user key."""

    stack: Stack
    redis: RedisServer
    http: httpx.Client

    def processes(self) -> list[psutil.Process]:
        session = self.stack._session
        assert session is not None
        return session.members()

    def submit(self, colour: str = "red") -> dict[str, Any]:
        answer = self.http.post(
            "/api/jobs",
            files={"image": ("a.png", picture(colour, (64, 48)))},
            data={"webhook_url": "https://nobody.invalid/hook"},
        )
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def ended(self, job_id: str) -> dict[str, Any]:
        """Asked for with `wait`: polling would run into the rate limit."""
        for _ in range(4):
            answer = self.http.get(f"/api/jobs/{job_id}", params={"wait": 20})
            assert answer.status_code == 200, answer.text
            if answer.json()["finished_at"]:
                return answer.json()
        raise AssertionError(f"job {job_id} does not end: {answer.text}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stack") / "data"
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("requirepass", PASSWORD)
        settings = Settings(
            data_dir=folder, redis_url=f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0", log_level="DEBUG",
            port=free_port(), flower_port=free_port(), host="127.0.0.1", api_keys=(USER_KEY,),
            admin_keys=(ADMIN_KEY,), webhook_secret=(SECRET,), render_workers=1, stop_grace_s=3,
        )  # fmt: skip
        with Stack(settings) as stack:
            stack.wait_ready(120)
            with httpx.Client(
                base_url=stack.url, headers={"Authorization": f"Bearer {USER_KEY}"}, trust_env=False, timeout=30
            ) as http:
                yield Running(stack, server, http)


@pytest.fixture(scope="module")
def told(running: Running) -> str:
    """All that was logged after good calls, bad calls, a job, and a Redis that threw everybody out."""
    for key in (ADMIN_KEY, WRONG_KEY, f"{USER_KEY}\t"):
        headers = {"Authorization": f"Bearer {key.strip()}"}
        httpx.get(f"{running.stack.url}/api/cache/stats", headers=headers, trust_env=False)
        httpx.get(f"{running.stack.url}/api/webhooks/secret", headers=headers, trust_env=False)
        httpx.get(f"{running.stack.url}/api/jobs?label={key.strip()[:3]}", headers=headers, trust_env=False)
    job = running.submit()
    assert running.ended(job["id"])["status"] == "succeeded"
    httpx.get(f"http://127.0.0.1:{running.stack.settings.flower_port}/api/workers?refresh=1", trust_env=False)
    with running.redis.client(password=PASSWORD) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    again = running.submit("blue") if _answers(running) else {}
    assert running.ended(again["id"])["status"] == "succeeded"
    return "\n".join(path.read_text(errors="replace") for path in running.stack.log_dir.glob("*.log*"))


def _answers(running: Running) -> bool:
    wait_until(lambda: running.http.get("/ready").status_code == 200, 30, "the API to find Redis again")
    return True


def test_no_log_holds_a_secret(told: str) -> None:
    assert "orfeas.access" in told and "debug" in told, "nothing was logged at all"
    assert [secret for secret in SECRETS if secret in told] == []


def test_no_command_line_holds_a_secret(running: Running) -> None:
    lines = [" ".join(process.cmdline()) for process in running.processes()]
    assert len(lines) >= 6
    assert [(line, secret) for line in lines for secret in SECRETS if secret in line] == []


def test_no_file_of_the_service_holds_a_secret(running: Running, told: str) -> None:
    folder = running.stack.settings.data_dir
    files = [path for path in folder.rglob("*") if path.is_file()]
    held = [(path.name, secret) for path in files for secret in SECRETS if secret.encode() in path.read_bytes()]
    assert held == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "logs and results are for this user only"


def test_redis_holds_no_secret(running: Running, told: str) -> None:
    with running.redis.client(password=PASSWORD) as client:
        whole = b"".join(client.dump(key) or b"" for key in client.scan_iter(count=1000))
        names = b"\n".join(client.scan_iter(count=1000))
    assert [secret for secret in SECRETS if secret.encode() in whole + names] == []


def test_flower_and_redis_are_reached_from_this_host_only(running: Running) -> None:
    listening = {
        connection.laddr.port: connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    settings = running.stack.settings
    assert {settings.port, settings.flower_port} <= set(listening)
    assert set(listening.values()) == {"127.0.0.1"}


def test_flower_shows_no_secret(running: Running, told: str) -> None:
    base = f"http://127.0.0.1:{running.stack.settings.flower_port}"
    pages = ("/workers", "/broker", "/tasks", "/api/workers")
    shown = "".join(httpx.get(base + page, trust_env=False).text for page in pages)
    assert [secret for secret in SECRETS if secret in shown] == []


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_worker_refuses_a_pickled_message_and_works_on(running: Running, tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    pickle.loads(pickle.dumps(Bomb(mark)))  # noqa: S301  # our own
    assert mark.exists(), "the bomb must work where somebody unpickles it"
    mark.unlink()
    registry.enable("pickle")
    try:
        _send_pickled(running.stack.settings.redis_url, Bomb(mark))
    finally:
        registry.disable("pickle")
    log = running.stack.log_dir / "generate1.log"
    wait_until(lambda: "ContentDisallowed" in log.read_text(), 30, "the worker to refuse the message")
    assert not mark.exists()
    assert running.ended(running.submit("green")["id"])["status"] == "succeeded"


def _send_pickled(url: str, bomb: Bomb) -> None:
    headers = {
        "lang": "py",
        "task": "orfeas.generate",
        "id": "bomb",
        "root_id": "bomb",
        "argsrepr": "",
        "kwargsrepr": "",
    }
    with Connection(url) as connection:
        producer = Producer(connection, Exchange("generate", type="direct"), routing_key="generate")
        producer.publish([["inflate", bomb], {}, {}], serializer="pickle", headers=headers)


def test_redis_without_its_password_answers_nobody(running: Running) -> None:
    with running.redis.client(retry=None) as client, pytest.raises(redis.AuthenticationError):
        client.keys("*")


def test_messages_to_workers_carry_names_and_keys_only(running: Running) -> None:
    with running.redis.client(password=PASSWORD) as client:
        messages: list[bytes] = []

        def watch() -> bool:
            for priority in ("", "\x06\x163", "\x06\x166", "\x06\x169"):
                messages.extend(client.lrange(f"generate{priority}", 0, -1))
            messages.extend(client.hvals("unacked"))
            return bool(messages)

        job = running.submit(f"#{int(time.time()) % 0xFFFFFF:06x}")
        wait_until(watch, 10, "a message to be seen on its way")
    raw = json.loads(messages[0])
    message = raw[0] if isinstance(raw, list) else raw
    assert message["content-type"] == "application/json" and message["content-encoding"] == "utf-8"
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert args == [job["generator"], job["key"]] and kwargs == {}
    assert len(messages[0]) < 4096
    running.ended(job["id"])
