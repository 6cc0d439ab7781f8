"""Bodies: the same content, trailers and rest however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.bodies import BodyReader, ChunkedBody, CloseBody, LengthBody, chunk, last_chunk
from proxy.http.fields import BadMessageError
from tests.hostile.chunks import BAD_CHUNKS


def feed(body: BodyReader, data: bytes, cuts: list[int]) -> tuple[bytes, bytes, bytes]:
    """Feed in pieces; return the content, the trailers, and what lies behind the body."""
    content, behind = b"", b""
    marks = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    for start, end in pairwise(marks):
        if body.whole:
            behind += data[start:end]
        elif start < end:
            content += body.feed(data[start:end])
            behind = body.rest
    return content, body.trailers, behind


contents = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
extensions = st.sampled_from([b"", b";a", b" ; a=b", b';a="b c"', b";a;b=c"])
everywhere = st.lists(st.integers(0, 400), max_size=30)


@given(contents, extensions, st.booleans(), st.binary(max_size=20), everywhere)
def test_chunks_are_read_alike_however_they_are_cut(
    pieces: list[bytes], extension: bytes, trailed: bool, behind: bytes, cuts: list[int]
) -> None:
    trailers = b"X-Sum: 1\r\nEmpty: \r\n" if trailed else b""
    data = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    data += b"0%b\r\n%b\r\n" % (extension, trailers)
    body = ChunkedBody()
    assert feed(body, data + behind, cuts) == (b"".join(pieces), trailers, behind)
    assert body.whole


@given(contents, st.binary(max_size=20), everywhere)
def test_a_body_of_known_length_likewise(pieces: list[bytes], behind: bytes, cuts: list[int]) -> None:
    content = b"".join(pieces)
    body = LengthBody(len(content))
    assert feed(body, content + behind, cuts) == (content, b"", behind)
    assert body.whole


@given(contents)
def test_what_we_write_we_read(pieces: list[bytes]) -> None:
    body = ChunkedBody()
    data = b"".join(map(chunk, [*pieces, b""])) + last_chunk(b"A: b\r\n")
    assert feed(body, data, []) == (b"".join(pieces), b"A: b\r\n", b"")


def test_a_body_that_the_connection_ends_is_never_whole() -> None:
    body = CloseBody()
    assert (body.feed(b"abc"), body.whole, body.rest) == (b"abc", False, b"")


@pytest.mark.parametrize("data", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_bad_chunks_are_refused_however_they_arrive(data: bytes, size: int) -> None:
    with pytest.raises(BadMessageError):
        feed(ChunkedBody(), data, list(range(0, len(data), size)))


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length",
        b"transfer-encoding",
        b"HOST",
        b"X-Forwarded-For",
        b"x_forwarded_port",
        b"Proxy",
        b"X-Request-Id",
    ],
)
def test_trailers_that_steer_are_dropped(name: bytes) -> None:
    assert feed(ChunkedBody(), b"0\r\n" + name + b": 1\r\nA:\tb \r\n\r\n", []) == (b"", b"A: b\r\n", b"")
