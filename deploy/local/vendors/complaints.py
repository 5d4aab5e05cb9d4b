"""What is wrong with a body, with the exact field, so that a vendor's error can name it."""

import re
from typing import Any, Generic, Literal, TypeVar

import msgspec

Wrong = Literal["unknown", "missing", "type", "value"]

_COMPLAINT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.DOTALL)
_FIELD_NAME = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")
_IN_A_CONTAINER = "[...]"

_Request = TypeVar("_Request")


class Complaint(Exception):
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
        self._type = request_type
        self._decoder = msgspec.json.Decoder(request_type)

    def read(self, body: bytes) -> _Request:
        """Raises Complaint or NotJson."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as invalid:
            raise self._explain(str(invalid), body) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NotJson from None

    def _explain(self, complaint: str, body: bytes) -> Complaint:
        what, place = _split(complaint)
        # Only a complaint that goes through a list or a map is worth a second look at the body.
        if _IN_A_CONTAINER in place:
            what, place = self._find(msgspec.json.decode(body), what, place)
        field = place.removeprefix("$").removeprefix(".")
        named = _FIELD_NAME.search(what)
        if named is not None:
            field = f"{field}.{named['field']}" if field else named["field"]
        if "unknown field" in what:
            return Complaint("unknown", field, what.replace("`", ""))
        if "required field" in what:
            return Complaint("missing", field, what.replace("`", ""))
        return Complaint("type" if ", got " in what else "value", field, what.replace("`", ""))

    def _find(self, document: Any, what: str, place: str) -> tuple[str, str]:
        """msgspec names a place in a list or map only as `[...]`; found by leaving all other entries away."""
        while _IN_A_CONTAINER in place:
            outer, _, inner = place.partition(_IN_A_CONTAINER)
            container = _at(document, outer)
            for key in list(range(len(container)) if isinstance(container, list) else container or ()):
                alone = [container[key]] if isinstance(container, list) else {key: container[key]}
                found = self._complaint_of(_with(document, outer, alone))
                if found is not None and found[1].startswith(f"{outer}{_IN_A_CONTAINER}"):
                    what, inner = found[0], found[1].removeprefix(f"{outer}{_IN_A_CONTAINER}")
                    place = f"{outer}[{key}]{inner}" if isinstance(container, list) else f"{outer}.{key}{inner}"
                    break
            else:
                return what, f"{outer}{inner}"
            if _IN_A_CONTAINER in inner:
                # The rest is looked for in that entry alone, which then is entry 0.
                return self._within(document, outer, container, key, what, inner)
        return what, place

    def _within(
        self, document: Any, outer: str, container: Any, key: Any, what: str, inner: str
    ) -> tuple[str, str]:
        raise NotImplementedError

    def _complaint_of(self, document: Any) -> tuple[str, str] | None:
        try:
            msgspec.convert(document, self._type)
        except msgspec.ValidationError as invalid:
            return _split(str(invalid))
        return None


def _split(complaint: str) -> tuple[str, str]:
    found = _COMPLAINT.match(complaint)
    return (found["what"], found["place"] or "$") if found else (complaint, "$")
