"""What is wrong with a body, with the exact field, so that a vendor's error can name it."""

import re
from typing import Generic, Literal, TypeVar

import msgspec

Wrong = Literal["unknown", "missing", "type", "value"]

_COMPLAINT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.DOTALL)
_FIELD_NAME = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")

_Request = TypeVar("_Request")


class Complaint(ValueError):
    """`field` as in `messages[1].content[0].type`, empty for the body itself; `what` says it in words."""

    def __init__(self, wrong: Wrong, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.wrong = wrong
        self.field = field
        self.what = what


class NotJson(ValueError):
    """The body is no JSON at all."""


class BodyReader(Generic[_Request]):
    """Reads a body as one type of request."""

    def __init__(self, request_type: type[_Request]) -> None:
        self._decoder = msgspec.json.Decoder(request_type)

    def read(self, body: bytes) -> _Request:
        """Raises Complaint or NotJson."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as invalid:
            raise complaint_of(invalid) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NotJson from None


def complaint_of(invalid: msgspec.ValidationError) -> Complaint:
    """For what is converted in a second step."""
    text = str(invalid)
    found = _COMPLAINT.match(text)
    what, place = (found["what"], found["place"] or "$") if found else (text, "$")
    field = place.removeprefix("$").removeprefix(".")
    named = _FIELD_NAME.search(what)
    if named is not None:
        field = f"{field}.{named['field']}" if field else named["field"]
    what = what.replace("`", "")
    if "unknown field" in what:
        return Complaint("unknown", field, what)
    if "required field" in what:
        return Complaint("missing", field, what)
    return Complaint("type" if ", got " in what else "value", field, what)
