"""Whether a value is as a JSON schema says: the part of JSON Schema that the document uses, and an error for any other.

Our own few lines, because no validator is among the project's dependencies.
"""

import re
from datetime import date, datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "deprecated"})


def problems_of(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """Empty if it fits. `root`: the document that `$ref`s are about."""
    problems: list[str] = []
    for word, expected in schema.items():
        if word in _SAYS_NOTHING:
            continue
        problems += _word(word, expected, value, schema, root, at)
    return problems


def _word(word: str, expected: Any, value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    match word:
        case "$ref":
            target: Any = root
            for part in expected.removeprefix("#/").split("/"):
                target = target[part]
            return problems_of(value, target, root, at)
        case "anyOf":
            tried = [problems_of(value, each, root, at) for each in expected]
            return [] if any(not each for each in tried) else [f"{at}: fits none of {len(tried)}: {tried}"]
        case "type":
            fits = isinstance(value, _TYPES[expected]) and not (isinstance(value, bool) and expected != "boolean")
            return [] if fits else [f"{at}: {value!r} is not of type {expected}"]
        case "enum":
            return [] if value in expected else [f"{at}: {value!r} is none of {expected}"]
        case "properties":
            return [
                problem
                for name, each in expected.items()
                if isinstance(value, dict) and name in value
                for problem in problems_of(value[name], each, root, f"{at}.{name}")
            ]
        case "required":
            return [f"{at}: {name} is missing" for name in expected if isinstance(value, dict) and name not in value]
        case "additionalProperties":
            known = schema.get("properties", {})
            others = [name for name in value if name not in known] if isinstance(value, dict) else []
            if expected is False:
                return [f"{at}: unknown field {name}" for name in others]
            rule = {} if expected is True else expected
            return [problem for name in others for problem in problems_of(value[name], rule, root, f"{at}.{name}")]
        case "items":
            if not isinstance(value, list) or expected is True:
                return []
            return [p for n, each in enumerate(value) for p in problems_of(each, expected, root, f"{at}[{n}]")]
        case "pattern":
            return [] if not isinstance(value, str) or re.search(expected, value) else [f"{at}: not like {expected}"]
        case "format":
            return _format(expected, value, at)
        case "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems":
            return _bound(word, expected, value, at)
    raise AssertionError(f"{at}: the validator of the tests does not know '{word}'")


def _format(name: str, value: Any, at: str) -> list[str]:
    if not isinstance(value, str):
        return []
    try:
        if name == "date-time":
            assert datetime.fromisoformat(value).tzinfo is not None
        elif name == "date":
            date.fromisoformat(value)
        else:
            raise AssertionError(f"{at}: the validator of the tests does not know the format {name}")
    except ValueError:
        return [f"{at}: {value!r} is no {name}"]
    return []


def _bound(word: str, bound: int, value: Any, at: str) -> list[str]:
    if word in ("minimum", "maximum"):
        if not isinstance(value, int | float):
            return []
        size: float = value
    else:
        if not isinstance(value, str if word.endswith("Length") else list):
            return []
        size = len(value)
    fits = size >= bound if word.startswith("min") else size <= bound
    return [] if fits else [f"{at}: {word} is {bound}"]
