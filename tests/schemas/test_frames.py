"""The frames of the reply channel, wherever the network cuts them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.frames import (
    MAX_PAYLOAD_BYTES,
    FrameError,
    FrameReader,
    FrameType,
    accept_payload,
    credit_payload,
    frame,
    read_accept,
    read_credit,
)

HEADER_BYTES = 13
U32 = st.integers(0, 2**32 - 1)
FRAMES = st.lists(st.tuples(st.sampled_from(FrameType), st.integers(0, 2**64 - 1), st.binary(max_size=60)), max_size=12)


@given(FRAMES, st.data())
def test_frames_survive_any_cutting_of_their_bytes(
    frames: list[tuple[FrameType, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(*each) for each in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    reader = FrameReader()
    found = [
        each
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for each in reader.feed(stream[start:end])
    ]
    assert found == frames


@given(FRAMES)
def test_frames_survive_coming_byte_by_byte(frames: list[tuple[FrameType, int, bytes]]) -> None:
    reader = FrameReader()
    stream = b"".join(frame(*each) for each in frames)
    assert [each for byte in stream for each in reader.feed(bytes([byte]))] == frames


@given(FRAMES)
def test_a_frame_comes_out_as_soon_as_its_last_byte_is_in(frames: list[tuple[FrameType, int, bytes]]) -> None:
    reader = FrameReader()
    for each in frames:
        encoded = frame(*each)
        assert list(reader.feed(encoded[:-1])) == []
        assert list(reader.feed(encoded[-1:])) == [each]


@given(FRAMES, st.integers(0, 255).filter(lambda code: code not in set(FrameType)), st.binary(max_size=12))
def test_an_unknown_type_is_an_error_after_the_whole_frames_before_it(
    frames: list[tuple[FrameType, int, bytes]], code: int, rest: bytes
) -> None:
    stream = b"".join(frame(*each) for each in frames) + bytes([code]) + rest.ljust(HEADER_BYTES - 1, b"\0")
    feed = FrameReader().feed(stream)
    assert [next(feed) for _ in frames] == frames
    with pytest.raises(FrameError, match=f"unknown frame type {code}"):
        next(feed)


@given(st.integers(MAX_PAYLOAD_BYTES + 1, 2**32 - 1))
def test_a_length_beyond_any_body_is_an_error_before_anything_is_collected(length: int) -> None:
    with pytest.raises(FrameError, match=str(length)):
        list(FrameReader().feed(struct.pack("!BQI", FrameType.DATA, 1, length)))


def test_the_longest_payload_is_no_error() -> None:
    assert list(FrameReader().feed(struct.pack("!BQI", FrameType.DATA, 1, MAX_PAYLOAD_BYTES))) == []


@given(st.binary(max_size=200))
def test_garbage_is_frames_or_a_frame_error(data: bytes) -> None:
    try:
        for frame_type, stream_id, payload in FrameReader().feed(data):
            assert frame(frame_type, stream_id, payload) in data
    except FrameError:
        return


@given(U32, st.binary(max_size=50))
def test_credit_and_held_body_come_back(credit_bytes: int, held_body: bytes) -> None:
    assert read_credit(credit_payload(credit_bytes)) == credit_bytes
    assert read_accept(accept_payload(credit_bytes, held_body)) == (credit_bytes, held_body)
    assert read_accept(accept_payload(credit_bytes)) == (credit_bytes, b"")


@given(st.binary(max_size=9).filter(lambda payload: len(payload) != 4))
def test_a_credit_that_is_not_one_number_is_an_error(payload: bytes) -> None:
    with pytest.raises(FrameError, match=f"CREDIT of {len(payload)} bytes"):
        read_credit(payload)


@given(st.binary(max_size=3))
def test_an_accept_without_credit_is_an_error(payload: bytes) -> None:
    with pytest.raises(FrameError, match=f"ACCEPT of {len(payload)} bytes"):
        read_accept(payload)
