"""The cap that a budget needs is in the body that the vendor gets, whatever the client's format and the vendor's."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.estimate import cap_to_tell, input_tokens_bound
from router_worker.vendors.row import VendorRow
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.ways import CHAT_SURFACES, SURFACES, ways_of
from schemas.envelope import Surface
from schemas.failures import Failure
from schemas.usage import USAGE
from tests.fakes.vendors import route
from tests.fakes.worker_stack import ask, worker_stack

_TURNS = [{"role": "user", "content": "Say something."}]

# A row of each wire, and of OpenAI's each that names its cap in its own way.
ROWS = ("openai", "azure", "mistral", "deepseek", "xai", "groq", "anthropic", "gemini", "bedrock", "cohere", "vertex")
MODELS = {
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-2.5-flash",
    "anthropic": "claude-sonnet-4-5",
}

# Where each wire says it; OpenAI's chat by the row.
PLACES: dict[str, tuple[str, ...]] = {
    "anthropic": ("max_tokens",),
    "anthropic_vertex": ("max_tokens",),
    "gemini": ("generationConfig", "maxOutputTokens"),
    "gemini_vertex": ("generationConfig", "maxOutputTokens"),
    "bedrock": ("inferenceConfig", "maxTokens"),
    "cohere": ("max_tokens",),
}


def asked(surface: Surface, cap: int | None, **fields: Any) -> bytes:
    """A request as a client of this API writes it, with its own cap or none."""
    body: dict[str, Any] = {"model": "m", "messages": _TURNS}
    name = "max_tokens"
    if surface == "openai.responses":
        body, name = {"model": "m", "input": _TURNS}, "max_output_tokens"
    elif surface == "gemini.generate":
        body, name = {"contents": [{"role": "user", "parts": [{"text": "Say something."}]}]}, "maxOutputTokens"
        if cap is not None:
            body["generationConfig"] = {name: cap}
    if cap is not None and surface != "gemini.generate":
        body[name] = cap
    return json.dumps(body | fields).encode()


def built(surface: Surface, row: VendorRow, body: bytes, cap: int | None) -> dict[str, Any]:
    reading = SURFACES[surface].read(body, streaming=False)
    assert not isinstance(reading, Failure), reading
    way = ways_of(row)[surface]
    call = VendorCall(
        body=body,
        model_id="m",
        vendor_model=MODELS.get(row.name, "m"),
        streaming=False,
        api_key="k",
        canonical=reading.canonical() if way.translated else None,
        max_output_tokens=cap,
        route_max_output_tokens=4096,
    )
    request = way.vendor.build_request(call)
    assert isinstance(request, VendorRequest), request
    found: dict[str, Any] = json.loads(request.body)
    return found


def cap_in(row: VendorRow, surface: Surface, body: dict[str, Any]) -> Any:
    """What the vendor is told, and that it is told so nowhere else."""
    place = PLACES.get(row.wire, (row.quirks.cap_field,))
    if surface == "openai.responses" and row.quirks.responses:
        place = ("max_output_tokens",)
    assert sum(json.dumps(body).count(f'"{name}"') for name in _ALL_NAMES) <= 1
    found: Any = body
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


_ALL_NAMES = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "maxTokens",
)


@pytest.mark.parametrize("surface", list(CHAT_SURFACES))
@pytest.mark.parametrize("name", ROWS)
@given(given_cap=st.none() | st.integers(16, 4000), cap=st.integers(16, 4000))
def test_the_vendor_is_told_the_lower_cap(name: str, surface: Surface, given_cap: int | None, cap: int) -> None:
    if surface == "anthropic.messages" and given_cap is None:
        given_cap = 4000  # this API's clients must give one
    row = BUILT_IN[name]
    body = built(surface, row, asked(surface, given_cap), cap)
    assert cap_in(row, surface, body) == (cap if given_cap is None else min(cap, given_cap))


@pytest.mark.parametrize("name", ROWS)
def test_without_a_budget_no_cap_is_added(name: str) -> None:
    row = BUILT_IN[name]
    expected = 4096 if row.wire == "anthropic" else None  # which must be told one
    assert cap_in(row, "openai.chat", built("openai.chat", row, asked("openai.chat", None), None)) == expected


def test_anthropics_own_clients_are_capped_too_where_they_gave_none() -> None:
    row = BUILT_IN["anthropic"]
    assert built("anthropic.messages", row, asked("anthropic.messages", None), 77)["max_tokens"] == 77


def test_a_text_to_be_filled_in_the_middle_is_capped() -> None:
    body = built("openai.chat", BUILT_IN["mistral"], asked("openai.chat", None, suffix="}"), 77)
    assert (body["max_tokens"], "prompt" in body) == (77, True)


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "gemini", "cohere"])
def test_thinking_stays_below_the_cap(name: str) -> None:
    """Tokens of thought count against the cap at all of these, and some refuse a budget that is not below it."""
    body = built("openai.chat", BUILT_IN[name], asked("openai.chat", None, reasoning={"max_tokens": 3000}), 2000)
    text = json.dumps(body)
    budgets = [
        text.split(f'"{key}": ')[1] for key in ("budget_tokens", "thinkingBudget", "token_budget") if key in text
    ]
    assert all(int(budget.split("}")[0].split(",")[0]) < 2000 for budget in budgets)
    assert len(budgets) == 1


# Which cap it is.


@given(
    client_cap=st.none() | st.integers(0, 20_000),
    gateway_cap=st.none() | st.integers(1, 20_000),
    route_cap=st.integers(1, 20_000),
    body_bytes=st.integers(0, 200_000),
    has_media=st.booleans(),
)
def test_the_cap_is_never_above_what_the_hold_covers_nor_zero(
    client_cap: int | None, gateway_cap: int | None, route_cap: int, body_bytes: int, has_media: bool
) -> None:
    there = route("v", "m", max_output_tokens=route_cap)
    input_bound = input_tokens_bound(b" " * body_bytes, there, has_media=has_media)
    cap = cap_to_tell(client_cap, gateway_cap, there, input_bound)
    assert 1 <= cap <= min(route_cap, gateway_cap or route_cap)
    if client_cap is not None:
        assert cap == min(route_cap, gateway_cap or route_cap), "a client that gave one chose it to fit"


def test_a_cap_that_the_client_did_not_ask_for_fits_beside_the_prompt() -> None:
    there = msgspec.structs.replace(route("v", "m", max_output_tokens=100_000), context_tokens=100_000)
    assert cap_to_tell(None, 90_000, there, 30_000) == 70_000
    assert cap_to_tell(None, 90_000, there, 99_999) == cap_to_tell(None, None, there, 100_000) == 25_000
    assert cap_to_tell(None, 1_000, there, 30_000) == 1_000


# Through the worker.

LEASES = ("0|b@2026-11-01|lease_1",)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("given_cap", "gateway_cap", "told"),
    [(None, 5, 5), (None, None, 800), (3, None, None), (9, 5, 5), (900, None, 800)],
)
async def test_the_bound_and_the_answer_go_by_the_cap(
    given_cap: int | None, gateway_cap: int | None, told: int | None, stream: bool
) -> None:
    async with worker_stack(route("v0", "echo:chunks=40", max_output_tokens=800)) as stack:
        body = ask(stream=stream, n=2, text="word " * 30, max_tokens=given_cap)
        await stack.serve(body, leases=LEASES, gateway_cap_tokens=gateway_cap)
        await stack.ingress.over()
        [head], [claim], [attempt] = stack.ingress.heads, stack.ingress.claims, stack.kafka.attempts()
        assert head.capped_tokens == told
        cap = told or given_cap or 0
        [lost] = USAGE.decode(bytes(claim.if_lost)).attempts
        assert lost.tokens.output == 2 * cap
        assert attempt.tokens.output <= 2 * cap
        assert attempt.tokens.output == min(2 * cap, 80), "the vendor was told it"


async def test_without_leases_the_body_keeps_the_caps_it_has() -> None:
    async with worker_stack(route("v0", "echo:chunks=40", max_output_tokens=8)) as stack:
        await stack.serve(ask(text="word " * 40))
        await stack.ingress.over()
        assert stack.ingress.heads[0].capped_tokens is None
        assert stack.kafka.attempts()[0].tokens.output == 40
