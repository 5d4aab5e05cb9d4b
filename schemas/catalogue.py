"""The catalogue: model → vendor routes → dated prices. A provider makes a model; a vendor runs it."""

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

Capability = Literal["streaming", "tools", "tool_choice", "structured_output", "vision", "documents", "reasoning"]
ModelKind = Literal["chat", "embeddings", "speech"]
RouteStatus = Literal["active", "preview", "deprecated"]


class PriceTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prices of a whole request whose input (cached parts included) has more than `above_input_tokens` tokens.

    What is missing falls back as in `Price`, on this tier's own `input` and `output`.
    """

    above_input_tokens: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens, in force from `start` (UTC) until the next price of the same route starts.

    A missing special price means that such tokens cost what plain ones do: input for cached input and cache writes,
    output for reasoning. `cache_write` is a write to a vendor's short cache (minutes); `cache_write_1h` to one that
    holds for an hour, and if it is missing such a write costs what a short one does. `tiers` in order of their bound.
    `batch_input` and `batch_output` are what the vendor's own batch API costs; nothing here calls it.
    """

    start: date
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    tiers: tuple[PriceTier, ...] = ()
    source: str


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vendor that runs a model, under the vendor's own name for it. `prices` are in order of `start`."""

    vendor: str
    vendor_model: str
    prices: tuple[Price, ...]
    context_tokens: int
    max_output_tokens: int
    capabilities: frozenset[Capability] = frozenset({"streaming"})
    zero_data_retention: bool = False
    region: str | None = None
    status: RouteStatus = "active"
    facts_from: str | None = None
    """Where window, limits and capabilities come from, and the day they were read: "litellm 1.109.1, 2026-11-22"."""

    def price_at(self, day: date) -> Price | None:
        """The price in force on a UTC day; None before the first."""
        in_force = [price for price in self.prices if price.start <= day]
        return in_force[-1] if in_force else None

    def price_id(self, price: Price) -> str:
        return f"{self.vendor}/{self.vendor_model}@{price.start.isoformat()}"


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`routes` are in the order in which they are tried when no policy says otherwise."""

    model_id: str
    name: str
    provider: str
    routes: tuple[Route, ...]
    aliases: tuple[str, ...] = ()
    created: date | None = None
    kind: ModelKind = "chat"


class Catalogue:
    """All models, found by id, alias or `provider/id`, without regard to case. Immutable once built."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.models = models
        self._by_name: dict[str, Model] = {}
        for model in models:
            for name in (model.model_id, f"{model.provider}/{model.model_id}", model.name, *model.aliases):
                self._by_name[name.lower()] = model

    def find(self, name: str) -> Model | None:
        return self._by_name.get(name) or self._by_name.get(name.lower())
