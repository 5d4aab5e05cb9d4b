"""The fields of an operation → options of a command line → a query or a body. Pure.

The server checks values and says what is wrong, by the same names; here they are only given the right type.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import inspect

Kind = Literal["text", "number", "switch", "texts", "numbers", "json"]

NOT_OPTIONS = frozenset({"cursor", "limit"})
"""Pages are followed by the command itself."""


@dataclass(frozen=True, slots=True)
class Option:
    """path: where the value goes: ("limits", "requests_per_minute"). empty: what clears the field, in a change."""

    path: tuple[str, ...]
    kind: Kind
    required: bool
    choices: tuple[str, ...] | None
    nullable: bool

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def flag(self) -> str:
        return flag(self.name)

    @property
    def dest(self) -> str:
        return "field_" + "__".join(self.path)


def flag(name: str) -> str:
    """How a field of the API is called on the command line."""
    return "--" + name.replace("_", "-")


def options_of(struct: type[msgspec.Struct] | None) -> list[Option]:
    if struct is None:
        return []
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return [option for option in _options(described, ()) if option.name not in NOT_OPTIONS]


def clearable(options: list[Option]) -> dict[str, Any]:
    """Field → what clears it."""
    empty: dict[str, Any] = {}
    for option in options:
        if len(option.path) > 1:
            empty.setdefault(option.path[0], {})[option.name] = None
        elif option.kind in ("texts", "numbers", "json"):
            empty[option.name] = []
        elif option.nullable:
            empty[option.name] = None
    return empty


def add_options(parser: argparse.ArgumentParser, options: list[Option]) -> None:
    for option in options:
        shape: dict[str, Any] = {"dest": option.dest, "required": option.required, "default": None}
        if option.kind == "switch":
            parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, **shape)
            continue
        if option.kind == "texts":
            shape |= {"type": _texts, "metavar": "A,B"}
        elif option.kind == "numbers":
            shape |= {"type": _numbers, "metavar": "N,N"}
        elif option.kind == "json":
            shape |= {"type": _json, "metavar": "JSON"}
        elif option.kind == "number":
            shape |= {"type": int, "metavar": "N"}
        else:
            shape["metavar"] = None if option.choices else option.name.rpartition("_")[2].upper()
        parser.add_argument(option.flag, choices=option.choices, **shape)


def given(options: list[Option], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as a JSON object."""
    values: dict[str, Any] = {}
    for option in options:
        value = arguments.get(option.dest)
        if value is not None:
            inner = values
            for name in option.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[option.name] = value
    return values


def as_query(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}


def _options(struct: inspect.StructType, above: tuple[str, ...]) -> Iterator[Option]:
    for field in struct.fields:
        kind, nullable = _plain(field.type)
        path = (*above, field.encode_name)
        if isinstance(kind, inspect.StructType):
            yield from _options(kind, path)
            continue
        choices = tuple(map(str, kind.values)) if isinstance(kind, inspect.LiteralType) else None
        yield Option(path, _kind(kind), field.required, choices, nullable)


def _plain(described: inspect.Type) -> tuple[inspect.Type, bool]:
    """The type of a value that is given, and whether null may be, too."""
    while isinstance(described, inspect.Metadata):
        described = described.type
    if not isinstance(described, inspect.UnionType):
        return described, False
    real = [each for each in described.types if not isinstance(each, inspect.NoneType)]
    assert len(real) == 1, f"a field of several types has no form on a command line: {described}"
    return _plain(real[0])[0], any(isinstance(each, inspect.NoneType) for each in described.types)


def _kind(described: inspect.Type) -> Kind:
    if isinstance(described, inspect.BoolType):
        return "switch"
    if isinstance(described, inspect.IntType):
        return "number"
    if isinstance(described, inspect.VarTupleType):
        item, _ = _plain(described.item_type)
        if isinstance(item, inspect.StructType):
            return "json"
        return "numbers" if isinstance(item, inspect.IntType) else "texts"
    return "text"


def _texts(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        # An empty shell variable must not open a key to every model.
        raise argparse.ArgumentTypeError("it is empty; --clear takes a list away")
    return found


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in _texts(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': expected numbers with commas") from error


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from error
