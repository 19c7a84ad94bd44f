"""Requests that no program would send by mistake: refused with words, never a crash, never a hang, nothing echoed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.house import picture
from tests.security.live import Live, live_api, status_of
from tests.security.served import ADMIN_KEY, USER_KEY

ID = "f" * 32
CLOSE = b"Host: x\r\nConnection: close\r\n"
HEAD = CLOSE + b"Authorization: Bearer " + ADMIN_KEY.encode() + b"\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_api(tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture(autouse=True)
def _unharmed(live: Live) -> Iterator[None]:
    yield
    assert live.alive() and live.process.alive


def post(body: bytes, *headers: bytes, path: bytes = b"/api/jobs") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    length = b"" if b"ength" in lines or b"chunked" in lines else b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HEAD + lines + length + b"\r\n" + body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HEAD + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def part(name: bytes, body: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + body + b"\r\n"


IMAGE = part(b"image", picture(), b'; filename="a.png"')
END = b"--b--\r\n"
RAW: dict[str, bytes] = {
    "form without a boundary": post(b"x", b"Content-Type: multipart/form-data"),
    "form with an endless boundary": post(b"x", b"Content-Type: multipart/form-data; boundary=" + b"b" * 5000),
    "form that never ends": post(IMAGE, FORM),
    "form cut off in a header": post(b'--b\r\nContent-Disposition: form-data; na', FORM),
    "part with a header of 200 kB": post(part(b"image", b"", b'; filename="' + b"a" * 200_000 + b'"') + END, FORM),
    "ten thousand fields": post(b"".join(part(b"f%d" % one, b"1") for one in range(10_000)) + END, FORM),
    "one field of 1 MB": post(IMAGE + part(b"label", b"a" * 1_000_000) + END, FORM),
    "form within a form": post(
        part(b"image", b"--c\r\n\r\n\r\n--c--", b"\r\nContent-Type: multipart/mixed; boundary=c") + END, FORM
    ),
    "two pictures of one name": post(IMAGE + IMAGE + END, FORM),
    "field of bytes that are no text": post(IMAGE + part(b"label", b"\xff\xfe\x00\xc0") + END, FORM),
    "field named by bytes that are no text": post(IMAGE + part(b"\xff\xc0", b"1") + END, FORM),
    "parameter of a hundred thousand brackets": post(IMAGE + part(b"depth", b"[" * 100_000) + END, FORM),
    "parameter of a hundred thousand digits": post(IMAGE + part(b"depth", b"9" * 100_000) + END, FORM),
    "seed of a hundred thousand digits": post(IMAGE + part(b"seed", b"9" * 100_000) + END, FORM),
    "length that is longer than the body": post(IMAGE, FORM, b"Content-Length: 900000"),
    "length that is negative": post(IMAGE, FORM, b"Content-Length: -1"),
    "length that is no number": post(IMAGE, FORM, b"Content-Length: 1e3"),
    "two lengths": post(IMAGE, FORM, b"Content-Length: 10", b"Content-Length: 20"),
    "length and chunks": post(b"0\r\n\r\n", FORM, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunk of a size that is none": post(b"zz\r\nx\r\n0\r\n\r\n", FORM, b"Transfer-Encoding: chunked"),
    "chunk of a size beyond all": post(b"ffffffffffffffffff\r\nx", FORM, b"Transfer-Encoding: chunked"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "no version": b"GET /api/jobs\r\n\r\n",
    "version 9": b"GET /api/jobs HTTP/9.9\r\n" + HEAD + b"\r\n",
    "unknown method": b"BREW /api/jobs HTTP/1.1\r\n" + HEAD + b"\r\n",
    "TRACE": b"TRACE /api/jobs HTTP/1.1\r\n" + HEAD + b"\r\n",
    "CONNECT": b"CONNECT db:6379 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a whole URL as path": get(b"http://169.254.169.254/latest/meta-data"),
    "URL of 100 kB": get(b"/api/jobs?label=" + b"a" * 100_000),
    "header of 100 kB": get(b"/api/jobs", b"X-Long: " + b"a" * 100_000),
    "five hundred headers": get(b"/api/jobs", *(b"X-%d: 1" % one for one in range(500))),
    "header with a null byte": get(b"/api/jobs", b"X-Null: a\0b"),
    "header that is folded": get(b"/api/jobs", b"X-Request-ID: a\r\n X-Evil: 1"),
    "path that is no UTF-8": get(b"/api/jobs/%ff%fe%c0%af"),
    "path with a null byte": get(b"/api/jobs/%00"),
    "query that is no UTF-8": get(b"/api/jobs?label=%ff%fe&generator=%c0%80"),
    "key that is no text": b"GET /api/jobs HTTP/1.1\r\n" + CLOSE + b"Authorization: Bearer \xff\xfe\r\n\r\n",
    "key without a scheme": b"GET /api/jobs HTTP/1.1\r\n" + CLOSE + b"Authorization: :::\r\n\r\n",
    "Basic that is no base64": b"GET /api/jobs HTTP/1.1\r\n" + CLOSE + b"Authorization: Basic %%%\r\n\r\n",
    "ten thousand ranges": get(f"/api/jobs/{ID}/model.glb".encode(), b"Range: bytes=" + b",".join([b"0-0"] * 1500)),
    "wait of not a number": get(f"/api/jobs/{ID}?wait=nan".encode()),
    "wait of infinity": get(f"/api/jobs/{ID}?wait=inf".encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_odd_bytes_are_refused_and_nothing_hangs(live: Live, name: str) -> None:
    answer = live.say(RAW[name])
    assert status_of(answer) < 500, answer[:2000]
    assert b"Traceback" not in answer and b"site-packages" not in answer
    assert b"\r\nX-Evil" not in answer


DEEP = 100_000
GOOD = base64.b64encode(picture()).decode()


def order(**fields: Any) -> bytes:
    return json.dumps({"image": GOOD} | fields).encode()


DOCUMENTS: dict[str, bytes] = {
    "deep lists": b'{"image": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep, and yet read": b'{"image": "%s", "depth": ' % GOOD.encode() + b"[" * 900 + b"]" * 900 + b"}",
    "deep, and yet read, as text": order(depth="[" * 900 + "]" * 900),
    "open for ever": b"[" * DEEP,
    "a number of 1 MB": b'{"image": "", "seed": ' + b"9" * 1_000_000 + b"}",
    "a number beyond all": b'{"image": "", "size_mm": 1e999999}',
    "not a number": b'{"image": "", "size_mm": NaN}',
    "half a surrogate": b'{"image": "\\ud800", "label": "\\udfff"}',
    "half a surrogate as label": order(label="\ud800"),
    "a null byte as label": order(label="\0"),
    "half a surrogate as generator": b'{"image": "", "generator": "\\ud800"}',
    "half a surrogate as parameter": order(**{"\ud800": "\udfff"}),
    "another encoding": '{"image": ""}'.encode("utf-16"),
    "two of one name": b'{"image": "a", "image": "b"}',
    "a prototype": b'{"image": "", "__proto__": {"x": 1}, "constructor": 1}',
}  # fmt: skip


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch", "/api/cache/config", "/api/webhooks/test"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_odd_json_is_refused(live: Live, name: str, path: str) -> None:
    answer = live.http.post(path, content=DOCUMENTS[name], headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500 or (answer.status_code in (200, 202) and "label" in name), answer.text
    assert answer.headers["Content-Type"].startswith(("application/problem+json", "application/json"))


BASE64: dict[str, str] = {
    "with a line break": GOOD[:20] + "\n" + GOOD[20:],
    "without its end": GOOD[: len(GOOD) // 2],
    "for URLs": "-_" + GOOD,
    "of nothing": "",
    "of nothing, as data URI": "data:image/png;base64,",
    "not base64 in a data URI": "data:image/png,%89PNG",
    "parameters without end": "data:image/png" + ";a=b" * 50_000 + ";base64," + GOOD,
    "data in data": "data:image/png;base64,data:image/png;base64," + GOOD,
    "a file": "file:///etc/passwd",
    "a URL": "http://169.254.169.254/",
    "letters of other scripts": "ΑΒΓ" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", BASE64)
def test_odd_base64_is_a_bad_field_or_a_bad_picture(live: Live, name: str) -> None:
    answer = live.http.post("/api/jobs", json={"image": BASE64[name]})
    taken = name in ("with a line break", "parameters without end")
    assert answer.status_code in ((200, 202) if taken else (400, 422)), answer.text


INJECTED = "a\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK"


def test_nothing_that_is_said_becomes_a_header(live: Live) -> None:
    image = {"image": (f"{INJECTED}.png", io.BytesIO(picture()))}
    answer = live.http.post("/api/jobs", files=image, data={"label": INJECTED})
    assert answer.status_code in (200, 202), answer.text
    assert answer.json()["label"] == INJECTED, "kept as it is, inside JSON"
    others = [
        live.http.get("/api/jobs", params={"label": INJECTED, "generator": INJECTED[:60]}),
        live.http.get(f"/api/jobs/{httpx.QueryParams({'x': INJECTED})}"),
        live.http.post("/api/jobs", json={"image": GOOD, "generator": INJECTED[:60]}),
        live.http.post("/api/jobs", json={"image": GOOD, INJECTED: 1}),
        live.http.get("/api/jobs", headers={"X-Request-ID": "a b; c=<script>"}),
    ]
    for one in (answer, *others):
        assert "X-Evil" not in one.headers
        assert "script" not in one.headers["X-Request-ID"]


def test_nothing_that_is_said_becomes_a_line_of_the_log(live: Live) -> None:
    live.http.get("/api/jobs/%0a2026-01-01T00:00:00Z%20[info]%20forged%20line")
    live.http.get("/nowhere%0d%0aforged%20too%1b[31m")
    live.http.post("/api/jobs", files={"image": ("a.png", b"\x89PNG\nforged")}, data={"generator": "\nforged"})
    lines = live.process.log.read_text().splitlines()
    assert any("/nowhere" in line for line in lines)
    assert [line for line in lines if line.startswith(("forged", "2026-01-01T00:00:00Z"))] == []
    assert "\x1b" not in live.process.log.read_text()


PATHS = (
    "/static/../../settings.py", "/static/..%2f..%2fsettings.py", "/static/%2e%2e/%2e%2e/settings.py", "//etc/passwd",
    "/static//etc/passwd", "/static/....//settings.py", "/static/..%5c..%5csettings.py", "/static/%00", "/static/js",
    "/api/jobs/..%2f..%2fcache/model.glb", f"/api/jobs/{ID}/model...%2f..%2fetc%2fpasswd", "/api/jobs/..;/..;/etc",
    f"/api/jobs/{ID}/model.glb%00.png", f"/api/cache/entries/..%2f{'a' * 61}", f"/api/cache/entries/{'A' * 64}",
    f"/api/cache/entries/{'a' * 64}%0a", "/docs/../../settings.py", "/docs/..%2f..%2fsettings.py",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(live: Live, path: str) -> None:
    answer = live.say(get(path.encode(), b"Accept: */*"))
    assert status_of(answer) in (301, 302, 308, 400, 404, 422), answer[:300]
    assert b"root:" not in answer and b"BaseSettings" not in answer


def test_every_route_answers_head_and_options_and_methods_it_does_not_have(live: Live) -> None:
    streams = ("/events",)
    for rule in live.house.app.url_map.iter_rules():
        path = rule.rule.replace("<job_id>", ID).replace("<format>", "glb").replace("<key>", "a" * 64)
        path = path.replace("<path:name>", "icon.svg").replace("<path:filename>", "x")
        for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "TRACE"):
            if method == "HEAD" and path.endswith(streams):
                continue
            answer = live.http.request(method, path)
            assert answer.status_code < 500, (method, path, answer.text)
            if method in ("PUT", "PATCH"):
                assert answer.status_code in (405, 401) and answer.headers.get("Allow"), (method, path)
        if "GET" in rule.methods and not path.endswith(streams):
            head, whole = live.http.head(path), live.http.get(path)
            assert head.status_code == whole.status_code and head.content == b"", path


def test_head_of_a_stream_does_not_hold_a_thread(live: Live) -> None:
    for _ in range(2 * live.settings.api_processes * live.settings.api_threads):
        assert live.http.head("/api/events", timeout=5).status_code in (200, 405, 503)
    assert live.http.get("/api/jobs").status_code == 200


def test_other_keys_than_the_right_one_are_refused(live: Live) -> None:
    tried: list[dict[str, Any]] = [
        {"Authorization": f"Bearer {one}"}
        for one in ("x", USER_KEY[:-1], USER_KEY + "x", USER_KEY.upper(), "x" * 5000, "sha256:" + "0" * 64)
    ]
    tried += [
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {USER_KEY}"},
        {"X-Api-Key": USER_KEY},
        {"Cookie": f"key={USER_KEY}"},
    ]
    for headers in tried:
        answer = httpx.get(f"{live.http.base_url}/api/jobs", headers=headers, trust_env=False)
        assert answer.status_code == 401, headers
    for spelled in ("bearer", "BEARER"):
        answer = httpx.get(
            f"{live.http.base_url}/api/jobs", headers={"Authorization": f"{spelled} {ADMIN_KEY}"}, trust_env=False
        )
        assert answer.status_code == 200
