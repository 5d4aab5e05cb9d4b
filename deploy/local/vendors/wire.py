"""What a wire format must be able to do; one file per format implements it, and wires.py lists them.

A format has one or more endpoints (a method and a path below the vendor's name), each with the wire that reads and
answers it. Where model or stream stand in the path, the wire takes them from `Incoming.path_params` and from its own
operation: one Wire object per operation. Requests that generate nothing (embeddings, token counts) are a Wire too:
they give an `Ask` with another `task`, and are answered by `reply` alone.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.generation import Plan


class Refused(Exception):
    """The simulated vendor answers with an error status; each wire puts it into its own envelope.

    `param` is the field at fault (`messages[1].content[0].type`), `code` the vendor's own word for the failure where
    the wire has one; an empty `code` says that this refusal has none, whatever its status usually carries.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One request before it is understood.

    `raw_path` is the path as sent, still percent-encoded and without the query, with the vendor's name as its first
    segment; `raw_query` as sent, without `?`. `path_params` are decoded. `headers` are looked up in any case.
    """

    method: str
    raw_path: str
    raw_query: str
    path_params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Frames(Protocol):
    """The events of one streamed answer, as bytes ready to send.

    Called in this order: `opening`, `piece(0)` to `piece(len(plan.pieces) - 1)`, `closing`; a fault may end it after
    any piece, with `error` in place of `closing` or with nothing. Any of them may return b"": a format that sends a
    tool call as a whole sends it with the last piece of its block (`plan.ends_block(index)`).
    """

    def opening(self) -> bytes: ...

    def piece(self, index: int) -> bytes: ...

    def closing(self) -> bytes: ...

    def error(self, refused: Refused) -> bytes: ...


class Wire(Protocol):
    """Subclass it to have the defaults. A wire keeps no state of calls: one object serves all vendors at once."""

    stream_content_type: str = "text/event-stream"
    garbage_body: bytes = b'{"id":"garbage","content":[{"ty'
    garbage_events: bytes = b'data: {"id":"garb\n\ndata: <html>Bad Gateway</html>\n\n\x00\xff\xfe nonsense\n\ndata\n\n'
    request_id_header: str = "X-Request-Id"
    sends_retry_after_header: bool = True

    def authorize(self, incoming: Incoming) -> None:
        """Credentials and required headers, the content type too; raises Refused. The key `bad` is refused."""
        ...

    def decode(self, incoming: Incoming) -> Ask:
        """Raises Refused for anything the vendor would not take, naming the field."""
        ...

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        """Model and stream of a request that was refused, as far as they can be read."""
        return None, None

    def sends_usage(self, ask: Ask) -> bool:
        """Whether the answer to this request carries usage figures, unless the behaviour withholds them."""
        return True

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        """The JSON of an answer that is sent as a whole. `created` in unix seconds; `answer_id` is unique."""
        ...

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> Frames:
        """Only called if `ask.stream`."""
        raise AssertionError("nothing of this format is streamed")

    def error_body(self, refused: Refused) -> bytes: ...

    def error_headers(self, refused: Refused) -> Mapping[str, str]:
        """Beside Content-Type and Retry-After."""
        return {}

    def wrong_key(self) -> Refused:
        """What the vendor says to a key that it does not know; the behaviour `bad-key` answers so."""
        return Refused(401, "Incorrect API key provided.")

    def too_long(self, prompt_tokens: int) -> Refused:
        """What the vendor says to a prompt that is too long; the behaviour `context-length` answers so."""
        message = f"This model's maximum context length is 1 token, the messages have {prompt_tokens}."
        return Refused(400, message, param="messages", code="context_length_exceeded")

    def models_body(self, vendor: str, models: list[str]) -> bytes:
        """Only called for an endpoint that lists models (`Endpoint.lists_models`)."""
        raise AssertionError("no endpoint of this format lists models")


class Endpoint:
    """`template` is the end of the path, below the vendor's name (`/model/{model}/converse`); whatever lies between the
    vendor's name and it is ignored. A parameter stretches to the next literal text and holds no slash.

    `of_vendor`: vendors that speak the format in their own way. `only_with_header`: of endpoints with one path, the
    first wins whose header is there. `lists_models`: answered with `models_body`, not written into the ledger.
    """

    def __init__(
        self,
        method: str,
        template: str,
        wire: Wire,
        *,
        of_vendor: Mapping[str, Wire] | None = None,
        only_with_header: str | None = None,
        lists_models: bool = False,
    ) -> None:
        self.method = method
        self.template = template
        self.wire = wire
        self.only_with_header = only_with_header
        self.lists_models = lists_models
        self._of_vendor = of_vendor or {}
        # Most requests are told apart by how the path ends; the pattern is only for parameters.
        self._suffix = template.rpartition("}")[2]
        self._pattern: re.Pattern[str] | None = None
        if "{" in template:
            parts = re.split(r"\{(\w+)\}", template)
            names = (f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
            self._pattern = re.compile(r"/[^/]+(?:/.*)?" + "".join(names))

    def matches(self, path: str) -> Mapping[str, str] | None:
        """The parameters (still percent-encoded) of a path that ends as the template says; None if it does not."""
        # Without a segment before the template there is no vendor.
        if not path.endswith(self._suffix) or len(path) <= len(self._suffix):
            return None
        if self._pattern is None:
            return {}
        found = self._pattern.fullmatch(path)
        return None if found is None else found.groupdict()

    def wire_of(self, vendor: str) -> Wire:
        return self._of_vendor.get(vendor, self.wire)
