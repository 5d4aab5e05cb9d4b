"""Reads a body as one type of request, and says of a body that does not fit where in it the field at fault is."""

import re
from typing import Any, Generic, Literal, TypeVar

import msgspec

Kind = Literal["unknown", "missing", "type", "value"]
Segment = str | int

_Request = TypeVar("_Request")
_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")
# msgspec writes `$.messages[1].content`, and `[...]` for a value of a map, whose key it does not tell.
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")


class NotJson(ValueError):
    """The body is no JSON at all."""


class Misfit(ValueError):
    """`place` leads from the top of the body to the field at fault, which need not be there."""

    def __init__(self, place: tuple[Segment, ...], kind: Kind, what: str) -> None:
        self.place = place
        self.kind = kind
        self.what = what
        super().__init__(f"{self.dotted()}: {what}")

    def dotted(self) -> str:
        """`messages.0.content.1.toolUse`"""
        return ".".join(map(str, self.place))

    def indexed(self) -> str:
        """`messages[0].content[1].toolUse`"""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place)
        return "".join(steps).removeprefix(".")


class StrictReader(Generic[_Request]):
    def __init__(self, request_type: type[_Request]) -> None:
        self._type = request_type
        self._decoder = msgspec.json.Decoder(request_type)

    def read(self, body: bytes) -> _Request:
        """Raises Misfit or NotJson."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _misfit(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NotJson from None

    def read_document(self, document: Any) -> _Request:
        """The same for what is already parsed; raises Misfit."""
        try:
            return msgspec.convert(document, self._type)
        except msgspec.ValidationError as error:
            raise _misfit(str(error)) from None


def _misfit(text: str) -> Misfit:
    found = _MESSAGE.match(text)
    what, path = (found["what"], found["place"] or "$") if found else (text, "$")
    place: list[Segment] = []
    for step in _STEP.finditer(path):
        if step["index"] is not None:
            place.append(int(step["index"]))
        else:
            place.append(step["name"] or "*")
    field = _FIELD.search(what)
    if field is not None:
        place.append(field["field"])
    return Misfit(tuple(place), _kind(what), what.replace("`", ""))


def _kind(what: str) -> Kind:
    if "unknown field" in what:
        return "unknown"
    if "required field" in what:
        return "missing"
    return "type" if ", got " in what else "value"
