import socket
import threading
from contextlib import contextmanager

import pytest

from bench.control.wire import Answer, Wire, WireError, request


@contextmanager
def served(*connections):
    """A server that sends what it is given, piece by piece, after each request, a list for each connection."""
    asked: list[bytes] = []

    def serve(listener):
        for answers in connections:
            near, _ = listener.accept()
            with near:
                for pieces in answers:
                    asked.append(near.recv(65536))
                    for piece in pieces:
                        near.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Wire(listener.getsockname()[1]) as wire:
            yield wire, asked
        thread.join(10)
        assert not thread.is_alive()


def test_questions_follow_each_other_on_one_connection():
    answer = [b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 3\r\n\r", b"\nab", b"c"]
    with served([answer, [b"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n"]]) as (wire, asked):
        assert wire.ask(request("/x", host="web")) == Answer(200, b"abc")
        assert wire.ask(request("/y", method="PUT"), b"{}") == Answer(404, b"")
    assert asked == [
        b"GET /x HTTP/1.1\r\nHost: web\r\n\r\n",
        b"PUT /y HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}",
    ]


def test_a_connection_that_was_closed_is_made_anew():
    closing = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with served([[closing]], [[b"HTTP/1.1 200 OK\r\n"]], [[fine]]) as (wire, _):
        assert wire.ask(request("/")).status == 503
        with pytest.raises(WireError, match="closed before the answer was whole"):
            wire.ask(request("/"))
        assert wire.ask(request("/")).status == 200


def test_an_answer_without_a_length_is_refused():
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with served([[answer]]) as (wire, _), pytest.raises(WireError, match="without a Content-Length"):
        wire.ask(request("/"))
