"""Answers and streams as Cohere's API v2 sends them. Shapes: Cohere API reference, types of the `cohere` package."""

import json
from typing import Any

from router_worker.canonical.request import ChatRequest, Text, UserMessage
from router_worker.vendors.cohere.wire import CohereWire
from router_worker.vendors.table import BUILT_IN

WIRE = CohereWire(BUILT_IN["cohere"])
ASK = UserMessage(parts=(Text(text="hi"),))
USAGE = {
    "billed_units": {"input_tokens": 12.0, "output_tokens": 7.0},
    "tokens": {"input_tokens": 512.0, "output_tokens": 30.0},
    "cached_tokens": 4.0,
}


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(**({"messages": (ASK,)} | fields))


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()


def message(**fields: Any) -> dict[str, Any]:
    return {"message": fields}


def start() -> bytes:
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    return event("message-start", id="m1", delta={"message": empty})


def text(piece: str, index: int = 0) -> bytes:
    return event("content-delta", index=index, delta=message(content={"text": piece}))


def thought(piece: str, index: int = 0) -> bytes:
    return event("content-delta", index=index, delta=message(content={"thinking": piece}))


def end(reason: str = "COMPLETE", **fields: Any) -> bytes:
    return event("message-end", delta={"finish_reason": reason, "usage": USAGE} | fields)


def call_start(index: int, call_id: str, name: str) -> bytes:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    return event("tool-call-start", index=index, delta=message(tool_calls=call))


def call_piece(index: int, arguments: str) -> bytes:
    return event("tool-call-delta", index=index, delta=message(tool_calls={"function": {"arguments": arguments}}))
