"""The service behind a real nginx with the file that comes with it, under a sub-path: all that a caller does.

Once over TCP, and once over a Unix socket.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from PIL import Image

from client import Client
from tests.e2e.fleet import START_LIMIT_S, Fleet
from tests.e2e.processes import ROOT, Running
from tests.servers import free_port, wait_until
from tests.tools import tool

SHIPPED = ROOT / "deploy" / "nginx" / "orfeas.conf"
AROUND = """
{user}
daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/orfeas.conf;
}}
"""


class Nginx:
    """nginx with the shipped file, of which only the two addresses are changed."""

    def __init__(self, folder: Path, port: int, upstream: str) -> None:
        program = tool("nginx", "/usr/sbin/nginx", how="apt-get install nginx")
        folder.mkdir()
        text = SHIPPED.read_text()
        for old, new in (
            ("server 127.0.0.1:5000 ", f"server {upstream} "),
            ("listen 80;", f"listen 127.0.0.1:{port};"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / "orfeas.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""  # it must get at the socket in a private folder
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
        self.running = Running("nginx", [program, "-c", str(folder / "nginx.conf")], {}, folder / "log")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, str]]:
    """A fleet and its public URL."""
    tool("nginx", "/usr/sbin/nginx", how="apt-get install nginx")
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    public = f"http://127.0.0.1:{port}/orfeas"
    with Fleet(folder, public_url=public, trusted_proxies="127.0.0.1") as fleet:
        fleet.start("api", "generate1", "render")
        nginx = Nginx(folder / "nginx", port, f"127.0.0.1:{fleet.settings.port}")
        fleet.running["nginx"] = nginx.running
        yield fleet, public


@pytest.fixture(scope="module", params=["tcp", "unix"])
def public(request: pytest.FixtureRequest, fleet: tuple[Fleet, str]) -> str:
    started, url = fleet
    if request.param == "unix":
        url = over_a_unix_socket(started)
    wait_until(lambda: answers(f"{url}/ready"), START_LIMIT_S, f"an answer at {url}")
    return url


def over_a_unix_socket(fleet: Fleet) -> str:
    folder, port = fleet.settings.data_dir.parent, free_port()
    url, address = f"http://127.0.0.1:{port}/orfeas", f"unix:{folder}/api.sock"
    command = [sys.executable, "-m", "gunicorn", "--threads", "16", "--bind", address]
    settings = {**fleet.settings.as_environment(), "PUBLIC_URL": url, "TRUSTED_PROXIES": "unix"}
    log = folder / "api-unix.log"
    fleet.running["api-unix"] = Running("api-unix", [*command, "--no-control-socket", "api.wsgi:app"], settings, log)
    fleet.running["nginx-unix"] = Nginx(folder / "nginx-unix", port, address).running
    return url


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def http(public: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=public, timeout=40, trust_env=False) as http:
        yield http


def picture(side: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 60).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def submit(http: httpx.Client, name: str, image: bytes, **fields: object) -> httpx.Response:
    form = {"generator": "lab", "name": name, **{key: str(value) for key, value in fields.items()}}
    return http.post("/api/jobs", data=form, files={"image": ("a.png", image)})


def test_the_page_and_all_its_files_come_under_the_sub_path(http: httpx.Client, public: str) -> None:
    bare = http.get(public)
    assert (bare.status_code, bare.headers["Location"]) == (308, "/orfeas/")
    for page in (f"{public}/", f"{public}/docs"):
        html = http.get(page).text
        links = {urljoin(page, link) for link in re.findall(r'(?:src|href)="([^"#]+)"', html)}
        assert len(links) > 3
        assert {link for link in links if not link.startswith(f"{public}/")} == set()
        assert {link: code for link in links if (code := http.get(link).status_code) != 200} == {}


def test_a_job_is_submitted_polled_and_downloaded_by_the_links_that_come_back(http: httpx.Client, public: str) -> None:
    answer = submit(http, "walk", picture(1200, "BMP"), subdivisions=3)  # 4 MB, where nginx takes 1 by itself
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["Location"] == job["urls"]["self"] == f"{public}/api/jobs/{job['id']}"
    wait_until(lambda: http.get(job["urls"]["self"], params={"wait": 30}).json()["status"] == "succeeded", 60)
    whole = http.get(job["urls"]["model"])
    part = http.get(job["urls"]["model"], headers={"Range": "bytes=100-299", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(whole.content)}"
    assert http.get(job["urls"]["model"], headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert http.get(job["urls"]["model"], headers={"Range": "bytes=99999999-"}).status_code == 416
    assert http.get(job["urls"]["preview"]).headers["Content-Type"] == "image/png"
    view = http.get(job["urls"]["view"])
    links = re.findall('src="([^"]+)"', view.text)
    assert links and all(http.get(urljoin(str(view.url), link)).status_code == 200 for link in links)
    assert http.get("/openapi.json").json()["servers"][0]["url"] == public


def test_events_come_when_they_happen(http: httpx.Client) -> None:
    """With nginx' buffering they would all come at the end."""
    job = submit(http, f"events {os.urandom(4).hex()}", picture(16), seconds=3).json()
    told = []
    with http.stream("GET", job["urls"]["events"]) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: "))["status"])
            if len(told) == 1:
                first = http.get(job["urls"]["self"]).json()["status"]
    assert first in ("queued", "running") and told[-1] == "succeeded" and len(told) > 2


def test_the_client_walks_the_same_way(public: str, tmp_path: Path) -> None:
    with Client(public) as orfeas:
        job = orfeas.wait(orfeas.submit(picture(24), generator="lab", params={"name": f"client {public}"}), 60)
        assert orfeas.download(job, tmp_path / "a.stl", format="stl").stat().st_size > 84
