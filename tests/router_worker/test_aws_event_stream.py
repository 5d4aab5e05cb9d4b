"""Frames equal botocore's, however the bytes are cut; anything corrupt ends the stream."""

import itertools
import struct
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from router_worker.vendors.bedrock.aws_event_stream import (
    MAX_HEADERS_BYTES,
    MAX_PAYLOAD_BYTES,
    EventFrame,
    EventStreamDecoder,
)
from tests.router_worker.event_stream_frames import Header, event, frame, header_bytes, raw_frame, string


def _packed(kind: int, form: str, bits: int) -> st.SearchStrategy[Header]:
    numbers = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return numbers.map(lambda number: (kind, struct.pack(form, number)))


_HEADERS = st.one_of(
    st.just((0, b"")),
    st.just((1, b"")),
    _packed(2, ">b", 8),
    _packed(3, ">h", 16),
    _packed(4, ">i", 32),
    _packed(5, ">q", 64),
    st.binary(max_size=20).map(lambda data: (6, struct.pack(">H", len(data)) + data)),
    st.text(max_size=20).map(string),
    _packed(8, ">q", 64),
    st.binary(min_size=16, max_size=16).map(lambda data: (9, data)),
)
_NAMES = st.text(max_size=10)
_FRAMES = st.builds(frame, st.dictionaries(_NAMES, _HEADERS, max_size=4), st.binary(max_size=60))


def decode(pieces: list[bytes]) -> tuple[list[EventFrame], EventStreamDecoder]:
    decoder = EventStreamDecoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)], decoder


def by_botocore(data: bytes) -> list[tuple[Any, bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@settings(max_examples=400)
@given(frames=st.lists(_FRAMES, max_size=4), places=st.lists(st.integers(0, 10_000), max_size=6))
def test_random_frames_cut_anywhere(frames: list[bytes], places: list[int]) -> None:
    data = b"".join(frames)
    decoded, decoder = decode(cut(data, places))
    assert [(frame.headers, frame.payload) for frame in decoded] == by_botocore(data)
    assert [type(value) for frame in decoded for value in frame.headers.values()] == [
        type(value) for headers, _ in by_botocore(data) for value in headers.values()
    ]
    assert decoder.error is None
    assert not decoder.inside_frame


@settings(max_examples=400)
@given(frames=st.lists(_FRAMES, min_size=1, max_size=3), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_ends_the_stream_there(frames: list[bytes], place: int, bit: int) -> None:
    data = bytearray(b"".join(frames))
    place %= len(data)
    data[place] ^= 1 << bit
    whole_before = 0
    while place >= len(frames[whole_before]):
        place -= len(frames[whole_before])
        whole_before += 1
    decoded, decoder = decode([bytes(data)])
    assert decoder.error is not None
    assert len(decoded) == whole_before
    assert decoder.feed(event("messageStart", {})) == []


def test_every_truncation_is_seen() -> None:
    data = event("messageStart", {"role": "assistant"})
    for end in range(1, len(data)):
        decoded, decoder = decode([data[:end]])
        assert (decoded, decoder.error, decoder.inside_frame) == ([], None, True)


def _prelude(total: int, headers: int) -> bytes:
    start = struct.pack(">II", total, headers)
    return start + struct.pack(">I", crc32(start))


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        (15, 0),
        (0, 0),
        (16, 1),
        (16 + MAX_HEADERS_BYTES + 1, MAX_HEADERS_BYTES + 1),
        (16 + MAX_PAYLOAD_BYTES + 1, 0),
        (2**32 - 1, 0),
        (2**32 - 1, 2**32 - 1),
    ],
)
def test_an_absurd_length_is_an_error_at_once(total: int, headers: int) -> None:
    _, decoder = decode([_prelude(total, headers)])
    assert decoder.error == "frame of impossible length"


@pytest.mark.parametrize(
    "headers",
    [
        header_bytes("a", (10, b"")),
        header_bytes("a", (255, b"")),
        header_bytes("a", (7, b"\x00\x05abc")),
        header_bytes("a", (6, b"\x00")),
        header_bytes("a", (4, b"\x00\x00\x00")),
        header_bytes("a", (9, bytes(15))),
        header_bytes("a", (7, b"\x00\x01\xff")),
        header_bytes("a", (0, b"")) * 2,
        b"\x05ab",
        b"\x01a",
        b"\x02\xff\xfe\x00",
    ],
)
def test_headers_that_make_no_sense_under_right_checksums(headers: bytes) -> None:
    good = event("messageStart", {})
    decoded, decoder = decode([good + raw_frame(headers, b"{}") + good])
    assert len(decoded) == 1
    assert decoder.error is not None


def test_text_of_a_header() -> None:
    (read,), _ = decode([frame({":event-type": string("x"), "n": (2, b"\x07")}, b"")])
    assert (read.text(":event-type"), read.text("n"), read.text("other")) == ("x", None, None)
