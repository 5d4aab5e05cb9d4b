"""From the text of a request to checked structs; what does not fit is told with the name of the field. Pure."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from admin_api.operation import Operation, Refusal, invalid

_AT = re.compile(r"(?s)^(.*?)(?: - at `(.*)`)?$")
_NAMED = re.compile(r"(?s)(unknown|missing required) field `(.*)`$")
_ETAG = re.compile(r'^(?:W/)?"?([0-9]{1,15})"?$')


def read_body(operation: Operation, raw: bytes) -> Any:
    """Raises Refusal."""
    if operation.body is None:
        if raw.strip():
            raise invalid(None, "This operation takes no body.")
        return None
    try:
        # Where every field may be left out, so may the body.
        return msgspec.json.decode(raw if raw.strip() else b"{}", type=operation.body)
    except msgspec.ValidationError as error:
        raise _invalid_field(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, "invalid_json", "The request body is not valid JSON.") from None
    except RecursionError:
        raise Refusal(400, "invalid_json", "The request body is nested too deeply.") from None


def read_query(operation: Operation, pairs: Iterable[tuple[str, str]]) -> Any:
    """Raises Refusal."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise invalid(_clean(name), "This query parameter is there twice.")
        given[name] = value
    if operation.query is None:
        for name in given:
            raise Refusal(400, "unknown_field", "This operation takes no such query parameter.", _clean(name))
        return None
    try:
        return msgspec.convert(given, type=operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid_field(error) from None


def read_if_match(value: str | None) -> int | None:
    """Raises Refusal."""
    if value is None or value.strip() == "*":
        return None
    found = _ETAG.match(value.strip())
    if found is None or not found[1].isascii():
        raise invalid("If-Match", 'If-Match takes one version, as the ETag gave it: "3".')
    return int(found[1])


def _invalid_field(error: msgspec.ValidationError) -> Refusal:
    """msgspec says what is wrong, and where: "... - at `$.limits.requests_per_minute`"."""
    parts = _AT.match(str(error))
    assert parts is not None  # it matches everything
    message, path = parts[1], (parts[2] or "$").removeprefix("$").removeprefix(".")
    named = _NAMED.search(message)
    if named is None:
        if message.startswith("Invalid enum value"):
            # The only message that repeats what was sent.
            message = "This is not one of the values that are allowed."
        elif "matching regex" in message and path.endswith("_usd"):
            message = "Expected an amount in USD as text, like '12.50': not negative, with at most 12 decimals."
        elif message == "Invalid RFC3339 encoded datetime":
            message = "Expected a time like '2026-11-01T00:00:00Z'."
        else:
            message = message.replace("\\\\", "\\")
        return invalid(_clean(path) or None, message)
    name = _clean(named[2])
    param = f"{_clean(path)}.{name}" if path else name
    if named[1] == "unknown":
        return Refusal(400, "unknown_field", "There is no such field.", param)
    return Refusal(400, "missing_field", "This field is required.", param)


def _clean(name: str) -> str:
    """A field's name as it was sent may be anything; what goes back, and to whoever reads it, is short plain text."""
    text = name[:200].encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)
