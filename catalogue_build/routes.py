"""One candidate → one priced route, with what the two sources do not agree on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from catalogue_build.candidates import Candidate
from catalogue_build.facts import Facts, Unusable, borrowed, facts_of, window_of
from catalogue_build.pins import BOTH_SOURCES, FACTS_SOURCE, PRICE_SOURCE
from catalogue_build.prices import NotPriced, differences, litellm_price, prices_of, with_special_prices
from schemas.catalogue import Price, Route

# Bedrock keeps neither prompts nor answers and passes them on to no model provider; its data protection page says so of
# all of it, without a contract or a switch. Others offer as much by agreement only, which an operator states in a file
# of overrides.
_ZERO_DATA_RETENTION = frozenset({"bedrock"})


@dataclass(frozen=True)
class Disagreement:
    """`ours`, `theirs`: what genai-prices and litellm say."""

    route: str
    field: str
    ours: str
    theirs: str
    won: str


@dataclass(frozen=True)
class Draft:
    """A priced candidate. `facts` None: litellm does not know it, so they must be borrowed from the model's others."""

    candidate: Candidate
    prices: tuple[Price, ...]
    facts: Facts | None
    facts_from: str
    disagreements: tuple[Disagreement, ...]

    @property
    def name(self) -> str:
        return f"{self.candidate.vendor}/{self.candidate.vendor_model}"


def draft(candidate: Candidate, today: date) -> Draft:
    """Raises NotPriced or Unusable."""
    name = f"{candidate.vendor}/{candidate.vendor_model}"
    prices = prices_of(candidate.model, PRICE_SOURCE, output_is_free=candidate.kind == "embeddings")
    found: list[Disagreement] = []
    row, facts = candidate.row, None
    if row is not None:
        window = window_of(row, candidate.model)
        if window is None:
            raise Unusable("no source knows its window")
        if window.beaten is not None:
            found.append(Disagreement(name, "window", f"{window.beaten:,}", f"{window.tokens:,}", "litellm"))
        deprecated = candidate.model.deprecated or candidate.withdrawn
        facts = facts_of(row, window.tokens, candidate.kind, name, deprecated, today)
        theirs = litellm_price(row, today, FACTS_SOURCE)
        if theirs is not None:
            if "latest" in candidate.vendor_model and (theirs.input, theirs.output) != _plain(prices, today):
                raise NotPriced("a name that moves from model to model, and the sources differ on its price")
            prices, differing = _compared(prices, theirs, name, today)
            found += differing
    return Draft(candidate, prices, facts, FACTS_SOURCE, tuple(found))


def _compared(
    prices: tuple[Price, ...], theirs: Price, name: str, today: date
) -> tuple[tuple[Price, ...], list[Disagreement]]:
    """Only the price of today can be compared: litellm knows no other."""
    now = _now(prices, today)
    ours = prices[now]
    filled = with_special_prices(ours, theirs, BOTH_SOURCES)
    found = [
        Disagreement(
            name, field, said, other, "litellm" if getattr(filled, field) != getattr(ours, field) else "genai-prices"
        )
        for field, said, other in differences(ours, theirs)
    ]
    return (*prices[:now], filled, *prices[now + 1 :]), found


def _now(prices: tuple[Price, ...], today: date) -> int:
    return max(place for place, price in enumerate(prices) if price.start <= today)


def _plain(prices: tuple[Price, ...], today: date) -> tuple[Decimal, Decimal]:
    price = prices[_now(prices, today)]
    return price.input, price.output


def with_borrowed_facts(drafts: Iterable[Draft]) -> list[Draft]:
    """Of drafts of one model: those that litellm does not know get what all that it knows can do. Without any that it
    knows they are dropped."""
    known = list(drafts)
    facts = [each.facts for each in known if each.facts is not None]
    complete: list[Draft] = []
    for each in known:
        given = each.facts
        label = each.facts_from
        if given is None:
            deprecated = each.candidate.model.deprecated or each.candidate.withdrawn
            given = borrowed(facts, each.candidate.model.context_window, deprecated)
            label = f"{BOTH_SOURCES}: as the model's other routes"
        if given is not None:
            complete.append(Draft(each.candidate, each.prices, given, label, each.disagreements))
    return complete


def route_of(each: Draft) -> Route:
    assert each.facts is not None, "borrow facts first"
    return Route(
        vendor=each.candidate.vendor,
        vendor_model=each.candidate.vendor_model,
        prices=each.prices,
        context_tokens=each.facts.context_tokens,
        max_output_tokens=each.facts.max_output_tokens,
        capabilities=each.facts.capabilities,
        zero_data_retention=each.candidate.vendor in _ZERO_DATA_RETENTION,
        region=each.candidate.region,
        status=each.facts.status,
        facts_from=each.facts_from,
    )
