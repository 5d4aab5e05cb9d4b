"""genai-prices' packaged data: a Python file of nested constructor calls, read as data and never run.

Read as a syntax tree, because importing the package would need its dependencies, and because its values must stay the
Decimals that they are written as. What the fields mean stands in its `types.py`: prices are USD per million tokens; of
several prices the last whose constraint holds is in force; a tier applies to the whole request, from one token above
its `start`; a token kind without a price costs what the kind that it is part of does.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Tiered:
    """`tiers`: (start, price), ascending; `price` holds for requests with more input tokens than `start`."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]


PriceTable = Mapping[str, Decimal | Tiered]
"""genai-prices' price keys (`input_mtok`, ...) → USD per million tokens."""


@dataclass(frozen=True)
class DatedPrices:
    """`start` None: from the beginning. by_time_of_day: in force for some hours of each day only."""

    start: date | None
    by_time_of_day: bool
    prices: PriceTable


@dataclass(frozen=True)
class GenaiModel:
    """`variants`: prices for requests that ask for something special, as (what they ask for, dated prices)."""

    model_id: str
    match: Mapping[str, Any]
    prices: tuple[DatedPrices, ...]
    variants: tuple[tuple[Mapping[str, str], DatedPrices], ...] = ()
    name: str | None = None
    context_window: int | None = None
    deprecated: bool = False


@dataclass(frozen=True)
class GenaiProvider:
    provider_id: str
    models: tuple[GenaiModel, ...]
    fallbacks: tuple[str, ...] = field(default=())


class UnknownForm(Exception):
    """The file has something that this reader does not know: a new version of it has to be read anew."""


def read_providers(source: str) -> dict[str, GenaiProvider]:
    """Raises UnknownForm."""
    for statement in ast.parse(source).body:
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.target.id == "providers"
            and statement.value is not None
        ):
            providers = [_provider(each) for each in _value(statement.value)]
            return {provider.provider_id: provider for provider in providers}
    raise UnknownForm("no list of providers")


def find_model(providers: Mapping[str, GenaiProvider], provider_id: str, name: str) -> GenaiModel | None:
    """The model that a vendor's name for it means there; the vendor's own rows first, then its fallbacks' (Azure sells
    OpenAI's models at OpenAI's prices, and so on)."""
    provider = providers[provider_id]
    for each in (provider, *(providers[fallback] for fallback in provider.fallbacks)):
        for model in each.models:
            if matches(model.match, name.lower()):
                return model
    return None


def matches(clause: Mapping[str, Any], name: str) -> bool:
    match clause:
        case {"equals": str(text)}:
            return name == text.lower()
        case {"starts_with": str(text)}:
            return name.startswith(text.lower())
        case {"ends_with": str(text)}:
            return name.endswith(text.lower())
        case {"contains": str(text)}:
            return text.lower() in name
        case {"regex": str(text)}:
            return re.search(text, name) is not None
        case {"or_": list(clauses)}:
            return any(matches(each, name) for each in clauses)
        case {"and_": list(clauses)}:
            return all(matches(each, name) for each in clauses)
    raise UnknownForm(f"a match by {sorted(clause)}")


def _provider(fields: Mapping[str, Any]) -> GenaiProvider:
    return GenaiProvider(
        provider_id=fields["id"],
        models=tuple(_model(each) for each in fields.get("models") or ()),
        fallbacks=tuple(fields.get("fallback_model_providers") or ()),
    )


def _model(fields: Mapping[str, Any]) -> GenaiModel:
    given = fields["prices"]
    rows: Sequence[Mapping[str, Any]] = given if isinstance(given, list) else [{"prices": given}]
    return GenaiModel(
        model_id=fields["id"],
        match=fields["match"],
        prices=tuple(_dated(row) for row in rows),
        variants=tuple((row["when"], _dated(row)) for row in fields.get("price_variants") or ()),
        name=fields.get("name"),
        context_window=fields.get("context_window"),
        deprecated=bool(fields.get("deprecated")),
    )


def _dated(row: Mapping[str, Any]) -> DatedPrices:
    constraint = row.get("constraint") or {}
    return DatedPrices(
        start=constraint.get("start_date"),
        by_time_of_day="start_time" in constraint,
        prices={key: _price(value) for key, value in row["prices"].items() if value is not None},
    )


def _price(value: Any) -> Decimal | Tiered:
    if isinstance(value, Decimal):
        return value
    return Tiered(value["base"], tuple(sorted((tier["start"], tier["price"]) for tier in value["tiers"])))


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=elements):
            return [_value(element) for element in elements]
        case ast.Dict(keys=keys, values=values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str(text))]):
            return Decimal(text)
        case ast.Call(func=ast.Attribute(attr="date"), args=arguments):
            return date(*(_value(argument) for argument in arguments))
        case ast.Call(func=ast.Attribute(attr="time")):
            return "a time of day"
        case ast.Call(args=[], keywords=keywords):
            return {keyword.arg: _value(keyword.value) for keyword in keywords}
    raise UnknownForm(ast.unparse(node)[:80])
