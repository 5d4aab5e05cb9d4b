"""Cohere's POST /v2/chat on the wire.

Sources: Cohere's API v2 reference and streaming guide, and the response types of the official `cohere` package (7.3).
What is charged is `billed_units`; `tokens` also counts what the vendor itself puts around the prompt.
"""

from typing import Any

import orjson

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.cohere_conversation import read_request
from deploy.local.vendors.cohere_embed_wire import CohereEmbedWire
from deploy.local.vendors.cohere_envelope import CohereEnvelope, read_strictly
from deploy.local.vendors.cohere_request import ChatRequest
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.strict_body import StrictReader
from deploy.local.vendors.wire import Endpoint, Incoming, Refused

# Never charged: whoever charges for `tokens` is off by this.
TEMPLATE_TOKENS = 7
_FINISH_REASONS = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}


def endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint("POST", "/v2/chat", CohereChatWire()),
        Endpoint("POST", "/v2/embed", CohereEmbedWire()),
    )


class CohereChatWire(CohereEnvelope):
    stream_content_type = "text/event-stream"
    garbage_body = b'{"id":"garbage","message":{"role":"assistant","content":[{"ty'
    garbage_events = (
        b'event: message-start\ndata: {"type":"mess\n\ndata: <html>Bad Gateway</html>\n\n\x00\xff nonsense\n\n'
    )

    def __init__(self) -> None:
        self._reader = StrictReader(ChatRequest)

    def decode(self, incoming: Incoming) -> Ask:
        return read_request(read_strictly(self._reader, incoming.body))

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        message: dict[str, Any] = {"role": "assistant"}
        content = [
            {"type": block.kind, block.kind: plan.text_of(block)} for block in plan.blocks if block.kind != "tool"
        ]
        if content:
            message["content"] = content
        calls = plan.all_of("tool")
        if calls:
            message["tool_plan"] = _tool_plan(plan)
            message["tool_calls"] = [
                {
                    "id": _call_id(answer_id, call.call),
                    "type": "function",
                    "function": {"name": call.tool_name, "arguments": plan.text_of(call)},
                }
                for call in calls
            ]
        answer = {"id": answer_id, "finish_reason": _FINISH_REASONS[plan.finish_reason], "message": message}
        if usage_sent:
            answer["usage"] = _usage(plan)
        return orjson.dumps(answer)

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "CohereFrames":
        return CohereFrames(answer_id, plan, usage_sent)


class CohereFrames:
    """Events of one streamed answer. Blocks of content and tool calls are counted apart, both from 0."""

    __slots__ = ("_answer_id", "_plan", "_usage_sent")

    def __init__(self, answer_id: str, plan: Plan, usage_sent: bool) -> None:
        self._answer_id = answer_id
        self._plan = plan
        self._usage_sent = usage_sent

    def opening(self) -> bytes:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        return _event("message-start", {"id": self._answer_id, "delta": {"message": message}})

    def piece(self, index: int) -> bytes:
        return self._tool_piece(index) if self._plan.block_at(index).kind == "tool" else self._content_piece(index)

    def closing(self) -> bytes:
        delta: dict[str, Any] = {"finish_reason": _FINISH_REASONS[self._plan.finish_reason]}
        if self._usage_sent:
            delta["usage"] = _usage(self._plan)
        return _event("message-end", {"id": self._answer_id, "delta": delta}) + b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        delta = {"finish_reason": "ERROR", "error": refused.message}
        return _event("message-end", {"id": self._answer_id, "delta": delta})

    def _content_piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        events = []
        if plan.starts_block(index):
            start = {"message": {"content": {"type": block.kind, block.kind: ""}}}
            events.append(_event("content-start", {"index": block.number, "delta": start}))
        delta = {"message": {"content": {block.kind: plan.pieces[index]}}}
        events.append(_event("content-delta", {"index": block.number, "delta": delta}))
        if plan.ends_block(index):
            events.append(_event("content-end", {"index": block.number}))
        return b"".join(events)

    def _tool_piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        number = block.call
        events = []
        if plan.starts_block(index):
            if number == 0:
                events.append(_event("tool-plan-delta", {"delta": {"message": {"tool_plan": _tool_plan(plan)}}}))
            call = {
                "id": _call_id(self._answer_id, number),
                "type": "function",
                "function": {"name": block.tool_name, "arguments": ""},
            }
            events.append(_event("tool-call-start", {"index": number, "delta": {"message": {"tool_calls": call}}}))
        delta = {"message": {"tool_calls": {"function": {"arguments": plan.pieces[index]}}}}
        events.append(_event("tool-call-delta", {"index": number, "delta": delta}))
        if plan.ends_block(index):
            events.append(_event("tool-call-end", {"index": number}))
        return b"".join(events)


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def _tool_plan(plan: Plan) -> str:
    return "I will use " + ", ".join(dict.fromkeys(block.tool_name for block in plan.all_of("tool"))) + "."


def _usage(plan: Plan) -> dict[str, Any]:
    return {
        "billed_units": {"input_tokens": plan.prompt_tokens, "output_tokens": plan.completion_tokens},
        "tokens": {
            "input_tokens": plan.prompt_tokens + TEMPLATE_TOKENS,
            "output_tokens": plan.completion_tokens + TEMPLATE_TOKENS,
        },
        "cached_tokens": plan.cached_tokens,
    }


def _call_id(answer_id: str, call: int) -> str:
    return f"call_{answer_id}_{call}"
