"""Unfinished requests have places per address; whoever finds none waits for one in order and is not cut off."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from patience import PatientSocket, Places

HEAD = b"POST /api/jobs HTTP/1.1\r\nHost: x\r\n"


def test_a_place_that_is_given_back_goes_to_who_has_waited_longest() -> None:
    places, called = Places(1), []
    assert places.take("a")
    assert not places.take("a", lambda: called.append(1))
    assert not places.take("a", lambda: called.append(2))
    assert places.take("b"), "another address has places of its own"
    places.give_back("a")
    assert called == [1]
    assert not places.take("a"), "the place went to the first who waited"
    places.give_back("a")
    places.give_back("a")
    assert called == [1, 2] and places.take("a")


def test_the_proxy_at_a_unix_socket_has_as_many_places_as_it_needs() -> None:
    places = Places(1)
    assert all(places.take("") for _ in range(100))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


@pytest.mark.parametrize(
    ("request_bytes", "goes_on"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (HEAD + b"Content-Length: 3\r\n\r\nabc", True),
        (HEAD + b"content-length:3\r\nX: y\r\n\r\nab", False),
        (HEAD + b"Content-Length: 100000\r\n\r\na", True),  # a thread reads what is large
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", True),
        (HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", True),  # its client waits for an answer first
        (HEAD + b"Content-Length: 0\r\n\r\n", True),
        (HEAD + b"Content-Length: nine\r\n\r\n", True),  # gunicorn's to refuse
    ],
)
def test_a_thread_is_taken_when_there_is_something_to_do(
    pair: tuple[socket.socket, socket.socket], request_bytes: bytes, goes_on: bool
) -> None:
    client, server = pair
    client.sendall(request_bytes)
    assert PatientSocket(server, "a", Places(9), Places(9)).gather() is goes_on


def test_large_bodies_of_one_address_wait_for_each_other(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    bodies, called = Places(1), []
    assert bodies.take("a")  # another of this address
    client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
    waiting = PatientSocket(server, "a", Places(9), bodies)
    assert waiting.gather()
    assert not waiting.begin(lambda: called.append("resumed"))
    bodies.give_back("a")
    assert called == ["resumed"] and not waiting.cut
    assert waiting.begin(lambda: called.append("again")) and called == ["resumed"]
    client.sendall(b"x" * 50_000)
    got = 0
    while got < len(HEAD) + len(b"Content-Length: 100000\r\n\r\n") + 100_000:
        got += len(waiting.recv(65_536))
    assert bodies.take("a"), "a body that is whole needs its place no longer"
