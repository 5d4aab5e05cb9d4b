"""A client's body from the ingress's door to every vendor's request, as the two services do it, without the network."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ingress.client_apis import SURFACES as CLIENT_SURFACES
from ingress.gateway_options import read_options
from ingress.surfaces.surface import Call
from router_worker.usable_vendor import Way
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.ways import SURFACES as WORKER_SURFACES
from router_worker.ways import ways_of
from schemas.envelope import Surface
from schemas.failures import Failure
from schemas.tenancy import ApiKey, Project
from tests.fuzz.request_samples import CHAT, COUNT_TOKENS, EMBEDDINGS, GENERATE, MESSAGES, RESPONSES

SAMPLES: dict[Surface, tuple[dict[str, Any], ...]] = {
    "openai.chat": CHAT,
    "openai.responses": RESPONSES,
    "openai.embeddings": EMBEDDINGS,
    "anthropic.messages": MESSAGES,
    "anthropic.count_tokens": COUNT_TOKENS,
    "gemini.generate": GENERATE,
}
GATEWAY_FIELDS = frozenset(
    {
        *("models", "vendor", "vendors", "tags", "project_id", "customer", "routing_policy"),
        *("zero_data_retention", "include_routing_metadata"),
    }
)
_PROJECT = Project(project_id="proj", organization_id="org")
_KEY = ApiKey(api_key_id="key", project_id="proj", key_sha256="0" * 64)


@dataclass(frozen=True)
class Destination:
    """One vendor with one of its models, where its format depends on the model."""

    vendor: str
    vendor_model: str
    ways: dict[Surface, Way] = field(repr=False)


def _destination(vendor: str, vendor_model: str) -> Destination:
    row = BUILT_IN[vendor]
    base_url = row.base_url.replace("{AWS_REGION}", "us-east-1").replace("{GOOGLE_CLOUD_LOCATION}", "us-east1")
    placed = msgspec.structs.replace(row, base_url=base_url, region=None if row.region is None else "us-east-1")
    return Destination(vendor, vendor_model, ways_of(placed))


DESTINATIONS = tuple(
    _destination(vendor, model)
    for vendor, model in (
        ("openai", "gpt-5.1-2025-11-13"),
        ("mistral", "mistral-large-latest"),
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("anthropic", "claude-opus-4-7"),
        ("gemini", "gemini-2.5-flash"),
        ("gemini", "gemini-3-pro-preview"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "us.amazon.nova-2-lite-v1:0"),
        ("bedrock", "cohere.command-r-plus-v1:0"),
        ("cohere", "command-a-03-2025"),
        ("deepseek", "deepseek-chat"),
        ("openrouter", "z-ai/glm-4.6"),
        ("vertex", "gemini-2.5-flash"),
        ("vertex-anthropic", "claude-opus-4-1@20250805"),
    )
)


@dataclass(frozen=True)
class Handled:
    """What became of a body: a refusal for all, or each destination's request (or its refusal)."""

    refusal: Failure | None = None
    built: tuple[tuple[Destination, VendorCall, VendorRequest | Failure], ...] = ()

    def refusals(self) -> Iterator[Failure]:
        if self.refusal is not None:
            yield self.refusal
        yield from (made for _, _, made in self.built if isinstance(made, Failure))


def handle(
    surface: Surface, body: bytes, *, streaming: bool = False, destinations: tuple[Destination, ...] = DESTINATIONS
) -> Handled:
    """`streaming`: what the path says, where the API says it there."""
    in_path = surface == "gemini.generate"
    call = CLIENT_SURFACES[surface].read_call(body, "fuzz" if in_path else None, streaming=in_path and streaming)
    if isinstance(call, Failure):
        return Handled(refusal=call)
    return _at_worker(surface, body, call, destinations)


def _at_worker(surface: Surface, body: bytes, call: Call, destinations: tuple[Destination, ...]) -> Handled:
    options = read_options(call, {}, _KEY, _PROJECT)
    if isinstance(options, Failure):
        return Handled(refusal=options)
    # Both go into the envelope, which a Kafka header carries.
    msgspec.json.encode((options.model, options.routing, options.attribution, call.max_output_tokens))
    reading = WORKER_SURFACES[surface].read(body, streaming=call.streaming)
    if isinstance(reading, Failure):
        return Handled(refusal=reading)
    assert reading.streaming == call.streaming, "the ingress would take a stream for a plain answer, or the reverse"
    assert reading.choices >= 1
    built = []
    canonical = None
    for destination in destinations:
        way = destination.ways.get(surface)
        if way is None:
            continue
        if way.translated and canonical is None:
            canonical = reading.canonical()
        vendor_call = VendorCall(
            body=body,
            canonical=canonical,
            model_id="fuzz",
            vendor_model=destination.vendor_model,
            streaming=reading.streaming,
            api_key="secret",
            client_wants_usage=reading.wants_usage,
            choices=reading.choices,
            attempt_id="req_1.0.0",
            answer_id="1",
            route_max_output_tokens=64_000,
            now_ms=1_700_000_000_000,
        )
        built.append((destination, vendor_call, way.vendor.build_request(vendor_call)))
    return Handled(built=tuple(built))
