"""JSON schemas as Anthropic's structured output takes them. Source: Claude docs, "Structured outputs" (limitations)."""

from typing import Any

import msgspec

_OF_SCHEMAS = ("properties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "not")


def closed(schema: msgspec.Raw) -> msgspec.Raw:
    """Objects that do not say whether they may have other properties now say that they may not: Anthropic wants that
    said, while other formats leave it open. What a schema says itself stays. Raises DecodeError if it is not JSON."""
    return msgspec.Raw(msgspec.json.encode(_closed(msgspec.json.decode(schema))))


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for name in _OF_SCHEMAS:
        if isinstance(out.get(name), dict):
            out[name] = {key: _closed(each) for key, each in out[name].items()}
    for name in _LISTS_OF_SCHEMAS:
        if isinstance(out.get(name), list):
            out[name] = [_closed(each) for each in out[name]]
    for name in _SCHEMAS:
        if name in out:
            out[name] = _closed(out[name])
    if out.get("type") == "object" or "properties" in out:
        out.setdefault("additionalProperties", False)
    return out
