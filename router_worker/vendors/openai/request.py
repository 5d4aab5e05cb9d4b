"""The client's body, changed for a vendor only where it must be."""

from typing import NamedTuple

import msgspec

from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import Fields, drop_fields, read_fields, to_raw, write_fields
from router_worker.vendors.openai.fim import asks_to_fill, fim_fields
from router_worker.vendors.openai.short_call_ids import with_short_call_ids
from router_worker.vendors.openai.thinking_parts import with_thinking_parts
from router_worker.vendors.row import CapField, Quirks
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure

_CAP_FIELDS: tuple[CapField, ...] = ("max_tokens", "max_completion_tokens")
_INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')
_TRUE = msgspec.Raw(b"true")


CHAT_PATH = "/chat/completions"


class VendorBody(NamedTuple):
    url_path: str
    body: bytes
    dropped: tuple[str, ...] = ()


def vendor_body(call: VendorCall, quirks: Quirks) -> VendorBody | Failure:
    """Raises ValueError if the body is not a JSON object; the surface has checked that before."""
    fields = read_fields(call.body)
    if fields is None:
        raise ValueError("the body is not a JSON object")
    drop_gateway_fields(fields)
    dropped = drop_fields(fields, quirks.dropped)
    fields["model"] = to_raw(call.vendor_model)
    if quirks.stream_usage == "always":
        fields.pop("stream_options", None)
    elif call.streaming:
        fields["stream_options"] = _with_usage(fields.get("stream_options"))
    fields = with_vendor_names(fields, quirks, call.max_output_tokens)
    if quirks.fim_path is not None and asks_to_fill(fields):
        filling = fim_fields(fields)
        if isinstance(filling, Failure):
            return filling
        return VendorBody(quirks.fim_path, write_fields(filling[0]), (*dropped, *filling[1]))
    if quirks.tool_choice_required != "required" and bytes(fields.get("tool_choice", b"")) == b'"required"':
        fields["tool_choice"] = to_raw(quirks.tool_choice_required)
    if quirks.thoughts == "thinking_parts" and "messages" in fields:
        fields["messages"] = with_thinking_parts(fields["messages"])
    if quirks.short_tool_call_ids and "messages" in fields:
        fields["messages"] = with_short_call_ids(fields["messages"])
    return VendorBody(CHAT_PATH, write_fields(fields), dropped)


def with_vendor_names(fields: Fields, quirks: Quirks, max_output_tokens: int | None) -> Fields:
    """The fields under the vendor's names for them, with the cap on output no higher than `max_output_tokens`."""
    fields = _renamed(fields, quirks)
    _cap(fields, quirks.cap_field, max_output_tokens)
    return fields


def _with_usage(given: msgspec.Raw | None) -> msgspec.Raw:
    options = None if given is None else read_fields(bytes(given))
    if not options:
        return _INCLUDE_USAGE
    options["include_usage"] = _TRUE
    return msgspec.Raw(write_fields(options))


def _renamed(fields: Fields, quirks: Quirks) -> Fields:
    """Renames in place, so that the order of fields stays. A field that has the new name already wins."""
    other = _CAP_FIELDS[1 - _CAP_FIELDS.index(quirks.cap_field)]
    if other in fields and quirks.cap_field in fields:
        caps = [cap for cap in (_number(fields.pop(other)), _number(fields[quirks.cap_field])) if cap is not None]
        if caps:
            fields[quirks.cap_field] = to_raw(min(caps))
    names = {other: quirks.cap_field, **quirks.renamed}
    if names.keys().isdisjoint(fields):
        return fields
    return {
        names.get(name, name): value for name, value in fields.items() if name not in names or names[name] not in fields
    }


def _cap(fields: Fields, name: str, max_output_tokens: int | None) -> None:
    if max_output_tokens is None:
        return
    given = fields.get(name)
    cap = None if given is None else _number(given)
    if cap is None or cap > max_output_tokens:
        fields[name] = to_raw(max_output_tokens)


def _number(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int)
    except msgspec.DecodeError:
        return None
