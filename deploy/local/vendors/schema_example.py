"""A value that fits a JSON schema, for tool arguments and structured answers. Strings are the caller's own text."""

from typing import Any

_MAX_DEPTH = 12
_LONGEST = 1_000_000


def example(schema: dict[str, Any], text: str) -> Any:
    """Reads the parts of JSON schema that tool definitions and answer formats use, Gemini's capital type names too.

    Numbers, lengths and the number of items are as small as the schema allows; `required` properties only, or all
    of them where none is. A schema that leads into itself ends in null; what is no schema fits anything.
    """
    return _example(schema, text, schema, 0)


def _example(schema: Any, text: str, root: dict[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH or not isinstance(schema, dict):
        return None
    if isinstance(reference := schema.get("$ref"), str):
        return _example(_referred(reference, root), text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    for alternatives in ("enum", "anyOf", "oneOf", "allOf", "any_of"):
        if isinstance(found := schema.get(alternatives), list) and found:
            return found[0] if alternatives == "enum" else _example(found[0], text, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema or not schema else None)
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    match kind.lower() if isinstance(kind, str) else "string":
        case "object":
            properties = schema.get("properties")
            properties = properties if isinstance(properties, dict) else {}
            required = schema.get("required")
            names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
            return {
                name: _example(properties.get(name, {"type": "string"}), text, root, depth + 1)
                for name in names or properties
            }
        case "array":
            item = _example(schema.get("items", {"type": "string"}), text, root, depth + 1)
            return [item] * max(1, _bound(schema, "minItems", 1))
        case "integer" | "number":
            least = _bound(schema, "minimum", 1)
            return max(1, least) if "minimum" in schema else min(1, _bound(schema, "maximum", 1))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            # Padded and cut in characters, as JSON schema counts.
            fitting = text.ljust(_bound(schema, "minLength", 0), ".")
            return fitting[: _bound(schema, "maxLength", len(fitting))]


def _bound(schema: dict[str, Any], name: str, otherwise: int) -> Any:
    """Google writes the numbers of lengths as strings."""
    found = schema.get(name, otherwise)
    if isinstance(found, str):
        found = int(found) if found.isascii() and found.isdigit() and len(found) < 10 else otherwise
    lengths = name not in ("minimum", "maximum")
    if isinstance(found, bool) or not isinstance(found, int | float) or (lengths and not 0 <= found <= _LONGEST):
        return otherwise
    return int(found) if lengths else found


def _referred(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step) if isinstance(found, dict) and step else found
    return found if isinstance(found, dict) else {}
