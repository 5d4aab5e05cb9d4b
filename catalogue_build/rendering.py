"""Models → the generated file, a line per route; disagreements → a page. The same input gives the same bytes. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from catalogue_build.models import Built
from catalogue_build.pins import GENAI_PRICES, LITELLM, READ_ON
from catalogue_build.routes import Disagreement
from schemas.catalogue import Model, Price, PriceTier, Route

# What is long and what nobody looks up one by one is counted only.
_MOST_LISTED = 40


def models_json(models: Iterable[Model]) -> str:
    """Fields at their default are left out, so that a line is short and a diff shows what changed."""
    head = msgspec.json.encode({"sources": [GENAI_PRICES, LITELLM], "read_on": READ_ON.isoformat()}).decode()
    return head[:-1] + ',"models":[\n' + ",\n".join(_model_lines(model) for model in models) + "\n]}\n"


def _model_lines(model: Model) -> str:
    fields = _changed(model)
    del fields["routes"]
    routes = ",\n".join(f" {_text(_route(route))}" for route in model.routes)
    return f'{_text(fields)[:-1]},"routes":[\n{routes}]}}'


def _route(route: Route) -> dict[str, Any]:
    fields = _changed(route)
    fields["prices"] = [_price(price) for price in route.prices]
    # Always written, for "nothing" is not the default.
    fields["capabilities"] = sorted(route.capabilities)
    return fields


def _price(price: Price) -> dict[str, Any]:
    fields = _changed(price)
    if price.tiers:
        fields["tiers"] = [_changed(tier) for tier in price.tiers]
    return fields


def _changed(value: Model | Route | Price | PriceTier) -> dict[str, Any]:
    return {
        field.name: given
        for field in msgspec.structs.fields(value)
        if (given := getattr(value, field.name)) != field.default
    }


def _text(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()


_ABOUT = """\
# Where the catalogue's sources disagree

Written by `make catalogue` from {sources}, read on {read_on}: {models} models, {routes} routes. Do
not edit; corrections go into `runtime/catalogue/overrides.toml`.
"""
_ABOUT_PRICES = """
## Prices

USD per million tokens, as of that day. genai-prices wins: it keeps prices as dated decimals, vendor by vendor, while
the other list holds today's only. Where it has no price for cached tokens (—), litellm's is taken if both agree on
input and output and neither has tiers. Tiers are written as `>tokens: input/output`.
"""
_ABOUT_WINDOWS = """
## Windows

In tokens. litellm wins: it has the window per vendor, where genai-prices rounds or speaks of the model. It is no
disagreement if genai-prices gives the sum of litellm's input and output: then the sum is taken.
"""


def disagreements_page(built: Built) -> str:
    prices = [row for row in built.disagreements if row.field != "window"]
    windows = [row for row in built.disagreements if row.field == "window"]
    about = _ABOUT.format(
        sources=f"{GENAI_PRICES} and {LITELLM}",
        read_on=READ_ON.isoformat(),
        models=len(built.models),
        routes=sum(len(model.routes) for model in built.models),
    )
    lines = [
        about,
        _ABOUT_PRICES,
        *_table(("route", "price", "genai-prices", "litellm", "won"), [_cells(row) for row in prices]),
        _ABOUT_WINDOWS,
        *_table(("route", "genai-prices", "litellm"), [(row.route, row.ours, row.theirs) for row in windows]),
        "\n## Left out\n",
        *_left_out(built),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: Disagreement) -> tuple[str, ...]:
    return row.route, row.field, row.ours, row.theirs, row.won


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _left_out(built: Built) -> list[str]:
    lines = []
    for reason, routes in built.left_out.items():
        listed = (
            routes if len(routes) <= _MOST_LISTED else [name for name in routes if not name.startswith("openrouter/")]
        )
        rest = len(routes) - len(listed)
        names = ", ".join(f"`{name}`" for name in listed) + (f" and {rest} of openrouter" if rest else "")
        lines.append(f"- {reason} ({len(routes)}): {names}")
    return lines
