"""The client's body, changed for Anthropic only where it must be, and where a request goes."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from router_worker.vendors.anthropic.marks import MARK
from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import NULL, Fields, read_fields, to_raw, write_fields
from router_worker.vendors.openai.chat import ATTEMPT_ID_HEADER
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure, FailureKind

ANTHROPIC_VERSION = "2023-06-01"
VERTEX_VERSION = "vertex-2023-10-16"
LEAST_BUDGET_TOKENS = 1024

_ABSENT = msgspec.Raw(NULL)
# Claude docs, "Data residency": any other place costs 1.1 times as much, from Opus 4.6 on.
_ANYWHERE = (NULL, b'"global"')

_THOUGHTS = ("thinking", "redacted_thinking")


def pass_through(call: VendorCall, row: VendorRow, *, counting: bool = False) -> VendorRequest | Failure:
    """counting: for the tokens of the request, not for an answer. Client headers do not travel to the worker, so
    `anthropic-beta` features that need their header are the vendor's to refuse."""
    fields = read_fields(call.body)
    if fields is None:
        return Failure(kind=FailureKind.INVALID_JSON)
    drop_gateway_fields(fields)
    dropped = tuple(sorted(row.quirks.dropped & fields.keys()))
    for name in dropped:
        del fields[name]
    if not counting:
        if bytes(fields.get("inference_geo", _ABSENT)) not in _ANYWHERE:
            return cannot_say("inference_geo", "one place to compute in has a price of its own, not known here.")
        _cap(fields, call.max_output_tokens)
    if MARK.encode() in call.body and "messages" in fields:
        fields["messages"] = _without_foreign_thoughts(fields["messages"])
    request = address(fields, call, row, counting=counting)
    return VendorRequest(request.url_path, request.headers, request.body, dropped)


def address(fields: Mapping[str, object], call: VendorCall, row: VendorRow, *, counting: bool = False) -> VendorRequest:
    """A body for Anthropic's API; on Vertex the model stands in the URL, and the version in the body."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if call.streaming else "application/json",
    }
    if call.api_key is not None:
        headers[row.key_header] = row.key_prefix + call.api_key
    if call.attempt_id is not None:
        headers[ATTEMPT_ID_HEADER] = call.attempt_id
    body = dict(fields) | {"model": call.vendor_model}
    if row.wire == "anthropic_vertex":
        body["anthropic_version"] = VERTEX_VERSION
        model = "count-tokens" if counting else quote(str(body.pop("model")), safe="@")
        method = "streamRawPredict" if call.streaming else "rawPredict"
        path = f"/publishers/anthropic/models/{model}:{method}"
    else:
        headers["anthropic-version"] = ANTHROPIC_VERSION
        path = "/messages/count_tokens" if counting else "/messages"
    return VendorRequest(path, headers, msgspec.json.encode(body))


class _Thinking(msgspec.Struct):
    type: str = ""
    budget_tokens: int | None = None


def _cap(fields: Fields, max_output_tokens: int | None) -> None:
    if max_output_tokens is None:
        return
    given = _number(fields.get("max_tokens"))
    if given is not None and given <= max_output_tokens:
        return
    fields["max_tokens"] = to_raw(max_output_tokens)
    try:
        thinking = msgspec.json.decode(fields.get("thinking", b"null"), type=_Thinking | None)
    except msgspec.DecodeError:
        return
    if thinking is None or thinking.budget_tokens is None or thinking.budget_tokens < max_output_tokens:
        return
    # A budget for thinking that is not below the cap is refused. It was right with the cap that the client gave.
    if max_output_tokens > LEAST_BUDGET_TOKENS:
        changed = read_fields(bytes(fields["thinking"])) or {}
        changed["budget_tokens"] = to_raw(max_output_tokens - 1)
        fields["thinking"] = msgspec.Raw(write_fields(changed))
    else:
        del fields["thinking"]


def _number(raw: msgspec.Raw | None) -> int | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=int)
    except msgspec.DecodeError:
        return None


class _Block(msgspec.Struct):
    type: str = ""
    signature: str = ""
    data: str = ""

    @property
    def is_foreign(self) -> bool:
        return self.type in _THOUGHTS and (self.signature or self.data).startswith(MARK)


def _without_foreign_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """As it was, where it is not as expected: the vendor judges that."""
    try:
        changed = []
        for message in msgspec.json.decode(messages, type=list[Fields]):
            content = message.get("content", msgspec.Raw(b"null"))
            if bytes(content)[:1] == b"[":
                blocks = msgspec.json.decode(content, type=list[msgspec.Raw])
                kept = [block for block in blocks if not msgspec.json.decode(block, type=_Block).is_foreign]
                if len(kept) < len(blocks) and not kept:
                    continue
                message["content"] = to_raw(kept)
            changed.append(message)
    except msgspec.DecodeError:
        return messages
    return to_raw(changed)
