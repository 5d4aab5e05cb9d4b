"""One call of a client through the product to a vendor that answers from a sample, as the worker would make it."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import msgspec

from ingress.client_apis import SURFACES as INGRESS_SURFACES
from ingress.surfaces.surface import Call
from router_worker.rating import cost_pico_usd
from router_worker.surfaces.surface import Reading
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import ParsedResponse, StreamParser, Vendor, VendorCall, VendorRequest
from router_worker.ways import SURFACES, ways_of
from schemas.catalogue import Price
from schemas.envelope import Surface
from schemas.failures import Failure
from schemas.usage import TokenCounts
from tests.matrix.client_anthropic import AnthropicClient
from tests.matrix.client_gemini import GeminiClient
from tests.matrix.client_openai_chat import OpenAiChatClient
from tests.matrix.client_openai_responses import OpenAiResponsesClient
from tests.matrix.meaning import (
    MODEL,
    PRICES,
    Asked,
    Heard,
    Json,
    Scenario,
    VendorAnswer,
    VendorError,
    gateway_fields,
)
from tests.matrix.wire_anthropic import AnthropicWire
from tests.matrix.wire_bedrock import BedrockWire
from tests.matrix.wire_cohere import CohereWire
from tests.matrix.wire_gemini import GeminiWire
from tests.matrix.wire_mistral import MistralWire
from tests.matrix.wire_openai import OpenAiWire
from tests.matrix.wire_openai_responses import OpenAiResponsesWire

PRICE = Price(
    start=date.min,
    input=PRICES.input,
    output=PRICES.output,
    cached_input=PRICES.cached,
    cache_write=PRICES.written,
    cache_write_1h=PRICES.written_1h,
    reasoning=PRICES.reasoning,
    source="the matrix",
)
NOW_MS = 1_763_800_000_000
REQUEST_ID = "req_matrix"


class Client(Protocol):
    """A client API, by its documentation. `path_model`: the model, where the path names it."""

    name: Surface
    path_model: str | None

    def request(self, scenario: Scenario, *, streaming: bool, before: Heard | None = None) -> Json: ...

    def read_plain(self, body: bytes) -> Heard: ...

    def read_stream(self, data: bytes) -> Heard:
        """Of a whole stream; an AssertionError for one that is not, or is not well formed."""

    def is_ended(self, data: bytes) -> bool:
        """Whether a client would take the answer for whole."""

    def read_error(self, body: bytes) -> str:
        """The message."""

    def read_error_event(self, event: bytes) -> str: ...


class WireSamples(Protocol):
    """A vendor's format, by its documentation. `signs`: it wants its thoughts back, and knows them by a mark.
    `stream_error`: the vendor fails in the middle of a stream, and says so."""

    name: str
    row: VendorRow
    vendor_model: str
    signs: bool
    errors: dict[str, VendorError]
    stream_error: bytes

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer: ...

    def read_request(self, url_path: str, request: Json) -> Asked: ...


CLIENTS: tuple[Client, ...] = (OpenAiChatClient(), OpenAiResponsesClient(), AnthropicClient(), GeminiClient())
WIRES: tuple[WireSamples, ...] = (
    OpenAiWire(),
    AnthropicWire(),
    GeminiWire(),
    BedrockWire(),
    CohereWire(),
    MistralWire(),
)
_RESPONSES = OpenAiResponsesWire()
SAMPLES: tuple[WireSamples, ...] = (*WIRES, _RESPONSES)


def samples(client: Client, wire: WireSamples) -> WireSamples:
    """OpenAI itself speaks two formats; a client of either is passed through."""
    return _RESPONSES if (client.name, wire.name) == ("openai.responses", "openai") else wire


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A call that is about to be made."""

    client_request: Json
    call: VendorCall
    vendor: Vendor
    request: VendorRequest
    body: Json


def send(surface: Surface, wire: WireSamples, body: Json, *, streaming: bool, path_model: str | None) -> Sent | Failure:
    """What reaches the vendor, or why nothing does. The ingress must have let it pass."""
    raw = json.dumps(body, ensure_ascii=False).encode()
    admitted = INGRESS_SURFACES[surface].read_call(raw, path_model, streaming=streaming)
    assert isinstance(admitted, Call), admitted
    assert (admitted.model, admitted.streaming) == (MODEL, streaming)
    reading = SURFACES[surface].read(raw, streaming=streaming)
    if isinstance(reading, Failure):
        return reading
    assert isinstance(reading, Reading)
    assert reading.streaming == streaming
    way = ways_of(wire.row)[surface]
    call = VendorCall(
        body=raw,
        canonical=reading.canonical() if way.translated else None,
        model_id=MODEL,
        vendor_model=wire.vendor_model,
        streaming=streaming,
        api_key="test-key",
        client_wants_usage=reading.wants_usage,
        choices=reading.choices,
        attempt_id="attempt-1",
        answer_id="matrix",
        route_max_output_tokens=8192,
        now_ms=NOW_MS,
    )
    request = way.vendor.build_request(call)
    if isinstance(request, Failure):
        return request
    sent = json.loads(request.body)
    check_no_gateway_field(sent)
    return Sent(client_request=body, call=call, vendor=way.vendor, request=request, body=sent)


def check_no_gateway_field(sent: Json) -> None:
    """Neither their names, nor anything that was said in them, nor the gateway's own name for the model."""
    for streaming in (False, True):
        assert not sent.keys() & (gateway_fields(streaming=streaming).keys() - {"models"})
    text = json.dumps(sent)
    assert "gateway-" not in text
    assert MODEL not in text


@dataclass(frozen=True, kw_only=True)
class Got:
    """What became of a call. `client` is what the client got: of a failed stream, what came before the failure."""

    client: bytes
    tokens: TokenCounts | None
    finish: str | None
    failure: Failure | None
    complete: bool

    @property
    def cost_pico_usd(self) -> int | None:
        return None if self.tokens is None else cost_pico_usd(self.tokens, PRICE)


def answered(sent: Sent, answer: VendorAnswer) -> Got:
    parsed = sent.vendor.parse_response(sent.call, 200, {}, answer.body)
    assert isinstance(parsed, ParsedResponse), parsed
    return Got(
        client=parsed.body_for_client,
        tokens=parsed.tokens,
        finish=parsed.finish_reason,
        failure=None,
        complete=True,
    )


def streamed(sent: Sent, *pieces: bytes) -> Got:
    parser = sent.vendor.open_stream(sent.call)
    return over(parser, b"".join(map(parser.feed, pieces)) + parser.finish())


def over(parser: StreamParser, client: bytes) -> Got:
    assert parser.ended
    assert parser.complete == (parser.failure is None)
    return Got(
        client=client,
        tokens=parser.tokens,
        finish=parser.finish_reason,
        failure=parser.failure,
        complete=parser.complete,
    )


def error_shown(surface: Surface, failure: Failure) -> Any:
    return json.loads(INGRESS_SURFACES[surface].error_body(failure, REQUEST_ID))


def failure_facts(failure: Failure) -> Json:
    return {
        "kind": failure.kind.value,
        "status": failure.http_status,
        "retry_after_s": failure.retry_after_s,
        "advance": failure.rule.advance,
    }


def token_facts(tokens: TokenCounts | None) -> Any:
    return None if tokens is None else msgspec.to_builtins(tokens)
