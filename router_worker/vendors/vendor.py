"""The interface of every way to a vendor: the client's bytes in, bytes for the client and usage out. No I/O, no clock.

One implementation passes bodies through (client and vendor speak the same format), another translates
(`router_worker.translate`).

The caller's way through it, for one attempt:

    request = vendor.build_request(call)        a Failure if this vendor's format cannot say what is asked
    ... POST row.base_url + request.url_path ...
    status not 2xx          vendor.classify_error(status, headers, body, now_ms)
    2xx, not streaming      vendor.parse_response(call, status, headers, body)
    2xx, streaming          parser = vendor.open_stream(call); parser.feed(...) ...; parser.finish()

Headers are looked up in lower case: give a case-insensitive mapping (aiohttp's is one) or lower-case keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.vendors.stream_facts import StreamFacts
from schemas.failures import Failure
from schemas.usage import TokenCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorCall:
    """One attempt. `body` is the client's, untouched; it must be a JSON object (`surfaces` has checked that).
    `canonical` is the same in canonical form, or why it has none; None where client and vendor speak the same format.

    model_id: the catalogue's name, which the client sees in the answer. vendor_model: the vendor's own name for it.
    client_wants_usage: the client itself asked for a usage chunk. max_output_tokens: cap per choice that the vendor is
    told, over whatever higher cap the client gave; None leaves the client's. choices: how many answers were asked for
    (`n`). attempt_id: sent along, so that a vendor's log can be matched with ours. route_max_output_tokens: the most
    that the route can generate, for vendors that must be told a cap. now_ms: unix time of the call, for signatures and
    answers. answer_id: what the answer's own id is made of, where the gateway makes it; letters, digits and "_".
    aws: instead of `api_key` where requests are signed.
    """

    body: bytes = field(repr=False)
    model_id: str
    vendor_model: str
    streaming: bool
    api_key: str | None = field(repr=False)
    client_wants_usage: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    attempt_id: str | None = None
    canonical: ChatRequest | EmbeddingsRequest | Failure | None = field(default=None, repr=False)
    route_max_output_tokens: int = 4096
    now_ms: int = 0
    answer_id: str = "0"
    aws: AwsCredentials | None = None


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """`url_path` is appended to the row's base URL; it is percent-encoded already and may end in a query. `headers`
    hold the vendor's key: never log them. `dropped`: fields of the client's that were left out."""

    url_path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedResponse:
    """A whole answer. `tokens` is None when the vendor gave no usage figures that can be read."""

    body_for_client: bytes
    tokens: TokenCounts | None
    finish_reason: str | None
    vendor_request_id: str | None
    output_bytes: int


class StreamParser(StreamFacts, Protocol):
    """One stream. `feed` and `finish` return what the client gets now; it may be empty.

    Before the first non-empty return nothing of the answer exists for the client, so the attempt may still be given up
    for another route: keep-alive comments are therefore swallowed.
    """

    def feed(self, data: bytes) -> bytes:
        """Takes bytes as they come, cut anywhere. Never raises for what a vendor sends."""

    def finish(self) -> bytes:
        """The vendor closed the stream. Call once; afterwards `failure` or `complete` is set."""


class Vendor(Protocol):
    """One vendor: a wire format with a row's data. Stateless, so one serves all attempts."""

    def build_request(self, call: VendorCall) -> VendorRequest | Failure: ...

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        """A 2xx answer of a call that did not stream. A Failure if it is an error in disguise, or unreadable."""

    def open_stream(self, call: VendorCall) -> StreamParser: ...

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        """An answer that is not 2xx. `now_ms` (unix) turns a Retry-After date into seconds."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The vendor's id of the call, for support cases."""
