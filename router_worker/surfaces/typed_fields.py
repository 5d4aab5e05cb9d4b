"""Reads parts of a client's body into types, and says what is wrong with them in the client's own field path."""

import base64
import binascii
import re
from typing import Any, NoReturn, Protocol, TypeVar

import msgspec

from router_worker.canonical.request import Inline, Url
from router_worker.surfaces.json_depth import is_deeper_than
from schemas.failures import Failure, FailureKind

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# msgspec ends its messages with where the mistake is: "... - at `$.content[0].text`".
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"Object (?P<fault>missing required|contains unknown) field `(?P<field>[^`]*)`")
_WEB = re.compile(r"(?i)^https?://[^\s/]")
_DATA_URL = re.compile(r"(?i)^data:(?P<media_type>[\w.+-]+/[\w.+-]+)(?:;[^,;]*)*?;base64,")


class Decoder(Protocol[_T_co]):
    """msgspec's own, which cannot be used for a wider type than its own."""

    def decode(self, buf: bytes | msgspec.Raw, /) -> _T_co: ...


class BadFieldError(Exception):
    """Ends the reading of a body; `failure` is the client's answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def wrong(path: str, why: str) -> BadFieldError:
    """What no vendor would take."""
    return BadFieldError(Failure(kind=FailureKind.INVALID_REQUEST, message=f"{path}: {why}", param=path))


def untranslatable(path: str, why: str) -> BadFieldError:
    """What only a vendor of the client's own format could take."""
    return BadFieldError(
        Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"{path}: {why}",
            param=path,
            code="unsupported_by_vendor",
        )
    )


def read_typed(decoder: Decoder[_T], raw: bytes | msgspec.Raw, path: str) -> _T:
    """Raises BadFieldError. `path` is where `raw` stands in the body; "" for the body itself."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        _refuse(str(error), path)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadFieldError(Failure(kind=FailureKind.INVALID_JSON)) from None


def _refuse(text: str, place: str) -> NoReturn:
    found = _AT.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    path = (place + path).removeprefix(".")
    field = _FIELD.search(what)
    if field:
        path = f"{path}.{field['field']}" if path else field["field"]
        what = "it is required" if field["fault"].startswith("missing") else "unknown here, or without a translation"
    # A message that repeats the client's value is of no more use than one that does not, and may be long.
    what = re.sub(r"(?s)^Invalid (?:enum )?value .*$", "not one of the values that this field takes", what)
    raise BadFieldError(
        Failure(kind=FailureKind.INVALID_REQUEST, message=f"{path}: {what}" if path else what, param=path or None)
    ) from None


def read_source(text: str, path: str) -> Inline | Url:
    """A `data:` URL in base64, or one of the web. Raises BadFieldError."""
    found = _DATA_URL.match(text[:512])
    if found is None:
        if _WEB.match(text):
            return Url(url=text)
        raise wrong(path, "neither a web address nor a data: URL in base64")
    data = text[found.end() :]
    check_base64(data, path)
    return Inline(media_type=found["media_type"].lower(), data=data)


def check_base64(data: str, path: str) -> None:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise wrong(path, "not valid base64") from None
    if not data:
        raise wrong(path, "empty")


def check_json_object(text: str, path: str) -> None:
    """That it is the JSON text of an object, and that a vendor which gets it as JSON, not as text, can read all of it:
    every string and number, and no deeper than a body may be. Raises BadFieldError."""
    try:
        _OBJECT.decode(text)
        too_deep = is_deeper_than(_MAX_DEPTH, text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise wrong(path, "not the JSON text of an object") from None
    if too_deep:
        raise wrong(path, f"nested more than {_MAX_DEPTH} deep")


def is_null(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"


_ANYTHING: Decoder[Any] = msgspec.json.Decoder()
_OBJECT = msgspec.json.Decoder(dict[str, Any])
# As deep as a body may be: JSON in a string of it is not seen where the body's depth is looked at.
_MAX_DEPTH = 200


def check_whole(body: bytes) -> None:
    """That every string and number in it can be read: parts that are passed on unread would else break a vendor's
    request, or our answer. Raises BadFieldError."""
    read_typed(_ANYTHING, body, "")
