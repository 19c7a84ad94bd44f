"""Where webhooks may go, and that nothing a caller or a name server says leads anywhere else."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from api.outbound import NoAnswer, Outbound
from api.targets import checked_url, is_public
from jobs.errors import BadParameters
from tests.receivers import Receiver, Reply, receiver

INSIDE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "0.0.0.0", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1",
    "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "100::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "203.0.114.1", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]  # fmt: skip


class Names:
    """A name server that answers what it is told, one answer after the other, and counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@pytest.fixture
def inside() -> Iterator[Receiver]:
    """A server on loopback: what must never be reached."""
    with receiver() as one:
        yield one


def post(outbound: Outbound, url: str) -> int:
    return outbound.post(url, b"{}", {"Webhook-Id": "msg_1"})[0]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
        "http://①②⑦.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data",
        "http://localhost:6379/", "http://LOCALHOST./", "http://a.localhost/", "ftp://example.com/", "file:///etc/passwd",
        "gopher://example.com/", "//example.com/", "http://", "not a URL", "https://user:word@example.com/", "http://@/",
        "http://example.com:99999/", "https://example.com/" + "a" * 2083,
    ],
)  # fmt: skip
def test_a_url_that_is_none_or_leads_inside_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadParameters, match="webhook_url"):
        checked_url(url, allow_private=False)


def test_a_good_url_is_kept_in_its_normal_form() -> None:
    assert checked_url("https://Exämple.com/a?b=1", allow_private=False) == "https://xn--exmple-cua.com/a?b=1"
    assert checked_url("http://127.1:8080/hook", allow_private=True) == "http://127.0.0.1:8080/hook"


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1"])
def test_a_name_that_leads_inside_is_refused_without_a_connection(inside: Receiver, address: str) -> None:
    with pytest.raises(NoAnswer, match="not a public address") as refused:
        post(Outbound(timeout_s=2, resolve=Names([address])), f"http://hooks.test:{inside.port}/")
    assert refused.value.final and inside.got == []


def test_one_private_address_among_public_ones_refuses_the_whole_name(inside: Receiver) -> None:
    names = Names(["8.8.8.8", "127.0.0.1"])
    with pytest.raises(NoAnswer, match=r"127\.0\.0\.1, which is not a public address"):
        post(Outbound(timeout_s=2, resolve=names), f"http://hooks.test:{inside.port}/")
    assert inside.got == []


def test_a_name_is_asked_for_once_so_a_changed_answer_changes_nothing(inside: Receiver) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    outbound = Outbound(timeout_s=5, allow_private=True, resolve=names)
    # No other resolver knows this name: whoever asked again would fail.
    assert post(outbound, f"http://hooks.test:{inside.port}/") == 204
    assert names.asked == ["hooks.test"] and inside.got[0][1]["Host"] == f"hooks.test:{inside.port}"


def test_an_answer_that_turns_private_is_refused_at_the_next_try(inside: Receiver) -> None:
    names = Names(["192.0.2.7"], ["127.0.0.1"])  # the first is nowhere, so refused as well
    outbound = Outbound(timeout_s=1, resolve=names)
    for _ in range(2):
        with pytest.raises(NoAnswer, match="not a public address"):
            post(outbound, f"http://hooks.test:{inside.port}/")
    assert names.asked == ["hooks.test"] * 2 and inside.got == []


def test_a_redirect_is_an_answer_and_is_not_followed(inside: Receiver) -> None:
    with receiver() as outside:
        outside.replies = [Reply(302, {"Location": inside.url}), Reply(307, {"Location": inside.url})]
        outbound = Outbound(timeout_s=5, allow_private=True)
        assert [post(outbound, outside.url), post(outbound, outside.url)] == [302, 307]
    assert inside.got == []


def test_a_proxy_of_the_environment_is_not_used(inside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{inside.port}")
    with receiver() as outside:
        assert post(Outbound(timeout_s=5, allow_private=True), outside.url) == 204
        assert len(outside.got) == 1
    assert inside.got == []


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def served_as(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_is_verified_against_the_name_though_the_connection_goes_to_an_address(authority: trustme.CA) -> None:
    outbound = Outbound(timeout_s=5, allow_private=True, resolve=Names(["127.0.0.1"]), tls=trusting(authority))
    with receiver(served_as(authority, "hooks.test")) as one:
        assert post(outbound, f"https://hooks.test:{one.port}/") == 204
        with pytest.raises(NoAnswer, match=r"(?i)hostname mismatch|not valid for"):
            post(outbound, f"https://other.test:{one.port}/")
        assert len(one.got) == 1


def test_a_certificate_of_nobody_we_trust_is_refused(authority: trustme.CA) -> None:
    outbound = Outbound(timeout_s=5, allow_private=True, resolve=Names(["127.0.0.1"]))
    with receiver(served_as(authority, "hooks.test")) as one:
        with pytest.raises(NoAnswer, match=r"(?i)certificate"):
            post(outbound, f"https://hooks.test:{one.port}/")
        assert one.got == []


def test_a_receiver_that_drips_its_answer_is_cut_off_in_time(inside: Receiver) -> None:
    inside.replies = [Reply(drips=True)]
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="in time"):
        post(Outbound(timeout_s=0.4, allow_private=True), inside.url)
    assert time.monotonic() - began < 3


class Silent:
    """Takes a connection, says so much and no more, and never hangs up."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, contextlib.suppress(OSError):
            self._connection, _ = self._listener.accept()
            self._connection.sendall(self._says)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"


@pytest.mark.parametrize(
    ("scheme", "says", "status"),
    [
        ("http", b"", None),
        ("http", b"HTTP/1.1 2", None),
        ("http", _HEAD, None),
        ("http", b"HTTP/1.1 100 Continue\r\n\r\n", None),
        ("http", _HEAD + b"\r\n12345", 200),
        ("https", b"", None),
    ],
)
def test_a_receiver_that_falls_silent_is_left_in_time(scheme: str, says: bytes, status: int | None) -> None:
    """In a thread, so that a missing limit is a red test and not a run that never ends."""
    silent = Silent(says)
    url = f"{scheme}://127.0.0.1:{silent.port}/"
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(post(Outbound(timeout_s=0.3, allow_private=True), url))
        except NoAnswer as none:
            ended.append(str(none))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=5)
    assert len(ended) == 1, "it still waits"
    assert ended[0] == status or (status is None and "in time" in str(ended[0])), ended


def test_an_endless_answer_is_read_only_so_far(inside: Receiver) -> None:
    inside.replies = [Reply(200, endless=True)]
    began = time.monotonic()
    assert post(Outbound(timeout_s=10, allow_private=True), inside.url) == 200
    assert time.monotonic() - began < 5


def test_a_name_that_does_not_resolve_and_a_closed_port_are_no_answer() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(NoAnswer, match="not known") as missing:
        post(Outbound(timeout_s=1, resolve=unknown), "http://hooks.test/")
    assert not missing.value.final, "it may be there tomorrow"
    with pytest.raises(NoAnswer, match="no connection"):
        post(Outbound(timeout_s=1, allow_private=True), "http://127.0.0.1:9/")
