"""GET /v1/models and /v1/models/{id}: OpenAI's form, and for one model what the catalogue knows besides. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from schemas.catalogue import Catalogue, Model, Price, PriceTier, Route
from schemas.failures import Failure, FailureKind
from schemas.tenancy import ApiKey

_PRICES = ("input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning")
_BATCH_PRICES = ("batch_input", "batch_output")


class ModelsPage:
    """The list of all models is rendered once: the catalogue does not change while the process runs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._all = _listed(catalogue.models)

    def list_for(self, key: ApiKey) -> bytes:
        """What the key may call."""
        if not key.models:
            return self._all
        return _listed([model for model in self._catalogue.models if may_call(key, model, self._catalogue)])

    def one(self, name: str, key: ApiKey) -> bytes | Failure:
        """OpenAI's four fields, then the model's own: clients of OpenAI's API ignore fields that they do not know."""
        model = self._catalogue.find(name)
        if model is None or not may_call(key, model, self._catalogue):
            return model_not_found(name)
        return msgspec.json.encode(_entry(model) | _facts(model))


def may_call(key: ApiKey, model: Model, catalogue: Catalogue) -> bool:
    """A key's list may use any of a model's names; an empty one allows all."""
    return not key.models or any(catalogue.find(name) is model for name in key.models)


def _listed(models: Iterable[Model]) -> bytes:
    return msgspec.json.encode({"object": "list", "data": [_entry(model) for model in models]})


def model_not_found(name: str, param: str = "model") -> Failure:
    """`param`: the field of the request that named it."""
    return Failure(
        kind=FailureKind.MODEL_NOT_FOUND,
        message=f"The model '{name}' does not exist here. GET /v1/models lists those that do.",
        param=param,
    )


def _entry(model: Model) -> dict[str, object]:
    created = datetime.combine(_created(model), datetime.min.time(), UTC)
    return {"id": model.model_id, "object": "model", "created": int(created.timestamp()), "owned_by": model.provider}


def _created(model: Model) -> date:
    """Clients show it; where the catalogue has no date, the first price's is the nearest thing to one."""
    starts = (price.start for route in model.routes for price in route.prices)
    return model.created or min(starts, default=date(1970, 1, 1))


def _facts(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "aliases": list(model.aliases),
        "routes": [_route(route) for route in model.routes],
    }


def _route(route: Route) -> dict[str, object]:
    return {
        "vendor": route.vendor,
        "vendor_model": route.vendor_model,
        "context_tokens": route.context_tokens,
        "max_output_tokens": route.max_output_tokens,
        "capabilities": sorted(route.capabilities),
        "zero_data_retention": route.zero_data_retention,
        "region": route.region,
        "status": route.status,
        "facts_from": route.facts_from,
        "prices": [_price(price) for price in route.prices],
    }


def _price(price: Price) -> dict[str, object]:
    """`usd_per_million_tokens` has only the prices there are; what falls back on what stands in `schemas.catalogue`."""
    return {
        "start": price.start.isoformat(),
        "usd_per_million_tokens": _usd(price, (*_PRICES, *_BATCH_PRICES)),
        "tiers": [
            {"above_input_tokens": tier.above_input_tokens, "usd_per_million_tokens": _usd(tier, _PRICES)}
            for tier in price.tiers
        ],
        "source": price.source,
    }


def _usd(price: Price | PriceTier, names: tuple[str, ...]) -> dict[str, str]:
    """Strings, because a JSON number is a float to most who read it; never in exponents."""
    given: dict[str, Decimal | None] = {name: getattr(price, name) for name in names}
    return {name: format(usd, "f") for name, usd in given.items() if usd is not None}
