"""Where frames begin and end, against a parser that looks at nothing but whole ones."""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.websocket import GOING_AWAY, Frames


def frame(opcode: int, payload: bytes, *, masked: bool, width: int) -> bytes:
    """Write a frame (RFC 6455 5.2); `width` is how many bytes its length takes at least, however short it is."""
    size = len(payload)
    mask = 0x80 if masked else 0
    if width == 8 or size > 0xFFFF:
        head = bytes([opcode, mask | 127]) + struct.pack(">Q", size)
    elif width == 2 or size > 125:
        head = bytes([opcode, mask | 126]) + struct.pack(">H", size)
    else:
        head = bytes([opcode, mask | size])
    return head + (b"mask" if masked else b"") + payload


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(marks) if start < end]


payloads = st.one_of(
    st.binary(max_size=10),
    st.sampled_from([125, 126, 127, 128, 255, 256, 65535, 65536, 70000]).map(bytes),
)
frames = st.lists(
    st.builds(
        frame, st.integers(0, 255), payloads, masked=st.booleans(), width=st.sampled_from([0, 0, 0, 2, 8])
    ),
    max_size=6,
)  # fmt: skip
cuts = st.lists(st.integers(0, 1_000_000), max_size=12)


@given(frames, cuts)
def test_it_is_between_two_frames_exactly_where_one_ends(sent: list[bytes], cuts: list[int]) -> None:
    ends = {0, *accumulate(map(len, sent))}
    follower, at = Frames(), 0
    assert follower.whole
    for piece in pieces(b"".join(sent), cuts):
        assert follower.feed(piece) == -1
        at += len(piece)
        assert follower.whole == (at in ends)


@given(frames, cuts, st.integers(0, 12))
def test_the_frame_under_way_is_told_from_the_next_one(sent: list[bytes], cuts: list[int], stopping: int) -> None:
    """As a tunnel does it: from some piece on, what is passed on ends with the frame under way."""
    data = b"".join(sent)
    ends = [0, *accumulate(map(len, sent))]
    follower, passed = Frames(), 0
    came = pieces(data, cuts)
    for piece in came[:stopping]:
        follower.feed(piece)
        passed += len(piece)
    expected = next(end for end in ends if end >= passed)
    for piece in came[stopping:]:
        if follower.whole:
            break
        belongs = follower.feed(piece, stop=True)
        passed += len(piece) if belongs < 0 else belongs
        if belongs >= 0:
            assert follower.whole
            break
    assert passed == expected


@given(frames)
def test_byte_by_byte(sent: list[bytes]) -> None:
    ends = {*accumulate(map(len, sent))}
    follower = Frames()
    for at, byte in enumerate(b"".join(sent)[:2000], start=1):
        follower.feed(bytes([byte]))
        assert follower.whole == (at in ends)


def test_a_length_that_nobody_will_ever_send_is_followed_all_the_same() -> None:
    follower = Frames()
    follower.feed(b"\x82\x7f" + b"\xff" * 8)
    for _ in range(100):
        assert follower.feed(b"x" * 65536, stop=True) == -1
    assert not follower.whole


def test_the_farewell_is_a_close_frame_of_a_server_with_1001() -> None:
    assert frame(0x88, struct.pack(">H", 1001), masked=False, width=0) == GOING_AWAY
