from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.mesos.recordio import Records
from tests.discovery.mesos.recorded import EVENTS, record


def test_the_documented_stream():
    assert Records().feed(b'9\n{"a": 1}\n2\n{}') == [b'{"a": 1}\n', b"{}"]


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_records_may_be_cut_anywhere(contents: list[bytes], size: int):
    stream = b"".join(str(len(content)).encode() + b"\n" + content for content in contents)
    records = Records()
    found = [one for start in range(0, len(stream), size) for one in records.feed(stream[start : start + size])]
    assert found == contents


def test_the_recorded_stream_in_one_piece_and_bytewise():
    stream = b"".join(map(record, EVENTS))
    whole, bytewise = Records(), Records()
    assert whole.feed(stream) == [one for byte in stream for one in bytewise.feed(bytes([byte]))]


@pytest.mark.parametrize(
    "stream", [b"\n{}", b"-1\n", b"2x\n{}", b"{}\n", b" 2\n{}", b"12345678901", b"1234567890\n", b"\xff\n"]
)
def test_what_begins_with_no_length_is_refused(stream: bytes):
    with pytest.raises(ValueError, match="a record must begin with its length"):
        Records().feed(stream)


def test_a_record_has_a_bound():
    with pytest.raises(ValueError, match="a record of 11 bytes is larger than 10 bytes"):
        Records(limit=10).feed(b"11\n")
