"""What a request can cost at most, before anything is known but its bytes. Pure.

It is what the ingress holds; it need not be exact, because what counts is the bound that the worker names in each claim
(`Claim.bound_pico_usd`), and a hold that is too small is extended then. But one that is right saves the extension.
"""

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from schemas.catalogue import Catalogue, Price, PriceTier, Route
from schemas.envelope import Surface

TEMPLATE_TOKENS = 1024
"""What chat templates, tool preambles and answer schemas add to the tokens that are in the body. The worker's bound has
the same (`router_worker/estimate.py`)."""

REWRITE_TOKENS = 128

_PICO_PER_TOKEN = Decimal(10**6)
"""Prices are USD per million tokens."""


class WorstCase(NamedTuple):
    """`input_pico_usd`: for reading the request. `output_token_pico_usd`: for each token that may be generated, over
    all choices. `output_tokens`: the client's cap per choice, or, with `capped` False, the most that a route can
    generate. `tokens`: input and output together, for rate limits. All of the dearest route that the request may take.
    """

    input_pico_usd: int
    output_token_pico_usd: int
    output_tokens: int
    capped: bool
    tokens: int

    def cost_pico_usd(self, output_tokens: int) -> int:
        return self.input_pico_usd + output_tokens * self.output_token_pico_usd


FREE = WorstCase(0, 0, 0, True, 0)


class _RouteCase(NamedTuple):
    context_tokens: int
    max_output_tokens: int
    input_token_pico_usd: int
    output_token_pico_usd: int


class WorstCases:
    """Prices count from `today` (UTC) on, those of the future too: the highest that will be in force."""

    def __init__(self, catalogue: Catalogue, today: date) -> None:
        self._find = catalogue.find
        self._routes = {
            model.model_id: tuple({_route_case(route, today) for route in model.routes}) for model in catalogue.models
        }

    def worst_case(
        self, models: Iterable[str], body: bytes, max_output_tokens: int | None, choices: int, surface: Surface
    ) -> WorstCase:
        """Over every route of the models (ids or names; unknown ones count nothing). `max_output_tokens`: the client's
        cap per choice. `choices`: how many answers it asked for."""
        if surface == "anthropic.count_tokens":
            return FREE
        generates = surface != "openai.embeddings"
        text_tokens = None if generates and _may_have_media(body) else _text_tokens(len(body))
        input_pico = output_pico = input_most = output_most = 0
        for name in models:
            model = self._find(name)
            for route in self._routes[model.model_id] if model is not None else ():
                context, most, input_price, output_price = route
                read = context if text_tokens is None or text_tokens > context else text_tokens
                if max_output_tokens is not None and max_output_tokens < most:
                    most = max_output_tokens
                # Comparisons, not max(): this is on every request's way, for every route.
                if read > input_most:
                    input_most = read
                if read * input_price > input_pico:
                    input_pico = read * input_price
                if most > output_most:
                    output_most = most
                if output_price > output_pico:
                    output_pico = output_price
        if not generates:
            return WorstCase(input_pico, 0, 0, True, input_most)
        choices = max(1, choices)
        return WorstCase(
            input_pico,
            output_pico * choices,
            output_most,
            max_output_tokens is not None,
            input_most + output_most * choices,
        )


def _text_tokens(body_bytes: int) -> int:
    """The worker's bound is of the longer of two bodies, the client's and the vendor's. What is added on the way (a
    cap, stream options, the wrappers of another format) must be held too: where nothing is left to extend a hold with,
    the request would fail at its claim."""
    return body_bytes + body_bytes // 8 + REWRITE_TOKENS + TEMPLATE_TOKENS


def _may_have_media(body: bytes) -> bool:
    """Images and documents are not bounded by their bytes. A name that is written with escapes goes unseen: then the
    worker asks for more."""
    # First what is common to two of them: each search goes over the whole body.
    return (
        (b"image" in body and (b'"image' in body or b'"input_image' in body))
        or (b"inline" in body and (b"inline_data" in body or b"inlineData" in body))
        or b'"document"' in body
        or b'"file"' in body
    )


def _route_case(route: Route, today: date) -> _RouteCase:
    in_force = route.price_at(today)
    prices = [price for price in route.prices if price is in_force or price.start > today]
    steps: list[Price | PriceTier] = [*prices, *(tier for price in prices for tier in price.tiers)]
    # Which tokens will be written to a cache or be reasoning, and which tier they reach, is not known.
    inputs = [usd for step in steps for usd in (step.input, step.cached_input, step.cache_write, step.cache_write_1h)]
    outputs = [usd for step in steps for usd in (step.output, step.reasoning)]
    return _RouteCase(route.context_tokens, route.max_output_tokens, _highest(inputs), _highest(outputs))


def _highest(usd_per_million: list[Decimal | None]) -> int:
    """Pico-USD of a token, rounded up."""
    highest = max((usd for usd in usd_per_million if usd is not None), default=Decimal(0))
    return int((highest * _PICO_PER_TOKEN).to_integral_value(rounding=ROUND_CEILING))
