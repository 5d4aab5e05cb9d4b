"""A value that fits a JSON schema, for tool arguments and structured answers. Strings are the caller's own text."""

from typing import Any

_MAX_DEPTH = 12


def example(schema: dict[str, Any], text: str) -> Any:
    """Reads the parts of JSON schema that tool definitions and answer formats use, Gemini's capital type names too.

    Numbers, lengths and the number of items are as small as the schema allows; `required` properties only, or all
    of them where none is. A schema that leads into itself ends in null.
    """
    return _example(schema, text, schema, 0)


def _example(schema: dict[str, Any], text: str, root: dict[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return _example(_referred(schema["$ref"], root), text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for alternatives in ("anyOf", "oneOf", "allOf", "any_of"):
        if schema.get(alternatives):
            return _example(schema[alternatives][0], text, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema or not schema else None)
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    match kind.lower() if isinstance(kind, str) else "string":
        case "object":
            properties = schema.get("properties", {})
            return {
                name: _example(properties.get(name, {"type": "string"}), text, root, depth + 1)
                for name in schema.get("required") or properties
            }
        case "array":
            item = _example(schema.get("items", {"type": "string"}), text, root, depth + 1)
            return [item] * max(1, int(schema.get("minItems", 1)))
        case "integer" | "number":
            return max(1, schema["minimum"]) if "minimum" in schema else min(1, schema.get("maximum", 1))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            # Padded and cut in characters, as JSON schema counts.
            fitting = text.ljust(int(schema.get("minLength", 0)), ".")
            return fitting[: int(schema.get("maxLength", len(fitting)))]


def _referred(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step) if isinstance(found, dict) and step else found
    return found if isinstance(found, dict) else {}
