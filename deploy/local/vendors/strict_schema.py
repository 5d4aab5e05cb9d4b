"""OpenAI's `strict` for JSON schemas: objects are closed, and all of their properties are required.

Source: OpenAI's guide on structured outputs, its section on supported schemas.
"""

from typing import Any


def looseness(schema: Any, where: str = "schema") -> str | None:
    """What in the schema is not strict, or None."""
    if not isinstance(schema, dict):
        return f"{where}: {type(schema).__name__} is not of type 'object'"
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            return f"{where}: 'properties' is not of type 'object', or 'required' is not of type 'array'"
        if schema.get("additionalProperties") is not False:
            return f"{where}: 'additionalProperties' is required to be supplied and to be false"
        if sorted(map(str, required)) != sorted(properties):
            return f"{where}: 'required' is required to be an array including every key in properties"
        for name, inner in properties.items():
            found = looseness(inner, f"{where}.{name}")
            if found is not None:
                return found
    items = schema.get("items")
    return looseness(items, f"{where}[]") if isinstance(items, dict) else None
