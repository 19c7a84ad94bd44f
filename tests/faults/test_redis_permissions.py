"""The whole service with a user of Redis who has exactly the permissions that docs/operate/redis.md lists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.redis_permissions import CACHE, JOBS, WHOLE, Needs, lines
from tests.e2e.fleet import Fleet
from tests.e2e.processes import ROOT
from tests.servers import RedisServer, wait_until

PAGE = (ROOT / "docs/operate/redis.md").read_text()
# Figures for operators, and the name of a library: refused, and done without.
DONE_WITHOUT = {"info", "client|setinfo"}


class RestrictedRedis(RedisServer):
    """Speaks to the service as a user who may do what is listed, to the test as an administrator."""

    def __init__(self) -> None:
        super().__init__(persist=True)
        self.url = f"redis://orfeas:pw@127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        super().start()
        with self.client() as admin:
            admin.execute_command("ACL", "SETUSER", "orfeas", "on", ">pw", *WHOLE.rules())
        return self

    def denied(self) -> set[str]:
        with self.client(decode_responses=True) as admin:
            return {str(entry["object"]) for entry in admin.acl_log()}


@pytest.mark.parametrize(("needs", "folder"), [(JOBS, "jobs/lua"), (CACHE, "cache/scripts")])
def test_every_command_of_the_scripts_is_listed(needs: Needs, folder: str) -> None:
    scripts = "\n".join(path.read_text() for path in (ROOT / folder).glob("*.lua"))
    called = {name.lower() for name in re.findall(r"redis\.p?call\('(\w+)'", scripts)}
    assert called - {name.partition("|")[0] for name in needs.commands} == set()


def test_the_page_lists_what_is_needed() -> None:
    assert all(line in PAGE for line in lines()), "paste `python -m deploy.redis_permissions`"
    assert set(JOBS.rules()) | set(CACHE.rules()) == set(WHOLE.rules())


def test_exactly_the_listed_permissions_suffice(tmp_path: Path) -> None:
    keys = {"api_keys": ("k",), "admin_keys": ("a",), "host": "127.0.0.1"}
    with Fleet(tmp_path, RestrictedRedis(), generate_workers=1, render_workers=1, **keys) as fleet:
        fleet.http.headers["Authorization"] = "Bearer a"
        fleet.start("api", "generate1", "render")
        fleet.launch("flower")
        job = fleet.submit("first", headers={"Idempotency-Key": "one"}, target_faces="100")
        fleet.succeeded(job)
        large = fleet.submit("large", subdivisions=6)  # several windows in the shared tier
        fleet.succeeded(large)
        canceled = fleet.submit("canceled", seconds=20)
        fleet.wait_until_begun("canceled")
        assert fleet.http.delete(f"/api/jobs/{canceled}").status_code == 200
        paths = ("preview.png", "model.stl")
        assert [fleet.http.get(f"/api/jobs/{job}/{path}").status_code for path in paths] == [200, 200]
        assert fleet.http.post("/api/cache/clear", json={}).status_code == 200
        stats = fleet.http.get("/api/cache/stats").json()
        assert stats["shared"]["available"] and not stats["shared"]["faults"]
        assert "INFO" in " ".join(stats["shared"]["advice"])
        metrics = fleet.http.get("/metrics").text
        assert "orfeas_redis_up 1.0" in metrics and "orfeas_cache_shared_up 1.0" in metrics
        assert "orfeas_redis_memory_bytes" not in metrics, "what is not known is not told"
        flower = f"http://127.0.0.1:{fleet.settings.flower_port}"
        wait_until(lambda: "generate1@" in httpx.get(flower, trust_env=False).text, 30, "Flower to see the workers")
        assert httpx.get(f"{flower}/broker", trust_env=False).status_code == 200
        ping = [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", "ping"]
        told = subprocess.run(ping, cwd=ROOT, env=fleet._environment, capture_output=True, text=True, timeout=60)
        assert told.stdout.count("pong") == 2, told
        assert fleet.post("first", target_faces="100").status_code == 200
        assert fleet.redis.denied() <= DONE_WITHOUT
