"""What the ingress says about a request when it puts it on `requests`. The body is the record's value, untouched."""

from typing import Literal

import msgspec

from schemas.codec import RecordCodec

Surface = Literal[
    "openai.chat",
    "openai.responses",
    "openai.embeddings",
    "anthropic.messages",
    "anthropic.count_tokens",
    "gemini.generate",
]
"""The client API that a request came through, hence the format of its answer and its errors."""


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Who a request is for; every attempt and request row carries it."""

    organization_id: str
    project_id: str
    api_key_id: str
    customer_id: str | None = None
    tags: dict[str, str] = {}


class RoutingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the client said about where its request may go, in the body or in headers.

    fallback_models: further models, tried in this order when no route of the first answers. vendors: only these, in
    this order; empty means any. include_metadata: the client wants to see how its request was routed.
    """

    fallback_models: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    zero_data_retention: bool = False
    include_metadata: bool = False


class RequestEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix milliseconds by the ingress's clock; workers compare them to their own, so clocks must agree
    within a small part of the request deadline (NTP does).

    `reply_url` and `token` let a worker claim the request; the token is good for this request only.
    `delivery` counts how often the ingress has put the request on the topic, from 0.
    `body` is "held" when the record's value is empty and the body comes with the ACCEPT frame instead.
    `leases`: which leases of hard budgets the request is paid from (`schemas.spend.LeaseRef`); usage events name them.
    `gateway_cap_tokens`: the client gave no cap on what is generated and a hard budget needs one: the vendor must be
    told this one (per choice).
    """

    request_id: str
    stream_id: int
    reply_url: str
    token: str
    delivery: int
    accepted_at_ms: int
    deadline_ms: int
    attribution: Attribution
    surface: Surface
    model: str
    streaming: bool
    max_output_tokens: int | None = None
    routing: RoutingOptions = RoutingOptions()
    body: Literal["inline", "held"] = "inline"
    leases: tuple[str, ...] = ()
    gateway_cap_tokens: int | None = None
    v: int = 1


ENVELOPE = RecordCodec(RequestEnvelope, major=1)
