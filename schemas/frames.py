"""The reply channel's frames: how a worker claims a request and streams its answer to the ingress with the client.

A frame is a 13-byte header and a payload; many frames may be packed in one WebSocket message, and a frame may be cut
by a message boundary (`FrameReader` does not care where):

    | type: u8 | stream id: u64 | payload length: u32 |  payload ...          all big-endian

| frame     | direction        | payload                                                             |
|-----------|------------------|---------------------------------------------------------------------|
| CLAIM     | worker → ingress | `Claim`: may I have this request, or make this further vendor call? |
| HEAD      | worker → ingress | `Head`: the answer starts                                           |
| DATA      | worker → ingress | bytes for the client                                                |
| END       | worker → ingress | `End`: the answer is whole                                          |
| ERROR     | worker → ingress | `Failure`: there is no answer, or no more of it                     |
| SETTLED   | worker → ingress | `Settled`: all usage of this claim is safely in Kafka               |
| ABANDONED | worker → ingress | none: the worker made a mistake and cannot report; do it for it     |
| ACCEPT    | ingress → worker | u32 first credit in bytes, then the body, if the ingress held it    |
| REFUSE    | ingress → worker | `Refuse`: do not call                                               |
| CANCEL    | ingress → worker | `Failure`: nobody waits any more, and why; close the call           |
| CREDIT    | ingress → worker | u32: that many more bytes may be sent on this stream                |

Until SETTLED the ingress keeps what it needs to report the attempt itself, should the worker die.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Literal, TypeVar

import msgspec

from schemas.failures import Failure

_HEADER = struct.Struct("!BQI")
_U32 = struct.Struct("!I")

MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Larger than any body limit; a length beyond it means that the stream of bytes is corrupt."""


class FrameType(IntEnum):
    CLAIM = 1
    HEAD = 2
    DATA = 3
    END = 4
    ERROR = 5
    SETTLED = 6
    ABANDONED = 7
    ACCEPT = 16
    REFUSE = 17
    CANCEL = 18
    CREDIT = 19


_TYPES = {int(frame_type): frame_type for frame_type in FrameType}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One per vendor call, before it is made; and one before them if the worker needs the body to plan at all.

    `claim_no` counts the claims of one delivery, from 0. `if_lost` is a complete encoded `UsageRecord` with the vendor
    call at its upper bound: what the ingress reports if the worker goes silent. The ingress does not look into it
    before that, so it costs nothing on the way. It is empty (null) if no call follows from this claim. Earlier calls of
    the same delivery are in it too, as they were.
    `bound_pico_usd`: what that call can cost at most; the ingress refuses what the request's hold does not cover (G4).
    `spent_pico_usd`: what the earlier calls of this delivery cost.
    """

    token: str
    delivery: int
    claim_no: int
    worker_id: str
    if_lost: msgspec.Raw = msgspec.Raw(b"null")
    bound_pico_usd: int = 0
    spent_pico_usd: int = 0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts`: vendor calls made for this answer, this one included. `vendor_ms`: how long they were waited for, all
    together, until this frame. `cost_pico_usd`: of all attempts, known here only if the answer does not stream; with
    `estimated` it is an upper bound, because a vendor gave no figures.
    `dropped`: fields of the client's request that its vendor has no word for and that were left out.
    `capped_tokens`: the vendor was told this cap per choice, which is lower than the client's, or the client gave none:
    a hard budget pays for the call."""

    status: int
    content_type: str
    model: str
    vendor: str
    attempts: int
    vendor_ms: int = 0
    cost_pico_usd: int | None = None
    estimated: bool = False
    dropped: tuple[str, ...] = ()
    capped_tokens: int | None = None


class End(msgspec.Struct, frozen=True, kw_only=True):
    cost_pico_usd: int
    estimated: bool


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What the usage events of this claim, all of them in Kafka now, sum up to."""

    cost_pico_usd: int
    input_tokens: int
    output_tokens: int


RefusalReason = Literal["unknown", "claimed", "token", "late", "budget"]


class Refuse(msgspec.Struct, frozen=True, kw_only=True):
    """unknown: no such request here (answered, given up, or of an earlier life of this ingress). claimed: another
    worker has it. token: the claim does not prove that it comes from the request. late: its deadline has passed.
    budget: what the request holds of a hard budget does not cover the call."""

    reason: RefusalReason


class FrameError(Exception):
    """The bytes are not frames. The channel must be closed: there is no finding the next frame's start."""


CLAIM_DECODER = msgspec.json.Decoder(Claim)
HEAD_DECODER = msgspec.json.Decoder(Head)
END_DECODER = msgspec.json.Decoder(End)
SETTLED_DECODER = msgspec.json.Decoder(Settled)
REFUSE_DECODER = msgspec.json.Decoder(Refuse)
FAILURE_DECODER = msgspec.json.Decoder(Failure)
encode_payload = msgspec.json.Encoder().encode


PayloadT = TypeVar("PayloadT")


def read_payload(decoder: "msgspec.json.Decoder[PayloadT]", payload: bytes) -> PayloadT:
    """Raises FrameError, whatever is wrong with the bytes."""
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"an unreadable payload: {type(error).__name__}") from error


def frame(frame_type: FrameType, stream_id: int, payload: bytes = b"") -> bytes:
    return _HEADER.pack(frame_type, stream_id, len(payload)) + payload


def credit_payload(credit_bytes: int) -> bytes:
    return _U32.pack(credit_bytes)


def read_credit(payload: bytes) -> int:
    """Raises FrameError if the payload is not one u32."""
    if len(payload) != _U32.size:
        raise FrameError(f"a CREDIT of {len(payload)} bytes")
    return int(_U32.unpack(payload)[0])


def accept_payload(credit_bytes: int, held_body: bytes = b"") -> bytes:
    return _U32.pack(credit_bytes) + held_body


def read_accept(payload: bytes) -> tuple[int, bytes]:
    """First credit in bytes, and the body that the ingress held (empty if it is in the Kafka record)."""
    if len(payload) < _U32.size:
        raise FrameError(f"an ACCEPT of {len(payload)} bytes")
    return int(_U32.unpack_from(payload)[0]), payload[_U32.size :]


class FrameReader:
    """Cuts incoming bytes into frames, wherever the messages were cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[FrameType, int, bytes]]:
        """Yields (type, stream id, payload) of each frame that is now whole. Raises FrameError."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        position, end = 0, len(data)
        while end - position >= _HEADER.size:
            type_code, stream_id, length = _HEADER.unpack_from(data, position)
            frame_type = _TYPES.get(type_code)
            if frame_type is None:
                raise FrameError(f"unknown frame type {type_code}")
            if length > MAX_PAYLOAD_BYTES:
                raise FrameError(f"a frame of {length} bytes, the limit is {MAX_PAYLOAD_BYTES}")
            start = position + _HEADER.size
            if end - start < length:
                break
            position = start + length
            yield frame_type, stream_id, data[start:position]
        if position < end:
            self._rest = data[position:]
