"""What is known of one vendor's stream while it is read, whoever reads it."""

from typing import Protocol

from schemas.failures import Failure
from schemas.usage import TokenCounts


class StreamFacts(Protocol):
    @property
    def tokens(self) -> TokenCounts | None:
        """The vendor's final figures: None before them, and while a vendor only counts along."""

    @property
    def failure(self) -> Failure | None:
        """Set by `feed` on an error in the stream or bytes that are no stream, by `finish` also on an early end.

        Once it is set, nothing more is returned for the client: it is the caller who says it to the ingress.
        """

    @property
    def complete(self) -> bool:
        """The answer is whole: its end was seen. True only without a failure."""

    @property
    def ended(self) -> bool:
        """Nothing more will come of reading on: the end marker or a failure was seen."""

    @property
    def chunks(self) -> int:
        """Chunks of answer read. With any, the vendor has worked, so without `tokens` an estimate is due."""

    @property
    def output_bytes(self) -> int:
        """Bytes of generated text seen so far, JSON escapes included: for `estimate.output_tokens_bound`."""

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def vendor_request_id(self) -> str | None:
        """The vendor's id of the answer, from the stream itself; prefer `Vendor.request_id` of the headers."""


class FactsOf:
    """Says of a stream what the reader beneath says."""

    def __init__(self, reader: StreamFacts) -> None:
        self._facts = reader

    @property
    def tokens(self) -> TokenCounts | None:
        return self._facts.tokens

    @property
    def failure(self) -> Failure | None:
        return self._facts.failure

    @property
    def complete(self) -> bool:
        return self._facts.complete

    @property
    def ended(self) -> bool:
        return self._facts.ended

    @property
    def chunks(self) -> int:
        return self._facts.chunks

    @property
    def output_bytes(self) -> int:
        return self._facts.output_bytes

    @property
    def finish_reason(self) -> str | None:
        return self._facts.finish_reason

    @property
    def vendor_request_id(self) -> str | None:
        return self._facts.vendor_request_id
