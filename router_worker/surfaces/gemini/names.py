"""Fields under the two names that Google's JSON parser takes: `maxOutputTokens` is also `max_output_tokens`.

A `Shape` reads a body into a struct whose fields have camel-case names, whichever the client wrote. Only the structs'
own fields are renamed: what stands in a `msgspec.Raw` (arguments, schemas) is the client's, and stays byte for byte.
"""

import re
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

from router_worker.vendors.json_fields import NULL, read_fields
from schemas.failures import Failure, FailureKind

T = TypeVar("T", bound=msgspec.Struct)

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class Shape(Generic[T]):
    """Reads bodies as `kind`, whose fields are renamed to camel case (`rename="camel"`)."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        names = sorted(_snake_names(kind, set()))
        self._snake = re.compile(rb'"(?:' + b"|".join(name.encode() for name in names) + rb')"\s*:')

    def decode(self, body: bytes) -> T | Failure:
        """For structs that pass over unknown fields: renames only if there is something to rename."""
        found = self._decode(body)
        if isinstance(found, Failure) and found.kind is FailureKind.INVALID_JSON:
            return found
        return self.decode_all(body) if self._snake.search(body) else found

    def decode_all(self, body: bytes) -> T | Failure:
        """For structs that refuse unknown fields: `null` counts as not given, also where the field is unknown."""
        return self._decode(bytes(_with_camel_names(msgspec.Raw(body), self._kind)))

    def _decode(self, body: bytes) -> T | Failure:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            return _invalid(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Failure(kind=FailureKind.INVALID_JSON)


def _invalid(text: str) -> Failure:
    # msgspec's messages name types, bounds and the place, never a value of the client's.
    found = _PATH.search(text)
    path, what = (found["path"], text[: found.start()]) if found else ("", text)
    unknown = _UNKNOWN.search(what)
    if unknown is not None:
        path = f"{path}.{unknown['name']}" if path else unknown["name"]
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"{path}: the vendors of this model know no such field, and it cannot be left out.",
            param=path,
            code="unsupported_by_vendor",
        )
    missing = _MISSING.search(what)
    if missing is not None:
        path = f"{path}.{missing['name']}" if path else missing["name"]
        what = "it is required"
    return Failure(kind=FailureKind.INVALID_REQUEST, message=f"{path}: {what}" if path else what, param=path or None)


def _with_camel_names(value: msgspec.Raw, kind: Any) -> msgspec.Raw:
    """What is not of the kind that it should be is left as it is, for the decoder to refuse."""
    if get_origin(kind) is list:
        try:
            items = _ITEMS.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return value
        (item_kind,) = get_args(kind)
        return msgspec.Raw(msgspec.json.encode([_with_camel_names(item, item_kind) for item in items]))
    given = read_fields(bytes(value))
    if given is None:
        return value
    kinds = _structured_fields(kind)
    camel = _camel_names(kind)
    fields: dict[str, msgspec.Raw] = {}
    for name, raw in given.items():
        if bytes(raw) == NULL:
            continue
        new_name = camel.get(name, name)
        if new_name != name and new_name in given:
            new_name = name  # both names at once: the second one is refused as unknown, rather than one silently lost
        inner = kinds.get(new_name)
        fields[new_name] = raw if inner is None else _with_camel_names(raw, inner)
    return msgspec.Raw(msgspec.json.encode(fields))


@cache  # both are asked for each object of a body, and a body may have many
def _camel_names(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {field.name: field.encode_name for field in msgspec.structs.fields(kind)}


@cache
def _structured_fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields that are structs or lists of structs, by their names in JSON."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        for choice in get_args(field.type) or (field.type,):
            if _is_struct(choice) or (get_origin(choice) is list and _is_struct(get_args(choice)[0])):
                found[field.encode_name] = choice
        if get_origin(field.type) is list and _is_struct(get_args(field.type)[0]):
            found[field.encode_name] = field.type
    return found


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _snake_names(kind: type[msgspec.Struct], found: set[str]) -> set[str]:
    found |= {field.name for field in msgspec.structs.fields(kind) if field.name != field.encode_name}
    for inner in _structured_fields(kind).values():
        _snake_names(get_args(inner)[0] if get_origin(inner) is list else inner, found)
    return found
