"""A record that no consumer could read, put aside for people instead of stopping its partition."""

import msgspec

from schemas.codec import RecordCodec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is the record's own bytes (base64 in JSON), unless the topic carries prompts: then it is empty, because a
    dead letter is kept for days and a prompt must not be."""

    source_topic: str
    source_partition: int
    source_offset: int
    reason: str
    at_ms: int
    value: bytes = b""
    v: int = 1


DEAD_LETTER = RecordCodec(DeadLetter, major=1)
