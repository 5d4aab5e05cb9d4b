"""From Google's schemas to JSON schema. Format: Gemini API reference, "Schema", a subset of OpenAPI 3.0.

What differs: types are in capitals, `nullable` stands beside the type, whole numbers may be strings (int64 in proto3's
JSON), and every name may be in snake case.
"""

import re
from typing import Any

import msgspec

_NEW_NAMES = {
    "anyOf": "anyOf",
    "any_of": "anyOf",
    "additionalProperties": "additionalProperties",
    "additional_properties": "additionalProperties",
    "maxItems": "maxItems",
    "max_items": "maxItems",
    "minItems": "minItems",
    "min_items": "minItems",
    "maxLength": "maxLength",
    "max_length": "maxLength",
    "minLength": "minLength",
    "min_length": "minLength",
    "maxProperties": "maxProperties",
    "max_properties": "maxProperties",
    "minProperties": "minProperties",
    "min_properties": "minProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_COUNTS = frozenset({"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"})
_WHOLE_NUMBER = re.compile(r"\d{1,15}")
_ORDERS = ("propertyOrdering", "property_ordering")


def json_schema(schema: msgspec.Raw) -> msgspec.Raw | None:
    """None if it is not an object. What JSON schema has no word for but ignores (`example`, say) stays."""
    value = msgspec.json.decode(schema)
    return msgspec.Raw(msgspec.json.encode(_converted(value))) if isinstance(value, dict) else None


def _converted(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for given, value in schema.items():
        name = _NEW_NAMES[given] if given in _NEW_NAMES else str(given)
        if value is None or name in ("nullable", *_ORDERS) or (name == "format" and value == "enum"):
            continue
        if name == "type" and isinstance(value, str):
            if value != "TYPE_UNSPECIFIED":
                out["type"] = value.lower()
        elif name in ("properties", "$defs") and isinstance(value, dict):
            out[name] = {key: _converted(inner) for key, inner in value.items()}
        elif name in ("items", "additionalProperties"):
            out[name] = _converted(value)
        elif name in ("anyOf", "prefixItems") and isinstance(value, list):
            out[name] = [_converted(inner) for inner in value]
        elif name in _COUNTS and isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
            out[name] = int(value)
        else:
            out[name] = value
    _order(out, schema.get("propertyOrdering", schema.get("property_ordering")))
    if schema.get("nullable") is True:
        _allow_null(out)
    return out


def _order(schema: dict[str, Any], order: Any) -> None:
    """Models write the properties in the order in which they stand."""
    properties = schema.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        names = [name for name in order if isinstance(name, str) and name in properties]
        schema["properties"] = {name: properties[name] for name in dict.fromkeys([*names, *properties])}


def _allow_null(schema: dict[str, Any]) -> None:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
