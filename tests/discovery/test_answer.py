"""The answer to one request of ours, cut where it may be cut."""

from __future__ import annotations

import pytest

from discovery.answer import LONGEST_HEAD, Answer, MalformedError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.mark.parametrize(("message", "status"), [(PLAIN, 200), (CHUNKED, 503)], ids=["length", "chunks"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_wherever_it_is_cut(message: bytes, status: int, step: int) -> None:
    answer = Answer()
    for place in range(0, len(message), step):
        assert not answer.whole
        answer.received(message[place : place + step])
    assert (answer.status, bytes(answer.content), answer.whole) == (status, b"ok", True)


def test_the_end_of_the_connection_is_that_of_a_body_without_another() -> None:
    answer = Answer()
    answer.received(UNFRAMED)
    assert not answer.whole
    assert answer.ended()
    assert bytes(answer.content) == b"ok"


@pytest.mark.parametrize("message", [b"", b"HTTP/1.1 200 OK\r\n", PLAIN[:-1], CHUNKED[:-2]])
def test_what_breaks_off_is_not_whole(message: bytes) -> None:
    answer = Answer()
    answer.received(message)
    assert not answer.ended()


@pytest.mark.parametrize("rest", [b"", b"HTTP/1.1 500 Oh\r\n\r\n", b"\x00rubbish"], ids=["nothing", "more", "rubbish"])
def test_what_comes_after_it_is_nobodys_concern(rest: bytes) -> None:
    answer = Answer()
    answer.received(PLAIN + rest)
    assert (bytes(answer.content), answer.whole) == (b"ok", True)


def test_interim_answers_are_none() -> None:
    answer = Answer()
    answer.received(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert (answer.status, answer.whole, answer.ended()) == (0, False, False)
    answer.received(PLAIN)
    assert (answer.status, answer.whole) == (200, True)


def test_another_protocol_is_an_answer() -> None:
    answer = Answer()
    answer.received(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00\x01")
    assert (answer.status, answer.whole) == (101, True)


def test_to_head_there_is_no_body() -> None:
    answer = Answer(bodiless=True)
    answer.received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    assert (answer.status, answer.whole) == (200, True)


@pytest.mark.parametrize("message", [b"\x00\xff nonsense\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 20 OK\r\n\r\n"])
def test_rubbish(message: bytes) -> None:
    with pytest.raises(MalformedError):
        Answer().received(message)


def test_a_head_without_an_end() -> None:
    answer = Answer()
    with pytest.raises(MalformedError, match="its head is longer than 64 KiB"):
        answer.received(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (LONGEST_HEAD // 6))
