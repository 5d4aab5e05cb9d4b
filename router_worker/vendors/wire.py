"""The interface of a vendor's format to canonical requests and answers, for clients that speak another format.

`router_worker.translate.Translated` joins a wire and a client surface to a `vendor.Vendor`. No I/O and no clock.
"""

from collections.abc import Mapping
from typing import Protocol

from router_worker.canonical.answer import Answer, Embeddings, Event
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.vendors.stream_facts import StreamFacts
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind


class EventReader(StreamFacts, Protocol):
    """One stream of a vendor."""

    def feed(self, data: bytes) -> list[Event]:
        """Takes bytes as they come, cut anywhere. Never raises for what a vendor sends."""

    def finish(self) -> list[Event]:
        """The vendor closed the stream. Call once; afterwards `failure` or `complete` is set."""


class Refusals(Protocol):
    """What a wire says of errors, whatever was asked."""

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure: ...

    def request_id(self, headers: Mapping[str, str]) -> str | None: ...


class Wire(Refusals, Protocol):
    """Chat in a vendor's format. Stateless."""

    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        """A Failure (`cannot_say`) if the vendor's format has no word for something that shapes the answer; hints that
        it has no word for are named in `VendorRequest.dropped`, besides the request's own."""

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        """A 2xx answer that did not stream. A Failure if it is an error in disguise, or unreadable."""

    def open_events(self, call: VendorCall) -> EventReader: ...


class EmbeddingsWire(Refusals, Protocol):
    """Embeddings in a vendor's format. Stateless."""

    def build_embeddings(self, request: EmbeddingsRequest, call: VendorCall) -> VendorRequest | Failure: ...

    def read_embeddings(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> Embeddings | Failure: ...


def cannot_say(field: str, why: str) -> Failure:
    """`field` in canonical terms ("stop", "image URL"). Another route may be able to; if none is, the client gets
    this as its 400."""
    return Failure(
        kind=FailureKind.INVALID_REQUEST, message=f"{field}: {why}", param=field, code="unsupported_by_vendor"
    )
