"""What Cohere's endpoints share: the key, the shape of an error, and how a body is read.

Source: Cohere's list of errors in its API reference.
"""

from typing import Any, TypeVar

import msgspec
import orjson

from deploy.local.vendors.strict_body import Misfit, NotJson, StrictReader
from deploy.local.vendors.wire import Incoming, Refused, Wire

_Request = TypeVar("_Request")


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


class CohereEnvelope(Wire):
    def authorize(self, incoming: Incoming) -> None:
        scheme, _, key = incoming.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refused(401, "no api key supplied")
        if key.strip() == "bad":
            raise Refused(401, "invalid api token")
        media_type = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(400, f"invalid content type: {media_type!r}, expected application/json")

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = msgspec.json.decode(incoming.body, type=_Peeked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        stream = seen.stream if isinstance(seen.stream, bool) else None
        return (seen.model if isinstance(seen.model, str) else None), stream

    def error_body(self, refused: Refused) -> bytes:
        message = refused.message
        if refused.code == "context_length_exceeded":
            message = f"too many tokens: {message}"
        elif refused.status == 400:
            message = f"invalid request: {message}"
        return orjson.dumps({"id": "simulated-error", "message": message})


def read_strictly(reader: StrictReader[_Request], body: bytes) -> _Request:
    """Raises Refused."""
    try:
        return reader.read(body)
    except Misfit as misfit:
        raise Refused(400, f"{misfit.what} (at {misfit.indexed()})", param=misfit.indexed()) from None
    except NotJson:
        raise Refused(400, "invalid json syntax") from None
