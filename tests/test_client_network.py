"""What stands between a client and its service: proxies, certificates and redirects, for both clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response, request

from client import Client, RetryPolicy
from client.errors import BadSetting, NotReachable, OrfeasError, Redirected
from client.network import is_loopback, route
from client.redirects import followed
from client.wire import Answer, Request
from tests.client_service import MESH, Service, serving
from tests.test_client import Blocking

KINDS = (Client, Blocking)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile")
REMOTE = "http://orfeas.example:5000"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


def once(kind: Callable[..., Any], url: str) -> Any:
    return kind(url, retries=RetryPolicy(attempts=1))


LOOPBACK = (
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1",
    "0.0.0.0", "::", "::ffff:127.0.0.1", "127.1", "2130706433", "0x7f000001",
)  # fmt: skip
ELSEWHERE = (
    "orfeas.example",
    "localhost.example",
    "notlocalhost",
    "10.0.0.1",
    "128.0.0.1",
    "fe80::1",
    "2001:db8::1",
    "",
)


def test_this_machine_is_known_by_each_of_its_names() -> None:
    assert [host for host in LOOPBACK if not is_loopback(host)] == []
    assert [host for host in ELSEWHERE if is_loopback(host)] == []


BAD = {
    "NO_PROXY": ["localhost,fd07:b51a:cc66:f0::/64", "localhost,[::1]", "[", ",,", "*.local, 10.0.0.0/8", "é"],
    "HTTP_PROXY": ["http://127.0.0.1:9", "127.0.0.1:9", "http://user:pass@[::1", "://", "http://", "proxy:port"],
    "http_proxy": ["socks5h://127.0.0.1:1080"],
    "ALL_PROXY": ["socks5://127.0.0.1:1080", "socks4://127.0.0.1:1080", "ftp://127.0.0.1"],
    "all_proxy": ["socks://127.0.0.1:1080", "nonsense"],
    "HTTPS_PROXY": ["http://127.0.0.1:9"],
    "SSL_CERT_FILE": ["/nonexistent.pem", "/", "/etc/hostname"],
    "SSL_CERT_DIR": ["/nonexistent"],
    "SSLKEYLOGFILE": ["/nonexistent/keys"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_on_this_machine_is_reached_whatever_the_environment_says(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any]
) -> None:
    for name, values in BAD.items():
        for value in values:
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                client = once(kind, service.url)
                assert client.job("j1").id == "j1", (name, value)
                client.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("url", "name", "value"),
    [
        (REMOTE, "HTTP_PROXY", "http://"),
        (REMOTE, "http_proxy", "ftp://proxy.example:21"),
        (REMOTE, "ALL_PROXY", "socks5://127.0.0.1:1080"),
        (REMOTE, "all_proxy", "socks://127.0.0.1:1080"),
        (REMOTE, "HTTP_PROXY", "http://user:secret@proxy.example:port"),
        (REMOTE, "HTTP_PROXY", "http://[::1"),
        ("https://orfeas.example", "HTTPS_PROXY", "socks5h://user:secret@127.0.0.1:1080"),
        ("https://orfeas.example", "SSL_CERT_FILE", "/nonexistent.pem"),
        ("https://orfeas.example", "SSL_CERT_FILE", "/etc/hostname"),
        ("https://orfeas.example", "SSL_CERT_DIR", "/nonexistent"),
        ("https://127.0.0.1", "SSL_CERT_FILE", "/nonexistent.pem"),
        ("https://orfeas.example", "SSLKEYLOGFILE", "/nonexistent/keys"),
    ],
)
def test_a_bad_variable_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any], url: str, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as raised:
        once(kind, url)
    text = str(raised.value)
    assert name in text and "\n" not in text and "secret" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any]) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    client = once(kind, REMOTE)
    with pytest.raises(NotReachable, match=r"through the proxy http://127\.0\.0\.1:9 of HTTP_PROXY"):
        client.job("j1")
    client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_elsewhere_is_asked_through_the_proxy(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Any]
) -> None:
    monkeypatch.setenv("http_proxy", service.url)
    client = once(kind, "http://127.0.0.2.nobody.invalid")
    assert client.job("j1").id == "j1"
    client.close()
    assert service.asked[0].host == "127.0.0.2.nobody.invalid"


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("orfeas.example", REMOTE),
        (".example", REMOTE),
        ("*", REMOTE),
        ("x, orfeas.example:5000", REMOTE),
        ("10.0.0.0/8", "http://10.1.2.3:5000"),
        ("10.1.2.3", "http://10.1.2.3"),
        ("[,fd07:b51a:cc66:f0::/64", "http://[fd07:b51a:cc66:f0::5]:5000"),
        ("[2001:db8::1]", "http://[2001:db8::1]"),
    ],
)
def test_no_proxy_is_read_as_others_read_it(monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert route(url).proxy is not None
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert route(url).proxy is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_url_and_no_key_is_said_so(kind: Callable[..., Any]) -> None:
    for url in ("http://[::1", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://caf\udce9/"):
        with pytest.raises(OrfeasError):
            once(kind, url).job("j1")
    for key in ("schlüssel", "a\nb", "caf\udce9"):
        with pytest.raises(BadSetting, match="API key"):
            kind("http://127.0.0.1:9", key)


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_no_text_are_sent_as_text(service: Service, tmp_path: Any, kind: Callable[..., Any]) -> None:
    picture = tmp_path / "caf\udce9.png"
    picture.write_bytes(b"picture")
    client = once(kind, service.url)
    client.submit(picture, label="na\udcefve", params={"caf\udce9": "\ud800"})
    list(client.jobs(label="caf\udce9"))
    asked = service.asked[0]
    assert asked.files["image"].filename == "caf\ufffd.png"
    assert asked.form.to_dict() == {"label": "na\ufffdve", "caf\ufffd": "\ufffd"}
    assert service.asked[1].args["label"] == "caf\ufffd"
    for job_id in ("caf\udce9", "a b", "x?wait=9", "x#y"):
        assert client.job(job_id).id == job_id.replace("\udce9", "\ufffd")
    client.close()


@pytest.fixture
def elsewhere(service: Service) -> Iterator[Service]:
    """Another port of this host, which sends everybody on to the service."""
    with serving() as front:
        front.redirect = lambda status, to: [  # type: ignore[attr-defined]
            lambda: Response(status=status, headers={"Location": to + request.full_path.rstrip("?")})
        ]
        yield front


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_keeps_the_method_and_the_body(
    service: Service, elsewhere: Any, kind: Callable[..., Any], status: int
) -> None:
    client = kind(elsewhere.url, "a-key", retries=RetryPolicy(attempts=1))
    for number, call in enumerate((
        lambda: client.submit(b"picture", label="x"), lambda: client.cancel("j1"), lambda: list(client.jobs(label="y")),
        lambda: client.model("j1"),
    )):  # fmt: skip
        elsewhere.next_answers = elsewhere.redirect(status, service.url) * 9
        service.asked.clear()
        elsewhere.asked.clear()
        answer = call()
        first, again = elsewhere.asked[0], service.asked[0]
        assert (again.method, again.full_path, again.get_data()) == (first.method, first.full_path, first.get_data())
        assert again.headers["Authorization"] == "Bearer a-key"
        assert number != 3 or answer == MESH
    client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_to_another_host_is_not_followed_and_says_which_url_to_use(
    service: Service, elsewhere: Any, kind: Callable[..., Any]
) -> None:
    client = once(kind, elsewhere.url)
    there = service.url.replace("127.0.0.1", "localhost")
    for call in (lambda: client.submit(b"picture"), lambda: client.job("j1"), lambda: client.cancel("j1")):
        elsewhere.next_answers = elsewhere.redirect(301, f"{there}/prefix")
        with pytest.raises(Redirected, match=re.escape(f"{elsewhere.url} redirects to {there}/prefix; use that URL")):
            call()
    elsewhere.next_answers = [lambda: Response(status=302, headers={"Location": "https://sso.example/login?next=x"})]
    with pytest.raises(Redirected, match=re.escape("redirects to https://sso.example/login, which")):
        client.job("j1")
    client.close()
    assert not service.asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_in_a_circle_or_to_nowhere_ends(elsewhere: Any, kind: Callable[..., Any]) -> None:
    client = once(kind, elsewhere.url)
    elsewhere.next_answers = elsewhere.redirect(307, "") * 50
    with pytest.raises(Redirected):
        client.job("j1")
    assert len(elsewhere.asked) < 10
    for location in ({}, {"Location": "mailto:x@example.com"}):
        elsewhere.next_answers = [lambda location=location: Response(status=302, headers=location)]
        with pytest.raises(OrfeasError):
            client.submit(b"x")
    client.close()


@pytest.mark.parametrize(
    ("method", "status", "here", "to", "goes"),
    [
        ("POST", 301, "http://h", "https://h/api/jobs", True),
        ("POST", 301, "http://h:8080", "https://h:8443/api/jobs", True),
        ("POST", 308, "https://h", "http://h/api/jobs", False),
        ("POST", 303, "https://h", "https://h/api/jobs/1", False),
        ("GET", 303, "https://h", "https://h/api/jobs/1", True),
        ("POST", 307, "https://h/p", "/q/api/jobs", True),
        ("POST", 307, "https://h", "//other/api/jobs", False),
        ("POST", 302, "http://h", "http://[::1", False),
        ("DELETE", 302, "http://h", "http://h.evil.example/api/jobs", False),
    ],
)
def test_where_a_redirect_is_followed(method: str, status: int, here: str, to: str, goes: bool) -> None:
    asked = Request(method, "/api/jobs", {"label": "x"}, {"Idempotency-Key": "k"}, b"body")
    try:
        again = followed(asked, Answer(status, {"location": to}), here, 0)
    except Redirected:
        assert not goes
    else:
        assert goes and again.path.endswith(to) and again.query == {}, "the new URL has the query in it"
        assert (again.method, again.headers, again.content) == (method, asked.headers, asked.content)
