"""Records as they lie in topics, and payloads as they go over the wire: old and newer ones must decode for ever."""

import json
from typing import Any

import msgspec
import pytest

from schemas.frames import Claim, FrameReader, FrameType, encode_payload, frame
from tests.schemas.golden_values import (
    CODECS,
    FRAMES,
    GOLDEN,
    PAYLOAD_DECODERS,
    PAYLOADS,
    RECORDS,
    read,
    read_hex,
)


def test_every_golden_file_has_its_value_and_every_value_its_file() -> None:
    files = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert files == RECORDS.keys() | PAYLOADS.keys() | FRAMES.keys()


@pytest.mark.parametrize("record", CODECS)
def test_every_record_type_has_a_full_an_older_and_a_newer_example(record: str) -> None:
    for name in ("full", "older", "newer_minor"):
        assert f"{record}/v{CODECS[record].major}/{name}.json" in RECORDS


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_decodes_to_its_value_and_encodes_to_an_equal_one(name: str) -> None:
    codec = CODECS[name.split("/", maxsplit=1)[0]]
    record = codec.decode(read(name))
    assert _plain(record) == _plain(RECORDS[name])
    assert _plain(codec.decode(codec.encode(record))) == _plain(record)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_decodes_to_its_value_and_encodes_to_an_equal_one(name: str) -> None:
    decoder = PAYLOAD_DECODERS[name.split("/", maxsplit=1)[0]]
    payload = decoder.decode(read(name))
    assert _plain(payload) == _plain(PAYLOADS[name])
    assert _plain(decoder.decode(encode_payload(payload))) == _plain(payload)


def _plain(value: Any) -> Any:
    # Raw JSON is compared by what it says: msgspec.Raw compares by identity of bytes, whitespace included.
    return json.loads(encode_payload(value))


@pytest.mark.parametrize("name", [name for name in RECORDS | PAYLOADS if name.endswith("/full.json")])
def test_what_is_written_today_has_the_fields_of_the_full_example(name: str) -> None:
    """A renamed or dropped field would pass a round trip, and break every reader of another version."""
    value = (RECORDS | PAYLOADS)[name]
    assert json.loads(encode_payload(value)) == json.loads(read(name))


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_exactly_the_documented_bytes(name: str) -> None:
    frame_type, stream_id, payload = FRAMES[name]
    data = read_hex(name)
    assert list(FrameReader().feed(data)) == [(frame_type, stream_id, payload)]
    assert frame(frame_type, stream_id, payload) == data


def test_every_frame_type_has_an_example() -> None:
    assert {frame_type for frame_type, _, _ in FRAMES.values()} == set(FrameType)


def test_the_record_in_a_claim_is_kept_as_the_bytes_that_came() -> None:
    """The ingress hands `if_lost` to Kafka unread; anything that it did not know would be lost in a round trip."""
    if_lost = b'{"request_id" : "r",  "of a later version": [1, 2.50, {"x":null}] }'
    claim = Claim(token="t", delivery=0, claim_no=0, worker_id="w", if_lost=msgspec.Raw(if_lost))
    arrived = PAYLOAD_DECODERS["claim"].decode(encode_payload(claim))
    assert bytes(arrived.if_lost) == if_lost
    assert bytes(PAYLOAD_DECODERS["claim"].decode(read("claim/v1/older.json")).if_lost) == b"null"
