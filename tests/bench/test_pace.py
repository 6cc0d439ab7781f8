import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest

from bench.load import LoadFailedError
from bench.pace import CompilerFailedError, compiled, pace, parse

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def answering(answer: bytes):
    """A server that answers each read with the same bytes; b"" closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(connection: socket.socket) -> None:
            with connection:
                while connection.recv(4096) and answer:
                    connection.sendall(answer)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()


def test_requests_go_out_at_the_rate_asked_for(pace_program):
    with answering(ANSWER) as port:
        load = pace(pace_program, port, "/", 200, 1, 4, 0)

    assert load.requests == 230  # the random moments are the same each time
    assert (load.socket_errors, load.status_errors) == (0, 0)
    assert 0 < load.p50 <= load.p99 <= load.p999


def test_answer_of_an_error_is_counted(pace_program):
    with answering(ANSWER.replace(b"200 OK", b"503 Busy")) as port:
        load = pace(pace_program, port, "/", 100, 0.5, 2, 0)

    assert load.status_errors == load.requests > 0


def test_nothing_answered_is_an_error(pace_program):
    with answering(b"") as port, pytest.raises(LoadFailedError, match=r"not one of \d+ requests was answered"):
        pace(pace_program, port, "/", 50, 0.5, 2, 0)


def test_nobody_there_is_an_error(pace_program):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(LoadFailedError, match="connect: Connection refused"):
        pace(pace_program, port, "/", 50, 0.5, 2, 0)


def test_latency_counts_from_when_a_request_was_due(pace_program):
    # One connection whose answers take 50 ms, and 100 requests a second: nearly all wait for those before them.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while connection.recv(4096):
                    threading.Event().wait(0.05)
                    connection.sendall(ANSWER)

        serving = threading.Thread(target=serve)
        serving.start()
        load = pace(pace_program, port, "/", 100, 0.5, 1, 0)
        serving.join()

    assert load.p99 > 0.5


@pytest.mark.parametrize(
    "arguments", [[], ["http", "80", "/", "0", "1", "1"], ["http", "80", "/", "1", "1", "0"], ["websocket", "80"]]
)
def test_wrong_usage_is_status_2(pace_program, arguments):
    assert subprocess.run([pace_program, *arguments], capture_output=True, check=False).returncode == 2


def test_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho no math today >&2\nexit 1\n")
    compiler.chmod(0o755)
    with pytest.raises(CompilerFailedError, match="no math today"):
        compiled(str(compiler))


def test_output_without_figures_is_an_error():
    with pytest.raises(LoadFailedError, match="printed no figures"):
        parse("{}")
