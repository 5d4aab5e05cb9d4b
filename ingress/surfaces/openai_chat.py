"""OpenAI Chat Completions at the ingress: the fields that admission and routing need, and the errors' form.

Format: OpenAI API reference, "Chat completions" and "Error codes". The body itself travels on untouched; the worker and
the vendor look at the rest. What is checked here is what would otherwise fail late or cost a vendor call.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.failures import Failure, FailureKind

HEARTBEAT = b": keep-alive\n\n"
"""An SSE comment: clients skip it, proxies see traffic."""


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Tool(msgspec.Struct):
    """Only that it is an object; building all of them for nothing would cost more than the rest of the check."""


class ChatCall(msgspec.Struct):
    """Unknown fields are passed over here; the vendor decides on them."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    tools: list[_Tool] | None = None
    zero_data_retention: bool | None = None

    @property
    def max_output_tokens(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


_DECODER = msgspec.json.Decoder(ChatCall)
# msgspec ends its messages with where the mistake is: "... - at `$.messages[0].role`".
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")


def read_call(body: bytes) -> ChatCall | Failure:
    """The failure names the field at fault."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Failure(kind=FailureKind.INVALID_JSON, message=f"The request body is not valid JSON: {detail}.")


def _invalid(text: str) -> Failure:
    found = _AT.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    missing = _MISSING.search(what)
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
        what = "it is required"
    where = f"'{path}'" if path else "request body"
    return Failure(kind=FailureKind.INVALID_REQUEST, message=f"Invalid {where}: {what}.", param=path or None)


_TYPES_BY_STATUS = {
    401: "authentication_error",
    402: "budget_exceeded",
    403: "permission_error",
    429: "rate_limit_error",
}


def error_body(failure: Failure) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`."""
    status = failure.http_status
    error_type = _TYPES_BY_STATUS.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    return msgspec.json.encode(
        {
            "error": {
                "message": failure.text,
                "type": error_type,
                "param": failure.param,
                "code": failure.code or failure.kind.value,
            }
        }
    )


def error_event(failure: Failure) -> bytes:
    """An error in the middle of a stream. No `[DONE]` follows: that would call a broken answer whole."""
    return b"data: " + error_body(failure) + b"\n\n"
