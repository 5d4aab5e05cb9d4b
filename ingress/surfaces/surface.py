"""The interface of a client API at the ingress: what admission and routing need, and errors in its own form. Pure.

A surface's request struct inherits `GatewayFields`, so that the body is decoded once. What shapes the answer is read by
the worker (`router_worker/surfaces`); what is checked here is what would otherwise fail late or cost a vendor call.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind

Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Label = Annotated[str, Meta(max_length=256)]
# A budget's scope is written key=value: a sign of equality in the key could make two tags look like one.
TagKey = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[^=]*$")]


class Tag(msgspec.Struct, forbid_unknown_fields=True):
    key: TagKey
    value: _Label


class GatewayFields(msgspec.Struct, kw_only=True):
    """The gateway's own fields, the same in the body of every client API; headers may say the same."""

    models: Annotated[list[Name], Meta(max_length=16)] | None = None
    vendor: Name | None = None
    vendors: Annotated[list[Name], Meta(max_length=32)] | None = None
    tags: Annotated[dict[TagKey, _Label], Meta(max_length=32)] | Annotated[list[Tag], Meta(max_length=32)] | None = None
    project_id: Name | None = None
    customer: Name | None = None
    routing_policy: Name | None = None
    zero_data_retention: bool | None = None
    include_routing_metadata: bool | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What the ingress needs of a request. `max_output_tokens` is the client's cap on each of the `choices`; 0 if
    nothing is generated."""

    model: str
    streaming: bool
    gateway: GatewayFields
    max_output_tokens: int | None = None
    choices: int = 1


class ClientSurface(Protocol):
    @property
    def name(self) -> Surface: ...

    @property
    def heartbeat(self) -> bytes:
        """What an idle stream carries: clients pass over it, proxies see traffic."""

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        """The caller's API key from where this API has it. MISSING_API_KEY names the place."""

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        """`model` and `streaming` come from the path where this API has them there (else None, False). INVALID_JSON or
        INVALID_REQUEST, which names the field at fault."""

    def error_body(self, failure: Failure, request_id: str) -> bytes: ...

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        """An error in the middle of a stream. No end marker follows: that would call a broken answer whole."""

    def metadata_event(self, metadata: bytes) -> bytes:
        """The end of a stream whose client asked how it was routed. `metadata` is a JSON object."""


def comment(metadata: bytes) -> bytes:
    """Where an event of ours would be none that the client's SDK knows, and it passes over comments."""
    return b": routing_metadata " + metadata + b"\n\n"


_SCHEME = "bearer "


def bearer(headers: Mapping[str, str]) -> str | Failure:
    """The key of `Authorization: Bearer <key>`."""
    authorization = headers.get("Authorization")
    if not authorization:
        return Failure(kind=FailureKind.MISSING_API_KEY)
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        return Failure(kind=FailureKind.MISSING_API_KEY, message="The Authorization header must be 'Bearer <key>'.")
    return authorization[len(_SCHEME) :].strip()


# msgspec ends its messages with where the mistake is: "... - at `$.messages[0].role`".
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")


def decode(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any | Failure:
    """The decoded struct, or what is wrong with the body, with the field at fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Failure(kind=FailureKind.INVALID_JSON, message=f"The request body is not valid JSON: {detail}.")


def invalid(param: str, why: str) -> Failure:
    return Failure(kind=FailureKind.INVALID_REQUEST, message=f"Invalid '{param}': {why}.", param=param)


def _invalid(text: str) -> Failure:
    found = _AT.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    missing = _MISSING.search(what)
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
        what = "it is required"
    where = f"'{path}'" if path else "request body"
    return Failure(kind=FailureKind.INVALID_REQUEST, message=f"Invalid {where}: {what}.", param=path or None)
