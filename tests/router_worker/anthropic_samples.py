"""Calls, answers and streams as Anthropic sends them, for the tests of its format."""

import json
from collections.abc import Iterable
from typing import Any

from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall

ROW = VendorRow(
    name="anthropic",
    base_url="http://anthropic.test/v1",
    api_key_env="ANTHROPIC_API_KEY",
    wire="anthropic",
    key_header="x-api-key",
    key_prefix="",
)
VERTEX = VendorRow(
    name="vertex-claude", base_url="http://vertex.test/v1", api_key_env=None, wire="anthropic_vertex", auth="google"
)
REQUEST: dict[str, Any] = {"model": "cat-1", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
USAGE: dict[str, Any] = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 50,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 1,
    "service_tier": "standard",
}


def call(request: dict[str, Any] | None = None, **changes: Any) -> VendorCall:
    base: dict[str, Any] = {
        "body": json.dumps(REQUEST if request is None else request).encode(),
        "model_id": "cat-1",
        "vendor_model": "claude-sonnet-4-5-20250929",
        "streaming": False,
        "api_key": "secret",
        "route_max_output_tokens": 64_000,
        "answer_id": "a1",
    }
    return VendorCall(**(base | changes))


def event(payload: dict[str, Any]) -> bytes:
    return f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()


def start(**usage: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_v",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE | usage,
    }
    return {"type": "message_start", "message": message}


PING: dict[str, Any] = {"type": "ping"}
STOP: dict[str, Any] = {"type": "message_stop"}


def end(reason: str = "end_turn", sequence: str | None = None, **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": {"output_tokens": 42} | usage,
    }


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": opening},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": each} for each in pieces))


def tool(index: int, call_id: str, name: str, *pieces: str) -> list[dict[str, Any]]:
    opening = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    return block(index, opening, *({"type": "input_json_delta", "partial_json": each} for each in pieces))


# Thinking, hidden thinking, text and two parallel calls: everything at once.
RICH: list[dict[str, Any]] = [
    start(),
    PING,
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm, "},
        {"type": "thinking_delta", "thinking": "wörld?"},
        {"type": "signature_delta", "signature": "sig=="},
    ),
    *block(1, {"type": "redacted_thinking", "data": "enc=="}),
    *text(2, "Hel", 'lo "\\', "\n😀"),
    PING,
    *tool(3, "toolu_1", "weather", "", '{"ci', 'ty":"Köln"}'),
    *tool(4, "toolu_2", "time", ""),
    end("tool_use", output_tokens_details={"thinking_tokens": 9}),
    STOP,
]
WHOLE: dict[str, Any] = {
    "id": "msg_v",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "Hm, wörld?", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "enc=="},
        {"type": "text", "text": 'Hello "\\\n😀'},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE | {"output_tokens": 42, "output_tokens_details": {"thinking_tokens": 9}},
}


def stream(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(map(event, events))


def events_of(client: bytes) -> list[Any]:
    """What a client reads of a stream; the name of each event must be its type."""
    blocks = client.split(b"\n\n")
    assert blocks.pop() == b""
    found = []
    for each in blocks:
        head, data = each.split(b"\n")
        payload = json.loads(data.removeprefix(b"data: "))
        assert head == b"event: " + payload["type"].encode()
        found.append(payload)
    return found


def message_of(client: bytes) -> dict[str, Any]:
    """The message that Anthropic's SDK would make of a stream: blocks one after the other, figures overwritten."""
    message: dict[str, Any] = {}
    open_index: int | None = None
    pieces: dict[int, str] = {}
    for each in events_of(client):
        match each["type"]:
            case "message_start":
                assert not message
                message = each["message"]
            case "content_block_start":
                assert open_index is None
                assert each["index"] == len(message["content"])
                open_index = each["index"]
                message["content"].append(dict(each["content_block"]))
            case "content_block_delta":
                assert each["index"] == open_index
                target, delta = message["content"][each["index"]], each["delta"]
                match delta["type"]:
                    case "text_delta":
                        target["text"] += delta["text"]
                    case "thinking_delta":
                        target["thinking"] += delta["thinking"]
                    case "signature_delta":
                        target["signature"] = delta["signature"]
                    case "input_json_delta":
                        pieces[each["index"]] = pieces.get(each["index"], "") + delta["partial_json"]
            case "content_block_stop":
                assert each["index"] == open_index
                if pieces.get(each["index"]):
                    message["content"][each["index"]]["input"] = json.loads(pieces[each["index"]])
                open_index = None
            case "message_delta":
                assert open_index is None
                message |= each["delta"]
                message["usage"] |= each["usage"]
    return message
