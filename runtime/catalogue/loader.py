"""The built models and TOML files over them → `schemas.catalogue.Catalogue`.

`models.json` is written by `make catalogue` and read in one go. Over it lie our own `overrides.toml` and the operator's
files, in the same form and with every problem told at once, each with its file, model and field:

    [models."my-model"]                  # the model's id, in lower case
    name = "My Model"
    provider = "me"

    [[models."my-model".routes]]         # in the order in which they are tried
    vendor = "my-vllm"
    vendor_model = "org/my-model"
    context_tokens = 32768
    max_output_tokens = 8192
    capabilities = ["streaming", "tools"]
    prices = [{ start = 2026-01-01, input = "0", output = "0", source = "own hardware" }]

Of files that define the same model the last wins, with the whole model. A further name (alias) of a built model gives
way to a model in these files that is called so; any other name that two models claim is a problem. Money is USD per
million tokens, as a string: a float would round before anybody could count.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from schemas.catalogue import Catalogue, Model, Price, PriceTier, Route

BUILT_FILE = Path(__file__).with_name("models.json")
OVERRIDES_FILE = Path(__file__).with_name("overrides.toml")

_MODEL_ID = re.compile(r"[^\sA-Z]+")
_StructT = TypeVar("_StructT", bound=msgspec.Struct)


class BuiltModels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of `models.json`; the builder answers for its sense. `read_on`: when the sources were taken."""

    sources: tuple[str, ...]
    read_on: date
    models: tuple[Model, ...]


class InvalidCatalogue(Exception):
    """Everything that is wrong, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_catalogue(overlay_files: Iterable[str | Path]) -> Catalogue:
    """The built models with our overrides and then the files' models over them. Raises InvalidCatalogue."""
    problems: list[str] = []
    documents: list[tuple[str, Mapping[str, Any]]] = []
    built: tuple[Model, ...] = ()
    try:
        built = read_built(BUILT_FILE).models
    except OSError as error:
        problems.append(f"{BUILT_FILE}: {error.strerror}")
    except msgspec.DecodeError as error:
        problems.append(f"{BUILT_FILE}: {error}")
    for path in (OVERRIDES_FILE, *map(Path, overlay_files)):
        try:
            documents.append((str(path), tomllib.loads(path.read_text(encoding="utf-8"))))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{path}: {error}")
    return build_catalogue(documents, problems, built)


def read_built(path: Path) -> BuiltModels:
    """Raises OSError and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=BuiltModels)


def build_catalogue(
    documents: Iterable[tuple[str, Mapping[str, Any]]], problems: list[str], built: Iterable[Model] = ()
) -> Catalogue:
    """Pure: parsed files, each with its name for messages, the problems so far, and models to lay them over.

    Raises InvalidCatalogue.
    """
    models: dict[str, tuple[str, Model]] = {model.model_id: (BUILT_FILE.name, model) for model in built}
    written: set[str] = set()
    built_names = {model_id: (model.name, *model.aliases) for model_id, (_, model) in models.items()}
    inherited: dict[str, tuple[str, ...]] = {}
    for file, document in documents:
        problems += [f"{file}: {name}: there is no such table" for name in document if name != "models"]
        tables = document.get("models", {})
        if not isinstance(tables, Mapping):
            problems.append(f"{file}: models: expected a table of models")
            continue
        for model_id, table in tables.items():
            model = _read_model(model_id, table, f"{file}: {model_id}", problems)
            if model is not None:
                if model_id in built_names and "aliases" not in table:
                    inherited[model_id] = built_names[model_id]
                else:
                    inherited.pop(model_id, None)
                models[model_id] = (file, model)
                written.add(model_id)
    _inherit_names(models, inherited, written)
    _give_way(models, written)
    _refuse_duplicate_names(models, problems)
    if problems:
        raise InvalidCatalogue(problems)
    return Catalogue(tuple(model for _, model in models.values()))


def _read_model(model_id: str, table: Any, where: str, problems: list[str]) -> Model | None:
    before = len(problems)
    if not _MODEL_ID.fullmatch(model_id):
        problems.append(f"{where}: a model's id has no capital letters and no spaces")
    if isinstance(table, Mapping) and "model_id" in table:
        problems.append(f"{where}: model_id: is the table's own name")
    model = _read_struct(Model, table, where, problems, {"model_id": model_id}, routes=_read_routes)
    return model if len(problems) == before else None


def _read_routes(value: Any, where: str, problems: list[str]) -> tuple[Route, ...]:
    routes = [
        _read_struct(Route, table, f"{where}[{number}]", problems, {}, prices=_read_prices)
        for number, table in enumerate(_list(value, where, problems))
    ]
    seen: set[tuple[str, str]] = set()
    for number, route in enumerate(routes):
        if route is None:
            continue
        if (route.vendor, route.vendor_model) in seen:
            problems.append(f"{where}[{number}]: the model has this vendor and vendor_model already")
        seen.add((route.vendor, route.vendor_model))
        problems += [
            f"{where}[{number}].{name}: must be positive"
            for name in ("context_tokens", "max_output_tokens")
            if getattr(route, name) <= 0
        ]
    return tuple(route for route in routes if route is not None)


def _read_prices(value: Any, where: str, problems: list[str]) -> tuple[Price, ...]:
    prices = [
        _read_struct(Price, table, f"{where}[{number}]", problems, {}, tiers=_read_tiers)
        for number, table in enumerate(_list(value, where, problems))
    ]
    whole = sorted((price for price in prices if price is not None), key=lambda price: price.start)
    starts = [price.start for price in whole]
    problems += [
        f"{where}: two prices start on {start}" for start in sorted({s for s in starts if starts.count(s) > 1})
    ]
    return tuple(whole)


def _read_tiers(value: Any, where: str, problems: list[str]) -> tuple[PriceTier, ...]:
    tiers = [
        _read_struct(PriceTier, table, f"{where}[{number}]", problems, {})
        for number, table in enumerate(_list(value, where, problems))
    ]
    whole = sorted((tier for tier in tiers if tier is not None), key=lambda tier: tier.above_input_tokens)
    bounds = [tier.above_input_tokens for tier in whole]
    problems += [
        f"{where}: two tiers begin above {bound}" for bound in sorted({b for b in bounds if bounds.count(b) > 1})
    ]
    return tuple(whole)


def _read_struct(
    struct_type: type[_StructT],
    table: Any,
    where: str,
    problems: list[str],
    given: Mapping[str, Any],
    **readers: Any,
) -> _StructT | None:
    """Field by field, because msgspec stops at the first problem and an operator wants to hear of all."""
    if not isinstance(table, Mapping):
        problems.append(f"{where}: expected a table")
        return None
    before = len(problems)
    fields = {field.name: field for field in msgspec.structs.fields(struct_type) if field.name not in given}
    problems += [
        f"{where}: {name}: there is no such field" for name in table if name not in fields and name not in given
    ]
    values = dict(given)
    for name, field in fields.items():
        if name not in table:
            if field.required:
                problems.append(f"{where}: {name}: is required")
        elif name in readers:
            values[name] = readers[name](table[name], f"{where}: {name}", problems)
        else:
            try:
                values[name] = _read_value(table[name], field.type)
            except (ValueError, msgspec.ValidationError) as error:
                problems.append(f"{where}: {name}: {error}")
    return struct_type(**values) if len(problems) == before else None


def _read_value(value: Any, wanted: Any) -> Any:
    if wanted is Decimal or Decimal in get_args(wanted):
        return _read_money(value)
    return msgspec.convert(value, wanted)


def _read_money(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise ValueError('write money as a string, like "0.10"')
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("is not a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("must be a finite amount, not below zero")
    return amount


def _list(value: Any, where: str, problems: list[str]) -> list[Any]:
    if not isinstance(value, list) or not value:
        problems.append(f"{where}: expected a list with at least one entry")
        return []
    return value


def _inherit_names(
    models: dict[str, tuple[str, Model]], inherited: Mapping[str, tuple[str, ...]], written: Collection[str]
) -> None:
    """Who changes a built model's price does not mean to take its further names away, unless he writes others, or gives
    one of them to another model."""
    taken = {name for model_id in written for name in _names(models[model_id][1])}
    for model_id, names in inherited.items():
        file, model = models[model_id]
        kept = [name for name in dict.fromkeys(names) if name.lower() not in taken]
        models[model_id] = (file, msgspec.structs.replace(model, aliases=(*model.aliases, *kept)))


def _give_way(models: dict[str, tuple[str, Model]], written: set[str]) -> None:
    """Else a new build, with one more name in it, could keep an operator's own model from loading."""
    taken = {name for model_id in written for name in _names(models[model_id][1])}
    for model_id, (file, model) in models.items():
        if model_id not in written and not taken.isdisjoint(alias.lower() for alias in model.aliases):
            left = tuple(alias for alias in model.aliases if alias.lower() not in taken)
            models[model_id] = (file, msgspec.structs.replace(model, aliases=left))


def _names(model: Model) -> set[str]:
    names = (model.model_id, f"{model.provider}/{model.model_id}", model.name, *model.aliases)
    return {name.lower() for name in names}


def _refuse_duplicate_names(models: Mapping[str, tuple[str, Model]], problems: list[str]) -> None:
    owners: dict[str, str] = {}
    for model_id, (file, model) in models.items():
        for name in sorted(_names(model)):
            owner = owners.setdefault(name, model_id)
            if owner != model_id:
                problems.append(f"{file}: {model_id}: the name {name!r} is that of {owner!r} already")
