"""Records to bytes and back, with their versions.

Every record on a topic carries `v`, its major version. Within a major version fields are only added, with defaults,
and a reader ignores fields that it does not know: an older record always decodes, a newer one of the same major too.
Another major version is refused, and the consumer sends the record to `dead_letter`.
"""

import re
from typing import Generic, Protocol, TypeVar

import msgspec


class Versioned(Protocol):
    @property
    def v(self) -> int: ...


RecordT = TypeVar("RecordT", bound=Versioned)


class UndecodableRecord(Exception):
    """The bytes are not a record of the expected kind and major version. `reason` may be logged: it quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# RecursionError: msgspec follows nested arrays to their depth, also in fields that it skips.
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# The only messages of msgspec's that repeat what was in the record.
_QUOTING = re.compile(r"(?s)(Invalid (?:enum )?value) .*?(?= - at `|$)")


class _OnlyVersion(msgspec.Struct):
    v: int


class RecordCodec(Generic[RecordT]):
    """JSON encoding of one record type. JSON, so that an operator can read a topic with any Kafka tool."""

    def __init__(self, record_type: type[RecordT], *, major: int) -> None:
        self.record_type = record_type
        self.major = major
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(record_type)

    def encode(self, record: RecordT) -> bytes:
        return self._encoder.encode(record)

    def decode(self, data: bytes) -> RecordT:
        """Raises UndecodableRecord, never anything else."""
        name = self.record_type.__name__
        try:
            record = self._decoder.decode(data)
        except _DECODE_ERRORS as error:
            raise UndecodableRecord(self._reason(name, data, error)) from error
        if record.v != self.major:
            raise UndecodableRecord(f"{name}: major version {record.v}, this reader knows {self.major}")
        return record

    def _reason(self, name: str, data: bytes, error: Exception) -> str:
        shape = f"{name}: " + _QUOTING.sub(r"\1", str(error))
        # Another major version may have another shape: then the version, not the shape, is the useful thing to say.
        try:
            v = msgspec.json.decode(data, type=_OnlyVersion).v
        except _DECODE_ERRORS:
            return shape
        return shape if v == self.major else f"{name}: major version {v}, this reader knows {self.major}"
