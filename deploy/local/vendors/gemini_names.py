"""Google takes a field's name in camel case or in snake case, and its own Python client sends both in one body."""

from typing import Any

import orjson

# What is the caller's own below these is not Google's to name.
_FREE = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema", "example", "default"})


def in_camel_case(body: bytes) -> bytes:
    """A body that is JSON, with all of Google's own names in camel case. Raises ValueError if a number is too great."""
    return orjson.dumps(_camel(orjson.loads(body)))


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed: dict[str, Any] = {}
    for name, inner in value.items():
        first, *rest = name.split("_")
        camel = first + "".join(part.capitalize() for part in rest)
        if camel in _FREE:
            renamed[camel] = inner
        elif camel == "properties" and isinstance(inner, dict):
            renamed[camel] = {key: _camel(schema) for key, schema in inner.items()}
        else:
            renamed[camel] = _camel(inner)
    return renamed
