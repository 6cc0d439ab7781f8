import socket
import threading
from contextlib import ExitStack

import pytest

from bench.idle import idle
from bench.load import LoadFailedError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("bench.idle.FIRST", 3)
    monkeypatch.setattr("bench.idle.SETTLED", 0)


def measured(answer: bytes = ANSWER, closes: bool = False):
    """What `idle` finds of a server that answers one request on each connection, and may close it then."""
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection = held.enter_context(listening.accept()[0])
                except OSError:
                    return
                if connection.recv(4096):
                    connection.sendall(answer)
                if closes:
                    connection.close()

        serving = threading.Thread(target=serve)
        serving.start()
        memory = iter([1000, 6000])
        try:
            return idle(listening.getsockname()[1], "/", 5, lambda: next(memory))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            serving.join()


@pytest.mark.usefixtures("few")
def test_memory_of_each_is_what_came_with_those_after_the_first():
    found = measured()

    assert found.memory_each == 1000
    assert found.load.requests == 5


@pytest.mark.usefixtures("few")
def test_connections_that_are_closed_are_not_idle():
    with pytest.raises(LoadFailedError, match="8 of 8 idle connections were closed"):
        measured(closes=True)


@pytest.mark.usefixtures("few")
def test_answer_that_says_an_error_is_an_error():
    with pytest.raises(LoadFailedError, match=r"was answered b'HTTP/1\.1 503"):
        measured(ANSWER.replace(b"200 OK", b"503 Full"))


@pytest.mark.usefixtures("few")
def test_nobody_there_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(LoadFailedError, match="connection 1 was not served"):
        idle(port, "/", 5, lambda: 0)


def test_more_connections_than_files_is_said():
    with pytest.raises(LoadFailedError, match="raise `ulimit -n`"):
        idle(1, "/", 10_000_000, lambda: 0)
