"""`orfeas top` and `orfeas webhooks` as operators run them, against the real API."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.serving import make_server

from api.deliveries import Deliverer, Post
from api.outbound import Outbound
from api.signatures import Signer
from cache.archive_listing import Usage
from client import Client
from client.cli.top import look_at, view
from client.errors import Conflict
from jobs.fleet import WorkerInfo
from jobs.webhooks import Outbox
from tests.house import House, picture
from tests.receivers import Receiver, Reply, receiver
from tests.servers import wait_until

ROOT = Path(__file__).parent.parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Orfeas = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(text_redis, redis_url, tmp_path, webhook_secret=(SECRET,), webhook_allow_private=True).open()
    yield house
    house.close()


@pytest.fixture
def url(house: House) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def variables(url: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ORFEAS_URL": url, "NO_COLOR": "1"}


@pytest.fixture
def orfeas(variables: dict[str, str]) -> Orfeas:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client", *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def submit(house: House, **fields: Any) -> str:
    return house.http.post("/api/jobs", data=fields | {"image": (io.BytesIO(picture()), "a.png")}).json["id"]


def test_top_shows_workers_queues_and_tiers(house: House, orfeas: Orfeas) -> None:
    silent = WorkerInfo(id="w2", slot="w2", host="there", pid=1, queue="render")
    house.fleet.register(silent, [])
    house.store.redis.zadd("{orfeas}:workers", {"w2": 1})
    deaf = WorkerInfo(id="w3", slot="w3", host="there", pid=2, queue="render", consuming=False)
    house.fleet.register(deaf, [])
    house.store.note_stall("generate", 3)
    submit(house)
    house.agent.beat()
    house.agent.note_archive_usage(Usage(objects=7_777, size_bytes=3 * 2**20))
    done = orfeas("top")
    assert done.returncode == 0, done.stderr
    assert "generate 1" in done.stdout and "idle" in done.stdout and "silent" in done.stdout
    assert "takes no work" in done.stdout and "3 of them beside an idle worker" in done.stdout
    assert "shared" in done.stdout and re.search(r"^archive .*7 777 +3\.\d+ MB", done.stdout, re.MULTILINE), done.stdout


def test_top_speaks_json(house: House, orfeas: Orfeas) -> None:
    told = json.loads(orfeas("top", "--json").stdout)
    assert told["health"]["workers"][0]["id"] == "w1" and told["cache"]["cache_enabled"] is True


def test_top_does_without_the_cache_where_the_key_may_not_see_it(
    text_redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    house = House(text_redis, redis_url, tmp_path, api_keys=("ada",), admin_keys=("root",)).open()
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with Client(f"http://127.0.0.1:{server.server_port}", "ada") as client:
        look = look_at(client)
    server.shutdown()
    assert look.cache is None and look.health.status == "degraded" and view(look)
    house.close()


def test_top_is_live_at_a_terminal_and_ctrl_c_is_the_way_out(house: House, variables: dict[str, str]) -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "top", "--every", "0.2"],
        env=variables | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        stdin=inside, stdout=inside, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(inside)
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(terminal, 65_536))
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    wait_until(lambda: b"idle" in b"".join(shown), 30, "the first look")
    submit(house)
    wait_until(lambda: b"generate 1" in b"".join(shown), 30, "a look at what has changed")
    process.send_signal(2)
    assert process.wait(20) == 0
    os.close(terminal)


def test_top_says_when_nobody_answers(variables: dict[str, str]) -> None:
    variables["ORFEAS_URL"] = "http://127.0.0.1:9"
    done = subprocess.run([sys.executable, "-m", "client", "top"], env=variables, capture_output=True, timeout=60)
    assert done.returncode == 3 and b"no answer" in done.stderr


def test_webhooks_test_tells_how_it_went_and_ends_with_it(orfeas: Orfeas, hook: Receiver) -> None:
    hook.replies = [Reply(200), Reply(500)]
    good, bad = orfeas("webhooks", "test", hook.url), orfeas("webhooks", "test", hook.url, "--json")
    assert good.returncode == 0 and "delivered: HTTP 200" in good.stderr
    assert bad.returncode == 1 and json.loads(bad.stdout)["status_code"] == 500
    refused = orfeas("webhooks", "test", "ftp://example.com")
    assert refused.returncode == 4 and "scheme" in refused.stderr


def test_webhooks_log_and_resend_show_every_try(house: House, orfeas: Orfeas, hook: Receiver) -> None:
    hook.replies = [Reply(410)]
    job_id = submit(house, webhook_url=hook.url)
    house.work()
    deliverer = Deliverer(house.store, Outbox(house.store), Post(Outbound.of(house.settings), Signer((SECRET,))))
    deliverer.deliver_next()
    log = orfeas("webhooks", "log", job_id)
    assert log.returncode == 0 and "HTTP 410" in log.stdout and "failed" in log.stderr
    assert "pending" in orfeas("webhooks", "resend", job_id).stderr
    deliverer.deliver_next()
    assert json.loads(orfeas("webhooks", "log", job_id, "--json").stdout)["status"] == "delivered"


def test_webhooks_secret_is_what_verifies(orfeas: Orfeas) -> None:
    assert orfeas("webhooks", "secret").stdout.strip() == SECRET


def test_the_client_speaks_of_webhooks(house: House, url: str, hook: Receiver) -> None:
    job_id = submit(house)
    with Client(url) as client:
        assert client.webhook_secrets() == [SECRET]
        assert client.test_webhook(hook.url).delivered
        assert client.webhook_log(job_id).url is None
        with pytest.raises(Conflict):
            client.resend_webhook(job_id)
