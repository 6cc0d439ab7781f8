"""Answers of an authority that are too long, or take too long."""

from __future__ import annotations

import socket
import threading

import pytest
import requests

from proxy.tls.acme import authority

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def asked(*pieces: bytes, again: bytes = b"", pause: float = 0.0) -> requests.Response:
    """Ask a server that sends this, and then the same piece again and again."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.recv(4096)
                try:
                    for piece in pieces:
                        sock.sendall(piece)
                    while again and not ended.wait(pause):
                        sock.sendall(again)
                except OSError:
                    pass  # whoever asked has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with requests.Session() as session:
                session.mount("http://", authority.Bounded())
                return session.get(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5)
        finally:
            ended.set()
            thread.join(10)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]
)
def test_an_ordinary_answer_is_read(framing: bytes) -> None:
    answer = asked(HEAD + framing)
    assert (answer.json(), answer.content) == ({}, b"{}")


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "LARGEST", 64 * 1024)
    with pytest.raises(requests.ConnectionError, match="more than 64 KiB"):
        asked(HEAD + b"\r\n", again=b"x" * 65536)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 100000\r\n"])
def test_one_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch, length: bytes) -> None:
    monkeypatch.setattr(authority, "TIMEOUT", 0.2)
    with pytest.raises(requests.ConnectionError, match="an answer of more than"):
        asked(HEAD + length + b"\r\n", again=b"x", pause=0.01)
